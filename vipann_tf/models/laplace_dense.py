"""A last dense layer with a Laplace posterior around its trained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tf_keras

from vipann_tf.models.randomness import Draw, TrainingNoise, current_randomness, normal

if TYPE_CHECKING:
    from vipann_tf.uncertainty.laplace import KroneckerPosterior


@tf_keras.utils.register_keras_serializable("vipann_tf")
class LaplaceDense(tf_keras.layers.Dense):
    """Dense layer with a Kronecker-factored normal posterior over kernel and bias.

    A draw of the weights W [in + 1, out], the bias as the last row, is

        W = mean + Q_A (S . eps) Q_B^T

    with eps standard normal (`vipann_tf.uncertainty.laplace`; Ritter et al. 2018). The layer does
    not make W: it multiplies its inputs by one factor after another, which costs less for a few
    clips. Without a `randomness` context it is the trained Dense layer.

    The layer cannot be trained, since its posterior is that of weights whose training is over.
    `set_posterior` gives it one; before that, every draw is the mean.

    Args:
      units: Number of outputs.
      kernel_initializer: Initializer of the mean kernel.
      name, trainable, dtype: As in every Keras layer.

    Call arguments:
      inputs: [batch, in].
      training: Must not be true outside a `randomness` context.

    Input shape: [batch, in].

    Output shape: [batch, units].
    """

    def __init__(
        self,
        units: int,
        *,
        kernel_initializer: Any = "glorot_uniform",
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            units,
            kernel_initializer=kernel_initializer,
            name=name,
            trainable=trainable,
            dtype=dtype,
        )

    def build(self, input_shape: Any) -> None:
        """Create the variables.

        Args:
          input_shape: Shape of the inputs; its last axis must be known.
        """
        super().build(input_shape)
        rows = int(self.kernel.shape[0]) + 1  # the bias has an input that is always 1
        fixed = {"dtype": tf.float32, "trainable": False}
        self.input_basis = self.add_weight(
            name="input_basis", shape=[rows, rows], initializer="identity", **fixed
        )
        self.output_basis = self.add_weight(
            name="output_basis", shape=[self.units, self.units], initializer="identity", **fixed
        )
        # Standard deviations in the rotated basis, S.
        self.stddev = self.add_weight(
            name="stddev", shape=[rows, self.units], initializer="zeros", **fixed
        )

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Compute in the mode that the `randomness` context selects.

        Raises:
          ValueError: The context is that of a training step.
        """
        context = current_randomness(training)
        if isinstance(context, TrainingNoise):
            raise ValueError(
                f"layer {self.name} has a Laplace posterior, which is fitted after training; train "
                "the network with a deterministic head"
            )
        mean = super().call(inputs)
        if context is None:
            return mean
        noise = context.kernels.get(self.name)
        if noise is None:
            noise = self.rotated_noise(context)
        rotated = tf.linalg.matmul(inputs, self.input_basis[:-1]) + self.input_basis[-1]
        rotated = tf.linalg.matmul(rotated, tf.cast(noise, self.compute_dtype))
        return mean + tf.linalg.matmul(rotated, self.output_basis, transpose_b=True)

    def rotated_noise(self, draw: Draw) -> tf.Tensor:
        """Return S . eps, which `Draw.kernels` holds for this layer, float32 [in + 1, out]."""
        noise = normal(self.stddev.shape, draw.layer_seed(self.name))
        return tf.cast(self.stddev, tf.float32) * noise

    def set_posterior(self, posterior: KroneckerPosterior) -> None:
        """Assign mean and covariance, rounded to float32."""
        self.kernel.assign(posterior.mean[:-1])
        self.bias.assign(posterior.mean[-1])
        self.input_basis.assign(posterior.input_basis)
        self.output_basis.assign(posterior.output_basis)
        self.stddev.assign(posterior.stddev)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "units": self.units,
            "kernel_initializer": tf_keras.initializers.serialize(self.kernel_initializer),
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.name,
        }
