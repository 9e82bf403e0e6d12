"""Shift and gain, and what holds for every augmentation."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.helpers.oracles import SIGMAS, within_standard_errors
from vipann_tf.audio import augment
from vipann_tf.errors import UserError

SEED = tf.constant([11, 4], tf.int64)


MANY = 4000  # examples where a distribution is estimated


def shifts(count, samples, maximum):
    """The shift of each example, from an impulse in the middle."""
    impulse = tf.tile(tf.one_hot([samples // 2], samples), [count, 1])
    return augment.time_shift(impulse, SEED, maximum).numpy().argmax(-1) - samples // 2


def test_shift_is_uniform_in_both_directions():
    found = shifts(1500, 41, 7)
    assert set(found) == set(range(-7, 8))
    assert stats.chisquare(np.unique(found, return_counts=True)[1]).pvalue > 1e-4
    within_standard_errors(found, 0.0)


@pytest.mark.parametrize("maximum", [0, 3, 29, 100])
def test_wrapped_and_zero_filled_shift_against_numpy(maximum):
    waveform = np.random.default_rng(2).normal(size=[5, 29]).astype(np.float32)
    # The shifts come from the seed alone: impulses in a longer clip show them.
    found = shifts(5, 301, maximum)
    wrapped = augment.time_shift(waveform, SEED, maximum).numpy()
    zeroed = augment.time_shift(waveform, SEED, maximum, fill="zeros").numpy()
    for clip, by, ours_wrapped, ours_zeroed in zip(waveform, found, wrapped, zeroed, strict=True):
        np.testing.assert_array_equal(ours_wrapped, np.roll(clip, by))
        kept = np.zeros_like(clip)
        for i, value in enumerate(clip):
            if 0 <= i + by < clip.size:
                kept[i + by] = value
        np.testing.assert_array_equal(ours_zeroed, kept)


def test_shift_refuses():
    with pytest.raises(UserError, match="max_shift_samples is -1; it must be from 0 to 4194303"):
        augment.time_shift(tf.zeros([1, 9]), SEED, -1)
    with pytest.raises(UserError, match="fill is 'mirror'; it must be one of wrap, zeros"):
        augment.time_shift(tf.zeros([1, 9]), SEED, 1, fill="mirror")


def test_gain_is_uniform_in_decibels():
    scaled = augment.random_gain(tf.ones([MANY, 2]), SEED, 6.0).numpy()
    np.testing.assert_array_equal(scaled[:, 0], scaled[:, 1])
    gain_db = 20 * np.log10(scaled[:, 0])
    assert stats.kstest(gain_db, stats.uniform(-6, 12).cdf).pvalue > 1e-3


def test_no_gain_changes_nothing():
    waveform = tf.random.stateless_normal([3, 5], [1, 2])
    np.testing.assert_array_equal(augment.random_gain(waveform, SEED, 0.0), waveform)


@pytest.mark.parametrize("gain", [-0.5, float("nan")])
def test_gain_refuses(gain):
    with pytest.raises(UserError, match=f"max_gain_db is {gain}; it must be 0 or more"):
        augment.random_gain(tf.zeros([1, 9]), SEED, gain)


TRANSFORMS = {
    "mixup": lambda x, seed, o: augment.mixup(x, x[:, :3, 0], seed, 0.4, example_offset=o)[0],
    "spec_augment": lambda x, seed, o: augment.spec_augment(x, seed, 20, 2, 4, example_offset=o),
    "time_shift": lambda x, seed, o: augment.time_shift(x[..., 0], seed, 9, example_offset=o),
    "random_gain": lambda x, seed, o: augment.random_gain(x[..., 0], seed, 9.0, example_offset=o),
}


def test_every_public_function_is_in_the_table():
    assert set(TRANSFORMS) == set(augment.__all__) - {"SHIFT_FILLS"}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_replicas_see_what_one_device_sees(transform):
    batch = tf.random.stateless_normal([12, 83, 9], [3, 4])
    whole = transform(batch, SEED, 0)
    for size in (2, 4, 6):
        parts = [transform(batch[i : i + size], SEED, i) for i in range(0, 12, size)]
        # Not bit by bit: a vectorised exp or cos rounds the tail of an array in its own way.
        np.testing.assert_allclose(tf.concat(parts, 0), whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_compiled_with_unknown_shapes_equals_eager(transform):
    traced = tf.function(
        transform,
        input_signature=[
            tf.TensorSpec([None, None, 9]),
            tf.TensorSpec([2], tf.int64),
            tf.TensorSpec([], tf.int32),
        ],
    )
    for batch, frames, offset in [(4, 83, 0), (5, 31, 2)]:
        values = tf.random.stateless_normal([batch, frames, 9], [3, 4])
        np.testing.assert_allclose(
            traced(values, SEED, offset), transform(values, SEED, offset), atol=1e-6
        )


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_the_seed_decides(transform):
    values = tf.random.stateless_normal([4, 83, 9], [3, 4])
    first = transform(values, SEED, 0).numpy()
    np.testing.assert_array_equal(first, transform(values, SEED, 0))
    np.testing.assert_array_equal(first, transform(values, tf.cast(SEED, tf.int32), 0))
    assert (first != transform(values, tf.constant([12, 4], tf.int64), 0).numpy()).any()


def test_functions_draw_apart_from_one_seed():
    gain = np.log(augment.random_gain(tf.ones([1000, 1]), SEED, 6.0).numpy()[:, 0])
    shift = shifts(1000, 41, 20)
    assert abs(np.corrcoef(gain, shift)[0, 1]) < SIGMAS / np.sqrt(1000)
