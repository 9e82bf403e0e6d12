"""The random numbers of steps and draws: distribution, keys, contexts."""

import functools
import zlib

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.oracles import LARGEST_Z
from vipann_tf.models import randomness as rnd
from vipann_tf.models.randomness import Draw, TrainingNoise

# Of seed 7, draw 3 and the layer "stage1.block0.conv1", with TensorFlow 2.17 and 2.21.
KEY = [8300880858537896868, 3919046219]
NORMALS = [1.501834, 0.180833, -0.318277, 0.33511]
UNIFORMS = [0.31850934, 0.2309283, 0.89870572, 0.87909925]
SIGNS = [1, -1, 1, -1, -1, 1, -1, -1]


def seed(first=1, second=2):
    return tf.constant([first, second], tf.int64)


def test_signs_are_fair_and_independent():
    signs = rnd.rademacher([200, 501], seed(), tf.float32).numpy()
    assert set(np.unique(signs)) == {-1.0, 1.0}
    n = signs.size
    assert abs(signs.mean()) < LARGEST_Z / np.sqrt(n)
    for product in (signs[1:] * signs[:-1], signs[:, 1:] * signs[:, :-1]):
        assert abs(product.mean()) < LARGEST_Z / np.sqrt(product.size)
    np.testing.assert_array_equal(
        tf.cast(rnd.rademacher([200, 501], seed(), tf.bfloat16), tf.float32), signs
    )


def test_normal_and_uniform_numbers():
    normal = rnd.normal([100, 301], seed()).numpy()
    uniform = rnd.uniform([100, 301], seed()).numpy()
    n = normal.size
    assert (normal.dtype, uniform.dtype) == (np.float32, np.float32)
    assert abs(normal.mean()) < LARGEST_Z / np.sqrt(n)
    assert abs(normal.var() - 1) < LARGEST_Z * np.sqrt(2 / n)
    assert abs(uniform.mean() - 0.5) < LARGEST_Z / np.sqrt(12 * n)
    assert uniform.min() >= 0 and uniform.max() < 1


@pytest.mark.parametrize("numbers", [rnd.normal, rnd.uniform])
def test_rows_do_not_depend_on_their_number(numbers):
    """What `per_example` asks of a generator."""
    many = numbers([9, 5, 7], seed())
    for rows in (1, 2, 8):
        np.testing.assert_array_equal(numbers([rows, 5, 7], seed()), many[:rows])


def test_per_example_takes_the_rows_of_the_global_batch():
    def sample(shape):
        return rnd.normal(shape, seed())

    whole = rnd.per_example(sample, tf.zeros([6, 2]), TrainingNoise(0, 0), [3])
    for offset in (0, 1, 4):
        part = rnd.per_example(sample, tf.zeros([2, 2]), TrainingNoise(0, 0, offset), [3])
        np.testing.assert_array_equal(part, whole[offset : offset + 2])


def test_published_numbers():
    """The keys are a contract: a model exported today answers alike tomorrow, here or in Serving.

    Philox 4 x 32-10 (Salmon et al., SC 2011) as TensorFlow 2.17 keys and counts it.
    """
    key = Draw(7, 3).layer_seed("stage1.block0.conv1")
    np.testing.assert_array_equal(key, TrainingNoise(7, 3).layer_seed("stage1.block0.conv1"))
    np.testing.assert_array_equal(key, KEY)
    np.testing.assert_allclose(rnd.normal([4], key), NORMALS, rtol=1e-5)
    np.testing.assert_allclose(rnd.uniform([4], key), UNIFORMS, rtol=1e-6)
    np.testing.assert_array_equal(rnd.rademacher([8], key, tf.float32), SIGNS)


def test_under_xla_the_numbers_are_others_of_the_same_distribution():
    """What docs/decisions.md says. Where this fails, TensorFlow has mended it."""
    key = Draw(7, 3).layer_seed("stage1.block0.conv1")
    compiled = tf.function(rnd.normal, jit_compile=True, autograph=False)([40_000], key)
    again = tf.function(rnd.normal, jit_compile=True, autograph=False)([40_000], key)
    np.testing.assert_array_equal(compiled, again)
    assert np.mean(compiled == rnd.normal([40_000], key)) < 0.01
    assert abs(np.mean(compiled)) < 5 / 200 and abs(np.std(compiled) - 1) < 5 / 280


def test_keys_differ():
    keys = {
        tuple(Draw(s, index).layer_seed(name).numpy())
        for s in (0, 1, -1, 2**40)
        for index in (0, 1, 2**40)
        for name in ("fc1", "fc_out", "fc1/signs", "")
    }
    assert len(keys) == 4 * 3 * 4


def test_contexts_nest_and_end():
    outer, inner = Draw(1, 1), TrainingNoise(2, 2)
    assert rnd.current_randomness() is None
    with rnd.randomness(outer):
        with rnd.randomness(inner):
            assert rnd.current_randomness() is inner
        assert rnd.current_randomness() is outer
        with rnd.randomness(None):
            assert rnd.current_randomness() is None
        with pytest.raises(RuntimeError, match="stop"), rnd.randomness(inner):
            raise RuntimeError("stop")
        assert rnd.current_randomness(training=True) is outer
    assert rnd.current_randomness(training=False) is None


def test_training_outside_a_context_has_fresh_noise():
    first, second = rnd.current_randomness(training=True), rnd.current_randomness(training=True)
    assert isinstance(first, TrainingNoise)
    assert int(first.seed) != int(second.seed)
    compiled = tf.function(lambda: rnd.current_randomness(training=True).layer_seed("fc1"))
    assert compiled().numpy().tolist() != compiled().numpy().tolist()


@pytest.mark.parametrize("numbers", [[0, 0], [1, 2], [-5, 2**62], [123_456_789, -1]])
def test_numbers_are_those_of_tensorflows_philox(numbers):
    seed = tf.constant(numbers, tf.int64)
    random = functools.partial(tf.random.stateless_uniform, seed=seed, alg="philox")
    np.testing.assert_array_equal(
        rnd.normal([7, 31], seed), tf.random.stateless_normal([7, 31], seed, alg="philox")
    )
    np.testing.assert_array_equal(rnd.uniform([7, 31], seed), random([7, 31]))
    bits = random([7, 31], minval=None, maxval=None, dtype=tf.int32)
    np.testing.assert_array_equal(
        rnd.rademacher([7, 31], seed, tf.float32), np.where(bits < 0, -1, 1)
    )
    folded = tf.random.fold_in(seed, tf.constant(zlib.crc32(b"conv1"), tf.int64), alg="philox")
    np.testing.assert_array_equal(Draw(*tf.unstack(seed)).layer_seed("conv1"), folded)
