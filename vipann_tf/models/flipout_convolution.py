"""The convolution of a Flipout training step, in the cheaper of two forms.

For an example x_b, a kernel's mean mu and perturbation P = sigma . eps, and signs r_b, s_b per
channel, Flipout (Wen et al., arXiv 1803.04386, equation 4) computes

    y_b = x_b * mu + ((x_b . r_b) * P) . s_b:

which is two convolutions of the batch, or six with gradients. Signs per channel can be applied to
the kernel instead, W_b[.., i, j] = mu[.., i, j] + r_b[i] P[.., i, j] s_b[j], so that

    y_b = x_b * W_b

is the same result by one convolution per example, or three with gradients, but writes a kernel and
reads its gradient once per example. That is faster if an example has so many pixels that its
products take longer than these passes over memory. docs/decisions.md has the measurements.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from vipann_tf.models.convolution import convolve

# Least number of pixels (time x frequency) per example for which one kernel per example is faster.
MIN_PIXELS = 200
# Least number of activations (pixels x channels) per example for which a loop is faster.
MIN_NUMBERS = 50_000


def flipout_convolution(
    inputs: tf.Tensor,
    mean: tf.Tensor,
    perturbation: tf.Tensor,
    sign_in: tf.Tensor,
    sign_out: tf.Tensor,
) -> tf.Tensor:
    """Compute x * mu + ((x . r) * P) . s with stride 1 and SAME padding.

    Returns [batch, time, frequency, filters].

    Args:
      inputs: [batch, time, frequency, channels], of the dtype to compute in.
      mean: float32 [height, width, channels, filters].
      perturbation: float32 [height, width, channels, filters].
      sign_in: [batch, 1, 1, channels], of the inputs' dtype.
      sign_out: [batch, 1, 1, filters], of the inputs' dtype.
    """
    compute = _fastest(inputs.shape, mean.shape)
    return compute(inputs, tf.convert_to_tensor(mean), perturbation, sign_in, sign_out)


def _fastest(inputs: tf.TensorShape, kernel: tf.TensorShape) -> Any:
    """Return the function that is fastest for inputs and kernels of these shapes."""
    pixels = inputs[1:3].num_elements()
    if pixels is None or pixels < MIN_PIXELS:
        return _batched
    if kernel[:2].num_elements() == 1:
        return _pointwise_per_example
    # Not on a GPU, which one example at a time may leave idle; this was not measured.
    if pixels * inputs[-1] < MIN_NUMBERS or tf.config.list_logical_devices("GPU"):
        return _batched
    return tf.custom_gradient(_looped_per_example)


def _batched(
    inputs: tf.Tensor,
    mean: tf.Tensor,
    perturbation: tf.Tensor,
    sign_in: tf.Tensor,
    sign_out: tf.Tensor,
) -> tf.Tensor:
    """Compute the equation directly."""
    outputs = convolve(inputs, tf.cast(mean, inputs.dtype))
    perturbed = convolve(inputs * sign_in, tf.cast(perturbation, inputs.dtype))
    return outputs + perturbed * sign_out


def _pointwise_per_example(
    inputs: tf.Tensor,
    mean: tf.Tensor,
    perturbation: tf.Tensor,
    sign_in: tf.Tensor,
    sign_out: tf.Tensor,
) -> tf.Tensor:
    """Multiply the pixels of each example by its own matrix, for 1 x 1 kernels."""
    batch, time, frequency, channels = tf.unstack(tf.shape(inputs))
    filters = mean.shape[-1]
    signs = _kernel_signs(sign_in[:, 0, 0], sign_out[:, 0, 0])
    matrices = tf.cast(mean[0, 0] + perturbation[0, 0] * signs, inputs.dtype)
    pixels = tf.reshape(inputs, [batch, time * frequency, channels])
    outputs = tf.reshape(tf.linalg.matmul(pixels, matrices), [batch, time, frequency, filters])
    outputs.set_shape([*inputs.shape[:-1], filters])
    return outputs


def _looped_per_example(
    inputs: tf.Tensor,
    mean: tf.Tensor,
    perturbation: tf.Tensor,
    sign_in: tf.Tensor,
    sign_out: tf.Tensor,
) -> tuple[tf.Tensor, Callable[..., Any]]:
    """Convolve one example after another; the returned gradient computes the kernels again."""
    count, dtype = tf.shape(inputs)[0], inputs.dtype
    sign_in, sign_out = sign_in[:, 0, 0], sign_out[:, 0, 0]

    def kernel_of(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        signs = _kernel_signs(sign_in[index], sign_out[index])
        return signs, tf.cast(mean + perturbation * signs, dtype)

    def output_of(index: tf.Tensor) -> tf.Tensor:
        _, kernel = kernel_of(index)
        return convolve(inputs[index : index + 1], kernel)[0]

    shape = tf.TensorShape([*inputs.shape[1:-1], mean.shape[-1]])
    outputs = tf.map_fn(
        output_of,
        tf.range(count),
        fn_output_signature=tf.TensorSpec(shape, dtype),
        parallel_iterations=1,  # a convolution uses all cores
    )
    outputs.set_shape([inputs.shape[0], *shape])

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        def add(
            index: tf.Tensor,
            of_inputs: tf.TensorArray,
            of_mean: tf.Tensor,
            of_perturbation: tf.Tensor,
        ) -> tuple[Any, ...]:
            signs, kernel = kernel_of(index)
            example = inputs[index : index + 1]
            sides = {
                "out_backprop": upstream[index : index + 1],
                "strides": [1] * 4,
                "padding": "SAME",
            }
            of_example = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(example), filter=kernel, **sides
            )
            of_kernel = tf.cast(
                tf.raw_ops.Conv2DBackpropFilter(input=example, filter_sizes=mean.shape, **sides),
                tf.float32,
            )
            return (
                index + 1,
                of_inputs.write(index, of_example[0]),
                of_mean + of_kernel,
                of_perturbation + of_kernel * signs,
            )

        start = tf.TensorArray(dtype, count, element_shape=inputs.shape[1:])
        _, of_inputs, of_mean, of_perturbation = tf.while_loop(
            lambda index, *_: index < count,
            add,
            (0, start, tf.zeros_like(mean), tf.zeros_like(perturbation)),
            parallel_iterations=1,
        )
        return of_inputs.stack(), of_mean, of_perturbation, None, None

    return outputs, gradient


def _kernel_signs(sign_in: tf.Tensor, sign_out: tf.Tensor) -> tf.Tensor:
    """Return the signs of each kernel weight: float32 [..., channels, filters]."""
    return tf.cast(sign_in[..., :, tf.newaxis] * sign_out[..., tf.newaxis, :], tf.float32)
