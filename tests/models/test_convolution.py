"""Convolution in both of its forms against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.helpers.oracles import convolve as expected_convolution
from vipann_tf.models import convolution as module
from vipann_tf.models.convolution import Conv2D, convolve

SHAPES = [([3, 5, 4, 6], (3, 3), 7), ([2, 9, 4, 3], (3, 2), 5), ([2, 4, 6, 3], (1, 1), 5)]


@pytest.fixture(params=["small", "large"], autouse=True)
def form(request, monkeypatch):
    """Every kernel as a small one and as a large one."""
    if request.param == "large":
        monkeypatch.setattr(module, "LARGE_KERNEL", 1)
    return request.param


def numbers(shape, kernel, filters):
    random = np.random.default_rng(8)
    return random.normal(size=shape), random.normal(size=(*kernel, shape[-1], filters))


@pytest.mark.parametrize("case", SHAPES)
def test_values_for_known_and_unknown_lengths(case, form):
    inputs, kernel = numbers(*case)
    tensors = [tf.constant(inputs, tf.float32), tf.constant(kernel, tf.float32)]
    expected = expected_convolution(inputs, kernel)
    for shape in (inputs.shape, [None, None, None, inputs.shape[-1]]):
        graph = tf.function(
            convolve, [tf.TensorSpec(shape), tf.TensorSpec(kernel.shape)], autograph=False
        ).get_concrete_function()
        np.testing.assert_allclose(graph(*tensors), expected, rtol=1e-4, atol=1e-5)
        assert graph.structured_outputs.shape.as_list() == [*shape[:-1], kernel.shape[-1]]
        convolutions = [op for op in graph.graph.get_operations() if op.type == "Conv2D"]
        assert len(convolutions) == (form == "small")


@pytest.mark.parametrize("case", SHAPES)
def test_gradients(case):
    """The map is linear in each argument, so a step of any length is exact."""
    arrays = numbers(*case)
    tensors = [tf.constant(array, tf.float32) for array in arrays]
    random = np.random.default_rng(9)
    upstream = random.normal(size=expected_convolution(*arrays).shape)
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs = convolve(*tensors)
    found = tape.gradient(outputs, tensors, output_gradients=tf.constant(upstream, tf.float32))
    for place, gradient in enumerate(found):
        direction = random.normal(size=arrays[place].shape)
        changed = [*arrays]
        changed[place] = direction
        change = np.sum(expected_convolution(*changed) * upstream)
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert abs(np.sum(gradient * direction) - change) < 1e-5 * scale


def test_the_layer_is_kerass():
    inputs = tf.random.stateless_normal([2, 5, 4, 3], [1, 2])
    ours = Conv2D(6, 3, name="conv")
    kerass = tf_keras.layers.Conv2D(6, 3, padding="same", use_bias=False)
    kerass.build(inputs.shape)
    ours.build(inputs.shape)
    ours.set_weights(kerass.get_weights())
    np.testing.assert_allclose(ours(inputs), kerass(inputs), rtol=1e-4, atol=1e-6)
    with pytest.raises(TypeError, match="unexpected keyword argument 'strides'"):
        Conv2D(6, 3, strides=2)
