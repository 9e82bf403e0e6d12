"""Dropout whose masks come from the `randomness` context."""

from typing import Any

import tensorflow as tf
import tf_keras

from vipann_tf.models.randomness import TrainingNoise, current_randomness, per_example, uniform


@tf_keras.utils.register_keras_serializable("vipann_tf")
class Dropout(tf_keras.layers.Layer):
    """A layer that sets a share of the activations to 0 and scales the others by 1 / (1 - rate).

    In training every example has its own mask. With `monte_carlo`, a draw of the posterior fixes
    one mask for all examples (Gal and Ghahramani, arXiv 1506.02142: the masks are the random part
    of the network). Without it, dropout only regularises training, and a frozen layer
    (`trainable=False`) does nothing.

    Args:
      rate: Share of activations set to 0, at least 0 and below 1.
      monte_carlo: Whether each draw has a mask.
      **kwargs: `name`, `trainable` and `dtype`, as in every Keras layer.

    Call arguments:
      inputs: [batch, ...].
      training: Without a `randomness` context, whether to use fresh training noise.

    Input shape: any with a leading batch axis.

    Output shape: the same as the input.
    """

    def __init__(self, rate: float, *, monte_carlo: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate is {rate}; a dropout rate is at least 0 and below 1")
        self.rate = rate
        self.monte_carlo = monte_carlo

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drop activations in the mode that the `randomness` context selects."""
        context = current_randomness(training)
        if context is None or self.rate == 0:
            return inputs
        regularises = self.trainable and isinstance(context, TrainingNoise)
        if not self.monte_carlo and not regularises:
            return inputs
        seed = context.layer_seed(self.name)
        shape = tf.shape(inputs)[1:]
        if isinstance(context, TrainingNoise):
            numbers = per_example(lambda s: uniform(s, seed), inputs, context, shape)
        else:
            numbers = uniform(tf.concat([[1], shape], 0), seed)
        scale = tf.constant(1 / (1 - self.rate), inputs.dtype)
        outputs = inputs * tf.where(numbers >= self.rate, scale, tf.zeros([], inputs.dtype))
        outputs.set_shape(inputs.shape)  # lost, since the mask's shape is a tensor
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "rate": self.rate, "monte_carlo": self.monte_carlo}
