"""Convolution of stride 1 with SAME padding, and its deterministic layer."""

from typing import Any

import tensorflow as tf
import tf_keras

# Kernels of at least this many weights are applied by a matrix product. TensorFlow's convolution
# reorders the kernel in each call on CPUs: for the last block, with 38 million weights and few
# pixels, that takes longer than the arithmetic; see docs/decisions.md.
LARGE_KERNEL = 2**22


def convolve(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve with stride 1 and SAME padding: [batch, time, frequency, filters].

    Args:
      inputs: [batch, time, frequency, channels].
      kernel: [height, width, channels, filters], of the same dtype.
    """
    if kernel.shape.num_elements() < LARGE_KERNEL:
        return tf.nn.conv2d(inputs, kernel, 1, "SAME")
    height, width, channels, filters = kernel.shape
    batch, time, frequency, _ = tf.unstack(tf.shape(inputs))
    pads = [[0, 0], [(height - 1) // 2, height // 2], [(width - 1) // 2, width // 2], [0, 0]]
    padded = tf.pad(inputs, pads)
    neighbours = [
        padded[:, row : row + time, column : column + frequency]
        for row in range(height)
        for column in range(width)
    ]
    patches = tf.reshape(tf.concat(neighbours, -1), [-1, height * width * channels])
    outputs = tf.linalg.matmul(patches, tf.reshape(kernel, [-1, filters]))
    outputs = tf.reshape(outputs, [batch, time, frequency, filters])
    outputs.set_shape([*inputs.shape[:-1], filters])
    return outputs


@tf_keras.utils.register_keras_serializable("vipann_tf")
class Conv2D(tf_keras.layers.Conv2D):
    """Keras's layer with stride 1, SAME padding and no bias, computed by `convolve`.

    Args:
      filters: Number of output channels.
      kernel_size: One int, or (time, frequency).
      kernel_initializer, name, trainable, dtype: As in `tf_keras.layers.Conv2D`. The layer refuses
        its other arguments, since it would ignore them.

    Call arguments:
      inputs: [batch, time, frequency, channels].

    Input shape: [batch, time, frequency, channels].

    Output shape: [batch, time, frequency, filters].
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        *,
        kernel_initializer: Any = "glorot_uniform",
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            padding="same",
            use_bias=False,
            kernel_initializer=kernel_initializer,
            name=name,
            trainable=trainable,
            dtype=dtype,
        )

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve; Keras's `call` uses it."""
        return convolve(inputs, kernel)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config = super().get_config()
        arguments = ("filters", "kernel_size", "kernel_initializer", "name", "trainable", "dtype")
        return {argument: config[argument] for argument in arguments}
