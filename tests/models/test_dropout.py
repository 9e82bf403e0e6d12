"""Dropout: shares, scale, and whose mask is whose."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.oracles import LARGEST_Z
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.randomness import Draw, TrainingNoise, randomness

NOISE, DRAW = TrainingNoise(3, 4), Draw(3, 4)
ONES = np.ones([6, 50, 7, 5], np.float32)


def call(layer, inputs, context):
    with randomness(context):
        return layer(inputs).numpy()


def correlation(first, second):
    """Of two masks, over its standard error."""
    return np.corrcoef(first.ravel(), second.ravel())[0, 1] * np.sqrt(first.size)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("context", [NOISE, DRAW])
def test_share_and_scale(rate, context):
    outputs = call(Dropout(rate, monte_carlo=True), ONES, context)
    if context is DRAW:
        outputs = outputs[0]
    kept = outputs != 0
    np.testing.assert_allclose(outputs[kept], 1 / (1 - rate), rtol=1e-6)
    assert abs(kept.mean() - (1 - rate)) < LARGEST_Z * np.sqrt(rate * (1 - rate) / kept.size)


def test_inputs_are_scaled():
    inputs = tf.random.stateless_normal(ONES.shape, [1, 2])
    layer = Dropout(0.25, monte_carlo=True)
    expected = inputs * call(layer, ONES, NOISE)
    np.testing.assert_allclose(call(layer, inputs, NOISE), expected, rtol=1e-6)


def test_a_draw_has_one_mask():
    outputs = call(Dropout(0.3, monte_carlo=True, name="a"), ONES, DRAW)
    np.testing.assert_array_equal(outputs, np.broadcast_to(outputs[:1], outputs.shape))
    for other in (Draw(3, 5), Draw(4, 4)):
        another = call(Dropout(0.3, monte_carlo=True, name="a"), ONES, other)
        assert abs(correlation(outputs[0], another[0])) < LARGEST_Z
    renamed = call(Dropout(0.3, monte_carlo=True, name="b"), ONES, DRAW)
    assert abs(correlation(outputs[0], renamed[0])) < LARGEST_Z


def test_a_step_has_a_mask_for_each_example():
    outputs = call(Dropout(0.3, name="a"), ONES, NOISE)
    for first in range(len(outputs)):
        for second in range(first):
            assert abs(correlation(outputs[first], outputs[second])) < LARGEST_Z
    again = call(Dropout(0.3, name="a"), ONES, TrainingNoise(3, 4))
    np.testing.assert_array_equal(outputs, again)
    later = call(Dropout(0.3, name="a"), ONES, TrainingNoise(3, 5))
    assert abs(correlation(outputs, later)) < LARGEST_Z


@pytest.mark.parametrize("offset", [1, 4])
def test_replicas_draw_the_masks_of_the_global_batch(offset):
    layer = Dropout(0.3)
    part = call(layer, ONES[offset:], TrainingNoise(3, 4, offset))
    np.testing.assert_array_equal(part, call(layer, ONES, NOISE)[offset:])


@pytest.mark.parametrize(
    ("monte_carlo", "trainable", "context", "drops"),
    [
        (False, True, NOISE, True),
        (False, True, DRAW, False),
        (False, True, None, False),
        (False, False, NOISE, False),  # frozen: it regularises nothing
        (False, False, DRAW, False),
        (True, True, NOISE, True),
        (True, True, DRAW, True),
        (True, True, None, False),
        (True, False, NOISE, True),  # frozen, but part of the posterior
        (True, False, DRAW, True),
        (True, False, None, False),
    ],
)
def test_when_it_drops(monte_carlo, trainable, context, drops):
    layer = Dropout(0.3, monte_carlo=monte_carlo)
    layer.trainable = trainable
    assert (call(layer, ONES, context) == 0).any() == drops


def test_training_without_a_context_has_fresh_masks():
    layer = Dropout(0.3)
    first, second = layer(ONES, training=True).numpy(), layer(ONES, training=True).numpy()
    assert (first == 0).any() and abs(correlation(first, second)) < LARGEST_Z
    np.testing.assert_array_equal(layer(ONES, training=False), ONES)
    np.testing.assert_array_equal(layer(ONES), ONES)


def test_rate_0_is_the_identity():
    np.testing.assert_array_equal(call(Dropout(0, monte_carlo=True), ONES, DRAW), ONES)


def test_bfloat16_has_the_same_mask():
    full = Dropout(0.5, monte_carlo=True, name="a")
    mixed = Dropout(0.5, monte_carlo=True, name="a", dtype="mixed_bfloat16")
    with randomness(DRAW):
        outputs = mixed(ONES)
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(outputs, tf.float32), call(full, ONES, DRAW))


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_wrong_rate(rate):
    with pytest.raises(ValueError, match=f"rate is {rate}; a dropout rate is at least 0 and below"):
        Dropout(rate)
