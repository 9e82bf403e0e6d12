"""The forms of a Flipout convolution against the equation, computed by NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.oracles import convolve
from vipann_tf.models import flipout_convolution as module
from vipann_tf.models.flipout_convolution import flipout_convolution

# [batch, time, frequency, channels], kernel, filters: below and above the number of pixels.
CASES = [
    ([3, 5, 4, 6], (3, 3), 7),
    ([3, 5, 4, 6], (1, 1), 7),
    ([3, 21, 13, 4], (3, 2), 5),
    ([2, 16, 15, 4], (1, 1), 5),
    ([1, 30, 9, 2], (3, 3), 3),
]


@pytest.fixture(autouse=True)
def _few_numbers_are_enough_for_a_loop(monkeypatch):
    monkeypatch.setattr(module, "MIN_NUMBERS", 500)


def numbers(shape, kernel, filters):
    """Inputs, mean, perturbation, signs of inputs and outputs, float64."""
    random = np.random.default_rng(8)
    kernel = (*kernel, shape[-1], filters)
    return (
        random.normal(size=shape),
        random.normal(size=kernel),
        random.normal(size=kernel),
        random.choice([-1.0, 1.0], [shape[0], 1, 1, shape[-1]]),
        random.choice([-1.0, 1.0], [shape[0], 1, 1, filters]),
    )


def by_the_equation(inputs, mean, perturbation, sign_in, sign_out):
    return convolve(inputs, mean) + convolve(inputs * sign_in, perturbation) * sign_out


def gradients(function, arguments, upstream):
    with tf.GradientTape() as tape:
        tape.watch(arguments[:3])
        outputs = function(*arguments)
    return tape.gradient(outputs, arguments[:3], output_gradients=upstream)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("known", ["all", "nothing"])
def test_it_is_the_equation(case, known):
    arrays = numbers(*case)
    tensors = [tf.constant(array, tf.float32) for array in arrays]
    shapes = [tensor.shape for tensor in tensors]
    if known == "nothing":  # batch, frames and bands as they are where clips are of any length
        for place in (0, 3, 4):
            shapes[place] = tf.TensorShape([None, None, None, shapes[place][-1]])
    traced = tf.function(
        flipout_convolution, [tf.TensorSpec(shape) for shape in shapes], autograph=False
    )
    expected = by_the_equation(*arrays)
    np.testing.assert_allclose(traced(*tensors), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("xla", [None, True])
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_the_equation(case, xla):
    """Of a linear map the gradient is known: the outputs for unit vectors, times the upstream."""
    arrays = numbers(*case)
    tensors = [tf.constant(array, tf.float32) for array in arrays]
    upstream = np.random.default_rng(9).normal(size=by_the_equation(*arrays).shape)
    found = tf.function(gradients, autograph=False, jit_compile=xla)(
        flipout_convolution, tensors, tf.constant(upstream, tf.float32)
    )
    random = np.random.default_rng(10)
    for place, gradient in enumerate(found):
        assert gradient.shape == arrays[place].shape and gradient.dtype == tf.float32
        for _ in range(5):
            direction = random.normal(size=arrays[place].shape)
            moved = list(arrays)
            moved[place] = arrays[place] + direction
            # The map is affine in each argument: a step of any length is exact.
            change = np.sum((by_the_equation(*moved) - by_the_equation(*arrays)) * upstream)
            scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
            assert abs(np.sum(gradient * direction) - change) < 1e-5 * scale


def test_which_form_is_used(monkeypatch):
    """By the operations of the outermost graph: a loop's are in a graph of their own."""

    def operations(case):
        graph = tf.function(flipout_convolution, autograph=False).get_concrete_function(
            *(tf.constant(array, tf.float32) for array in numbers(*case))
        )
        types = [operation.type for operation in graph.graph.get_operations()]
        return types.count("Conv2D"), types.count("BatchMatMulV2")

    few, few_by_one, many, many_by_one, one_example = map(operations, CASES)
    assert few == few_by_one == (2, 0)
    assert many == one_example == (0, 0)
    assert many_by_one == (0, 1)
    with monkeypatch.context() as patch:
        patch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
        assert operations(CASES[2]) == (2, 0)
        assert operations(CASES[3]) == (0, 1)
    monkeypatch.setattr(module, "MIN_NUMBERS", 10_000)
    assert operations(CASES[2]) == (2, 0)
    assert operations(CASES[3]) == (0, 1)
    monkeypatch.setattr(module, "MIN_PIXELS", 10_000)
    assert operations(CASES[3]) == (2, 0)


@pytest.mark.parametrize("case", CASES)
def test_bfloat16(case):
    arrays = numbers(*case)
    inputs, mean, perturbation, *signs = (tf.constant(array, tf.float32) for array in arrays)
    low = [tf.cast(tensor, tf.bfloat16) for tensor in (inputs, *signs)]
    outputs = flipout_convolution(low[0], mean, perturbation, *low[1:])
    assert outputs.dtype == tf.bfloat16
    scale = convolve(np.abs(arrays[0]), np.abs(arrays[1]) + np.abs(arrays[2]))
    error = np.abs(tf.cast(outputs, tf.float32) - by_the_equation(*arrays))
    # Inputs, kernel, product and sum are each rounded to 8 bits.
    assert (error < 4 * 2**-9 * scale).all()
