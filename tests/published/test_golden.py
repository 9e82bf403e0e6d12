"""Imported weights against the outputs of the original PyTorch networks, at full width.

What takes minutes on two cores runs where VIPANN_TF_SLOW_TESTS is set.
"""

import os

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import reference
from vipann_tf import published
from vipann_tf.models.loss import probabilities
from vipann_tf.models.vipann import VIPANN
from vipann_tf.published.checkpoint import Checkpoint, check_tensors, to_variables
from vipann_tf.saved_model.export import export
from vipann_tf.saved_model.load import load_signatures
from vipann_tf.saved_model.metadata import ModelInfo

slow = pytest.mark.skipif(
    not os.environ.get("VIPANN_TF_SLOW_TESTS"),
    reason="minutes at full width: set VIPANN_TF_SLOW_TESTS=1 to run it",
)
TOLERANCE = 1e-3  # issue 3: absolute, on logits, probabilities and embeddings


@pytest.fixture(scope="module")
def golden():
    return reference.golden()


@pytest.fixture(scope="module")
def waveforms():
    return reference.waveforms()


def with_variables(architecture, values):
    model = VIPANN(architecture)
    variables = model.named_variables()
    assert set(variables) == set(values)
    for name, variable in variables.items():
        variable.assign(values[name])
    return model


# Requested through `indirect`, so that pytest keeps one of these networks in memory at a time.
@pytest.fixture(scope="module")
def network(request):
    tensors = reference.tensors(request.param)
    kind = check_tensors(tensors, "the stand-in")
    assert kind == request.param
    checkpoint = Checkpoint(kind, tensors)
    return with_variables(checkpoint.architecture, to_variables(checkpoint))


def of(*kinds):
    return pytest.mark.parametrize("network", kinds, indirect=True)


def assert_close(ours, golden):
    assert np.abs(np.asarray(ours) - golden).max() <= TOLERANCE


@of("deterministic")
@pytest.mark.parametrize(
    ("key", "samples"),
    [("det_logits", 320000), ("det_logits_5s", 160000), ("det_logits_98765", 98765)],
)
def test_deterministic_logits(network, golden, waveforms, key, samples):
    assert_close(network(waveforms[:, :samples]), golden[key])


@of("resnet22", pytest.param("resnet38", marks=slow))
def test_panns_probabilities_and_embeddings(network, golden, waveforms):
    name = f"resnet{network.architecture.depth}"
    assert_close(tf.sigmoid(network(waveforms)), golden[f"{name}_probs"])
    assert_close(network.run(waveforms, stop="embedding"), golden[f"{name}_embedding"])


@of("flipout")
def test_flipout_mean_logits(network, golden, waveforms):
    assert_close(network(waveforms), golden["flip_mean_logits"])


@of("flipout")
def test_flipout_kl(network, golden):
    np.testing.assert_allclose(network.kl("sum"), golden["kl_sum"], rtol=1e-5)
    np.testing.assert_allclose(network.kl("mean"), golden["kl_mean_per_layer_summed"], rtol=1e-5)


@slow
@of("flipout")
@pytest.mark.parametrize(
    ("signs", "draws", "key"), [("channel", 64, "flip_draw"), ("activation", 32, "flip_mc")]
)
def test_flipout_draws(network, golden, waveforms, signs, draws, key):
    model = network
    if model.architecture.signs != signs:
        architecture = model.architecture.model_copy(update={"signs": signs})
        model = network.twin(architecture=architecture)
    shared = model.run(waveforms, stop="shared")

    @tf.function
    def answer(index):
        return probabilities(
            model.run(shared, start="shared", draw=model.draw(11, index)), "multilabel"
        )

    probs = np.stack([answer(tf.constant(index)) for index in range(1, draws + 1)])
    mean, std = golden[f"{key}_mean_probs"], golden[f"{key}_std_probs"]
    assert np.corrcoef(probs.mean(axis=0).ravel(), mean.ravel())[0, 1] > 0.99
    assert 0.9 < probs.std(axis=0).mean() / std.mean() < 1.1


@slow
@of("deterministic", "flipout", "resnet22", "resnet38")
def test_exported_model(network, golden, waveforms, tmp_path):
    info = ModelInfo(
        origin="import",
        architecture=network.architecture,
        sample_rate_hz=32000,
        clip_seconds=10.0,
        num_draws=1,
        seed=0,
        variables=[],
    )
    export(network, tmp_path / "model", info, list(published.audioset_labels()))
    signatures = load_signatures(tmp_path / "model").signatures

    def ask(signature, output, samples=320000):
        return signatures[signature](waveform=tf.constant(waveforms[:, :samples]))[output]

    if network.architecture.trunk == "flipout":
        assert_close(ask("posterior_mean", "logits"), golden["flip_mean_logits"])
        return
    depth = network.architecture.depth
    probs = golden["det_probs" if depth == 54 else f"resnet{depth}_probs"]
    assert_close(ask("serving_default", "probabilities"), probs)
    if depth == 54:
        for key, samples in [
            ("det_logits", 320000),
            ("det_logits_5s", 160000),
            ("det_logits_98765", 98765),
        ]:
            assert_close(ask("posterior_mean", "logits", samples), golden[key])
            assert_close(ask("serving_default", "probabilities", samples), tf.sigmoid(golden[key]))
    else:
        assert_close(ask("embed", "embedding"), golden[f"resnet{depth}_embedding"])
