"""Imported weights against the outputs of the original PyTorch networks, at full width.

test_golden_slow.py has what takes minutes on two cores.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.reference import assert_close, of


@of("deterministic")
@pytest.mark.parametrize(
    ("key", "samples"),
    [("det_logits", 320000), ("det_logits_5s", 160000), ("det_logits_98765", 98765)],
)
def test_deterministic_logits(network, golden, waveforms, key, samples):
    assert_close(network(waveforms[:, :samples]), golden[key])


@of("resnet22")
def test_panns_probabilities_and_embeddings(network, golden, waveforms):
    assert_close(tf.sigmoid(network(waveforms)), golden["resnet22_probs"])
    assert_close(network.run(waveforms, stop="embedding"), golden["resnet22_embedding"])


@pytest.mark.slow
@of("flipout")
def test_flipout_mean_logits(network, golden, waveforms):
    assert_close(network(waveforms), golden["flip_mean_logits"])


@pytest.mark.slow
@of("flipout")
def test_flipout_kl(network, golden):
    np.testing.assert_allclose(network.kl("sum"), golden["kl_sum"], rtol=1e-5)
    np.testing.assert_allclose(network.kl("mean"), golden["kl_mean_per_layer_summed"], rtol=1e-5)
