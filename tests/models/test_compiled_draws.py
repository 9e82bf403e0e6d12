"""A draw that is chosen by a context reaches functions that were compiled before."""

import concurrent.futures
import threading

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from vipann_tf.models.dropout import Dropout
from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense
from vipann_tf.models.randomness import Draw, randomness

INPUTS = np.random.default_rng(0).normal(size=[4, 6, 5, 2]).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return tf_keras.Sequential(
        [
            tf_keras.Input([6, 5, 2]),
            FlipoutConv2D(3, 3, strides=2, activation="relu", name="conv"),
            Dropout(0.3, monte_carlo=True, name="dropout"),
            tf_keras.layers.Flatten(),
            FlipoutDense(2, bias_kind="normal", name="dense"),
        ]
    )


def drawn(called, draw):
    with randomness(draw):
        return np.asarray(called(INPUTS))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("way", ["predict", "function", "xla", "nested"])
def test_compiled_before_and_called_in_a_context(model, way):
    compiled = {
        "predict": lambda x: model.predict(x, verbose=0),
        "function": tf.function(model),
        "xla": tf.function(model, jit_compile=True),
    }
    called = compiled.get(way) or tf.function(compiled["function"])
    mean = np.asarray(called(INPUTS))
    np.testing.assert_allclose(mean, model(INPUTS), rtol=1e-5, atol=1e-6)
    one, other = (drawn(called, Draw(0, index)) for index in (1, 2))
    for index, answer in ((1, one), (2, other)):
        np.testing.assert_allclose(answer, drawn(model, Draw(0, index)), rtol=1e-5, atol=1e-6)
    assert np.abs(one - other).max() > 0.05 and np.abs(one - mean).max() > 0.05
    np.testing.assert_array_equal(called(INPUTS), mean)  # and it is as it was
    assert not tf.config.functions_run_eagerly()


def test_a_function_with_the_draw_as_its_argument(model, tmp_path):
    plain = tf.function(model)
    plain(INPUTS)

    @tf.function(
        input_signature=[tf.TensorSpec([None, 6, 5, 2])] + 2 * [tf.TensorSpec([], "int64")]
    )
    def answer(inputs, seed, index):
        with randomness(Draw(seed, index)):
            return plain(inputs)  # traced in another mode

    module = tf.Module()
    module.model, module.answer = model, answer
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for index in (1, 2):
        numbers = tf.constant(3, tf.int64), tf.constant(index, tf.int64)
        expected = drawn(model, Draw(3, index))
        for function in (answer, loaded.answer):
            found = function(INPUTS, *numbers)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_vectorized_map_over_draws(model):
    def one(index):
        with randomness(Draw(3, index)):
            return model(INPUTS)

    found = tf.vectorized_map(one, tf.range(1, 4))
    expected = [drawn(model, Draw(3, index)) for index in (1, 2, 3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_threads_have_draws_of_their_own(model):
    compiled = tf.function(model)
    compiled(INPUTS)
    together = threading.Barrier(2)

    def ask(index):
        together.wait()
        return [drawn(compiled, Draw(3, index)) for _ in range(5)]

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, (1, 2)))
    for index, several in zip((1, 2), answers, strict=True):
        for answer in several:
            np.testing.assert_allclose(answer, drawn(model, Draw(3, index)), rtol=1e-5, atol=1e-6)
    assert not tf.config.functions_run_eagerly()
