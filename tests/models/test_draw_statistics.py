"""BatchNorm statistics per draw, against Keras's own BatchNorm in training mode."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import networks
from vipann_tf.models.batch_norm import BatchNorm
from vipann_tf.models.draw_statistics import estimate_statistics
from vipann_tf.models.randomness import Draw, randomness

CLIPS = networks.waveforms(6)
DRAWS, SEED = 2, 4


def network(kind):
    # Dropout in blocks is for training alone, but Keras's training mode would switch it on.
    return networks.network(kind, {"dropout_block": 0.0})


@pytest.fixture(scope="module", params=["flipout", "dropout"])
def model(request):
    return network(request.param)


@pytest.fixture(scope="module")
def shared(model):
    return model.run(CLIPS, stop="shared")


def norms(model):
    """BatchNorm layers behind the stage "shared"."""
    shared = {part.name for part in model.network.parts(stop="shared")}
    parts = model.network.parts()
    return [part for part in parts if isinstance(part, BatchNorm) and part.name not in shared]


def test_statistics_of_one_batch_are_those_that_keras_takes(model, shared):
    """With momentum 0, training mode leaves the moments of the batch in the moving statistics."""
    found = estimate_statistics(model, [shared], num_draws=DRAWS, seed=SEED)
    assert (found.num_draws, found.seed) == (DRAWS, SEED)
    brute = network(model.architecture.trunk)
    for norm in norms(brute):
        norm.momentum = 0.0
        norm.fused = False  # the fused kernel keeps the unbiased variance instead
    for index in range(1, DRAWS + 1):
        with randomness(Draw(tf.constant(SEED, tf.int64), tf.constant(index, tf.int64))):
            brute.network(shared, start="shared", training=True)
        statistics = found.of(index)
        assert statistics.keys() == {norm.name for norm in norms(brute)}
        for norm in norms(brute):
            mean, variance = statistics[norm.name]
            scale = np.sqrt(norm.moving_variance.numpy().max())
            np.testing.assert_allclose(mean, norm.moving_mean, atol=1e-4 * scale)
            np.testing.assert_allclose(variance, norm.moving_variance, rtol=1e-3, atol=1e-4 * scale)


def test_batches_are_taken_together(model, shared):
    """Before the first random BatchNorm nothing was normalised by batch: its moments are exact."""
    together = estimate_statistics(model, [shared], num_draws=1, seed=SEED)
    apart = estimate_statistics(model, [shared[:3], shared[3:]], num_draws=1, seed=SEED)
    first = norms(model)[0].name
    for one, other in zip(together.of(1)[first], apart.of(1)[first], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_draw_is_normalised_by_its_own_statistics(model, shared):
    """On the clips of the estimate, one batch, the answers are those of Keras's training mode."""
    plain = model.run(shared, start="shared", draw=Draw(SEED, 1))
    tracked = len(model.weights)
    model.draw_statistics = estimate_statistics(model, [shared], num_draws=DRAWS, seed=SEED)
    try:
        assert len(model.weights) == tracked
        ours = model.run(shared, start="shared", draw=Draw(SEED, 1))
        with randomness(Draw(tf.constant(SEED, tf.int64), tf.constant(1, tf.int64))):
            expected = network(model.architecture.trunk).network(
                shared, start="shared", training=True
            )
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)
        assert np.abs(ours - plain).max() > 0.01
        # The compiled draw, whose kernels are sampled beforehand, too; the mean is what it was.
        compiled = model.compiled_network
        one = tf.constant(1, tf.int64)
        drawn = compiled.draw(tf.constant(SEED, tf.int64), one)
        np.testing.assert_allclose(compiled.logits(shared, drawn), ours, rtol=1e-4, atol=1e-4)
        twin = model.twin(dtype="mixed_bfloat16")
        lower = twin.run(twin.run(CLIPS, stop="shared"), start="shared", draw=twin.draw(SEED, 1))
        assert np.abs(lower - ours).max() < 0.1 * np.abs(ours).max()
    finally:
        model.draw_statistics = None
    np.testing.assert_array_equal(model.run(shared, start="shared", draw=Draw(SEED, 1)), plain)
