"""Dropout whose masks come from the `randomness` context."""

import tensorflow as tf
import tf_keras

from vipann_tf.models.randomness import TrainingNoise, current_randomness, per_example, uniform


@tf_keras.utils.register_keras_serializable("vipann_tf")
class Dropout(tf_keras.layers.Layer):
    """Sets a share of the activations to 0 and scales the others by 1 / (1 - rate).

    In training every example has a mask of its own. With `monte_carlo`, a draw of the posterior fixes
    one mask, shared by all examples (Gal and Ghahramani, arXiv 1506.02142: the masks are the random
    part of the network); without it, dropout is a regulariser of training alone, and a layer that is
    frozen (`trainable=False`) leaves it out.

    Args:
      rate: Share of activations set to 0, at least 0 and below 1.
      monte_carlo: Whether draws have masks.

    Call arguments:
      inputs: [batch, ...].
      training: Without a `randomness` context, whether to use fresh training noise.

    Input shape: any with a leading batch axis.

    Output shape: as the input.
    """

    def __init__(self, rate: float, *, monte_carlo: bool = False, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate is {rate}; a dropout rate is at least 0 and below 1")
        self.rate = rate
        self.monte_carlo = monte_carlo

    def call(self, inputs, training=None):
        context = current_randomness(training)
        if context is None or self.rate == 0:
            return inputs
        in_training = isinstance(context, TrainingNoise)
        if not self.monte_carlo and not (in_training and self.trainable):
            return inputs
        seed = context.layer_seed(self.name)
        shape = tf.shape(inputs)[1:]
        if in_training:
            numbers = per_example(lambda s: uniform(s, seed), inputs, context, shape)
        else:
            numbers = uniform(tf.concat([[1], shape], 0), seed)
        scale = tf.constant(1 / (1 - self.rate), inputs.dtype)
        outputs = inputs * tf.where(numbers >= self.rate, scale, tf.zeros([], inputs.dtype))
        outputs.set_shape(inputs.shape)  # lost where the mask's shape is computed
        return outputs

    def get_config(self) -> dict:
        return {**super().get_config(), "rate": self.rate, "monte_carlo": self.monte_carlo}
