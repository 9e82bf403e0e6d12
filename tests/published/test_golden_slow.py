"""As test_golden.py: what takes minutes on two cores."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.reference import assert_close, of
from vipann_tf import published
from vipann_tf.models.loss import probabilities
from vipann_tf.saved_model.export import export
from vipann_tf.saved_model.load import load_signatures
from vipann_tf.saved_model.metadata import ModelInfo

if not os.environ.get("VIPANN_TF_SLOW_TESTS"):
    pytest.skip(
        "minutes at full width: set VIPANN_TF_SLOW_TESTS=1 to run them", allow_module_level=True
    )


@of("resnet38")
def test_panns_probabilities_and_embeddings(network, golden, waveforms):
    assert_close(tf.sigmoid(network(waveforms)), golden["resnet38_probs"])
    assert_close(network.run(waveforms, stop="embedding"), golden["resnet38_embedding"])


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
