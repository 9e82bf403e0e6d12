"""Layouts against the published files' manifests and against the names of our own variables."""

import pytest

from tests.helpers.reference import manifest
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.published.layout import DEPTHS, KINDS, layout


@pytest.mark.parametrize("kind", KINDS)
def test_layout_is_the_published_one(kind):
    ours = {name: tensor.shape for name, tensor in layout(kind, 527).items()}
    assert ours == manifest(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_variable_of_the_network_is_covered_once(kind):
    published = [tensor for tensor in layout(kind, 3).values() if tensor.variable]
    names = [tensor.variable for tensor in published]
    assert len(set(names)) == len(names)
    # Names do not depend on the width, so a narrow network does.
    narrow = Architecture(
        depth=DEPTHS[kind],
        width=1 / 64,
        trunk="flipout" if kind == "flipout" else "deterministic",
        labels=3,
        task="multilabel",
    )
    variables = VIPANN(narrow).named_variables()
    assert set(names) == set(variables)
    for tensor in published:
        ours = variables[tensor.variable].shape
        transposed = [tensor.shape[axis] for axis in tensor.axes]
        assert len(transposed) == len(ours)
        if len(ours) == 4:
            assert transposed[:2] == ours[:2], tensor


def test_the_classifier_follows_the_number_of_labels():
    tensors = layout("resnet22", 50)
    assert tensors["fc_audioset.weight"].shape == (50, 2048)
    assert tensors["fc_audioset.bias"].shape == (50,)
    assert tensors["fc1.weight"].shape == (2048, 2048)
