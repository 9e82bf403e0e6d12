"""Architectures: channel counts, parameter counts of the published networks, wrong values."""

import pytest
import tensorflow as tf

from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN

SMALLEST = {"labels": 3, "task": "multiclass"}


@pytest.mark.parametrize(
    ("width", "stem", "top"), [(1.0, 64, 2048), (0.25, 16, 512), (1 / 64, 1, 32), (4, 256, 8192)]
)
def test_channels(width, stem, top):
    architecture = Architecture(width=width, **SMALLEST)
    assert architecture.channels(64) == stem
    assert architecture.embedding_size == architecture.pooled_size == top


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trunk", "parameters"), [("deterministic", 104_318_159), ("flipout", 203_298_575)]
)
def test_published_number_of_parameters(trunk, parameters):
    # In a graph, variables of the full width take no memory.
    with tf.Graph().as_default():
        model = VIPANN(Architecture(trunk=trunk, labels=527, task="multilabel"))
        trainable = sum(v.shape.num_elements() for v in model.trainable_variables)
    assert trainable == parameters


@pytest.mark.parametrize(
    ("trunk", "head", "stochastic"),
    [
        ("deterministic", "deterministic", False),
        ("dropout", "deterministic", True),
        ("deterministic", "flipout", True),
        ("flipout", "dropout", True),
        ("deterministic", "laplace", True),
    ],
)
def test_stochastic(trunk, head, stochastic):
    architecture = Architecture(trunk=trunk, head=head, **SMALLEST)
    assert architecture.stochastic == stochastic
    assert list(architecture.draw_indices(3)) == ([1, 2, 3] if stochastic else [1])


def test_round_trip_through_json():
    architecture = Architecture(
        depth=38,
        width=0.125,
        trunk="flipout",
        head="dropout",
        labels=7,
        task="multilabel",
        signs="activation",
        dropout_conv=0.3,
        dropout_dense=0.4,
        dropout_block=0.25,
    )
    values = architecture.model_dump()
    assert set(values) == set(Architecture.model_fields)
    for name, field in Architecture.model_fields.items():
        assert values[name] != field.default, f"{name} is tested at its default"
    assert Architecture.model_validate_json(architecture.model_dump_json()) == architecture


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"width": 0.1}, "width 0.1 does not give whole channel counts; use a multiple of 1/64"),
        ({"width": 0.0}, "width 0.0 does not give whole channel counts"),
        ({"width": 4.5}, "width 4.5 does not give whole channel counts; .* up to 4"),
        ({"width": float("nan")}, "width nan does not give whole channel counts"),
        ({"labels": 0}, r"labels\n.*greater than or equal to 1.*input_value=0"),
        ({"depth": 50}, r"depth\n.*22, 38 or 54.*input_value=50"),
        ({"trunk": "bayes"}, r"trunk\n.*'deterministic', 'dropout' or 'flipout'.*'bayes'"),
        ({"head": "bayes"}, r"head\n.*'deterministic', 'dropout', 'flipout' or 'laplace'.*'bayes'"),
        (
            {"trunk": "dropout", "head": "laplace"},
            "a laplace head needs a deterministic trunk, but trunk is 'dropout'",
        ),
        ({"task": "tagging"}, r"task\n.*'multilabel' or 'multiclass'.*'tagging'"),
        ({"signs": "pixel"}, r"signs\n.*'channel' or 'activation'.*'pixel'"),
        ({"dropout_conv": 1.0}, r"dropout_conv\n.*less than 1.*input_value=1.0"),
        ({"dropout_dense": -0.1}, r"dropout_dense\n.*greater than or equal to 0.*-0.1"),
        ({"dropout_block": 1.5}, r"dropout_block\n.*less than 1.*1.5"),
        ({"depht": 54}, r"depht\n.*Extra inputs are not permitted"),
    ],
)
def test_wrong_values(argument, message):
    with pytest.raises(ValueError, match=message):
        Architecture(**{**SMALLEST, **argument})


def test_it_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Architecture(**SMALLEST).depth = 22
