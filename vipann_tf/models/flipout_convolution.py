"""The convolution of a Flipout training step, in whichever of its two forms costs less.

With x_b an example, mu and P = sigma . eps the mean and the perturbation of a kernel, and signs r_b, s_b
a channel, Flipout (Wen et al., arXiv 1803.04386, equation 4) computes

    y_b = x_b * mu + ((x_b . r_b) * P) . s_b:

two convolutions of the batch, six with their gradients. Signs of channels move from the images to the
kernel, W_b[.., i, j] = mu[.., i, j] + r_b[i] P[.., i, j] s_b[j], so that

    y_b = x_b * W_b

is the same number by one convolution of each example, three with gradients. In return a kernel is
written, and its gradient read, once an example: worth it where an example has many more pixels than such
a pass over memory takes in products. docs/decisions.md has the measurements.
"""

import tensorflow as tf

from vipann_tf.models.convolution import convolve

# Pixels (time x frequency) of an example from which a kernel of its own pays.
MIN_PIXELS = 200
# Numbers (pixels x channels) of an example from which a turn of a loop pays.
MIN_NUMBERS = 50_000


def flipout_convolution(
    inputs: tf.Tensor,
    mean: tf.Tensor,
    perturbation: tf.Tensor,
    sign_in: tf.Tensor,
    sign_out: tf.Tensor,
) -> tf.Tensor:
    """X * mu + ((x . r) * P) . s, stride 1, SAME padding: [batch, time, frequency, filters].

    Args:
      inputs: [batch, time, frequency, channels], of the dtype to compute in.
      mean, perturbation: float32 [height, width, channels, filters].
      sign_in: [batch, 1, 1, channels] of the inputs' dtype.
      sign_out: [batch, 1, 1, filters], likewise.
    """
    form = _form(inputs.shape, mean.shape)
    return form(inputs, tf.convert_to_tensor(mean), perturbation, sign_in, sign_out)


def _form(inputs: tf.TensorShape, kernel: tf.TensorShape):
    """What computes inputs and kernels of these shapes fastest."""
    pixels = inputs[1:3].num_elements()
    if pixels is None or pixels < MIN_PIXELS:
        return _two_kernels
    if kernel[:2].num_elements() == 1:
        return _matrix_an_example
    # One example at a time may leave a GPU idle. That was not measured, so it is not done there.
    if pixels * inputs[-1] < MIN_NUMBERS or tf.config.list_logical_devices("GPU"):
        return _two_kernels
    return _kernel_an_example


def _two_kernels(inputs, mean, perturbation, sign_in, sign_out):
    """The equation as it stands."""
    outputs = convolve(inputs, tf.cast(mean, inputs.dtype))
    perturbed = convolve(inputs * sign_in, tf.cast(perturbation, inputs.dtype))
    return outputs + perturbed * sign_out


def _matrix_an_example(inputs, mean, perturbation, sign_in, sign_out):
    """Of 1 x 1 kernels: products of pixels and matrices."""
    batch, time, frequency, channels = tf.unstack(tf.shape(inputs))
    filters = mean.shape[-1]
    signs = _kernel_signs(sign_in[:, 0, 0], sign_out[:, 0, 0])
    matrices = tf.cast(mean[0, 0] + perturbation[0, 0] * signs, inputs.dtype)
    pixels = tf.reshape(inputs, [batch, time * frequency, channels])
    outputs = tf.reshape(tf.linalg.matmul(pixels, matrices), [batch, time, frequency, filters])
    outputs.set_shape([*inputs.shape[:-1], filters])
    return outputs


@tf.custom_gradient
def _kernel_an_example(inputs, mean, perturbation, sign_in, sign_out):
    """One example after another. The gradient makes the kernels again: all of them are not kept."""
    count, dtype = tf.shape(inputs)[0], inputs.dtype
    sign_in, sign_out = sign_in[:, 0, 0], sign_out[:, 0, 0]

    def kernel_of(index):
        signs = _kernel_signs(sign_in[index], sign_out[index])
        return signs, tf.cast(mean + perturbation * signs, dtype)

    def output_of(index):
        _, kernel = kernel_of(index)
        return convolve(inputs[index : index + 1], kernel)[0]

    shape = tf.TensorShape([*inputs.shape[1:-1], mean.shape[-1]])
    outputs = tf.map_fn(
        output_of,
        tf.range(count),
        fn_output_signature=tf.TensorSpec(shape, dtype),
        parallel_iterations=1,  # a convolution has all cores
    )
    outputs.set_shape([inputs.shape[0], *shape])

    def gradient(upstream):
        def add(index, of_inputs, of_mean, of_perturbation):
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


def _kernel_signs(sign_in, sign_out):
    """float32 [..., channels, filters]: what Flipout's signs do to a kernel."""
    return tf.cast(sign_in[..., :, tf.newaxis] * sign_out[..., tf.newaxis, :], tf.float32)
