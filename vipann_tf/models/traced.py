"""What inference asks of a network, compiled."""

import tensorflow as tf

from vipann_tf.models.randomness import Draw


class Traced:
    """The parts of a network's inference as compiled functions.

    A network keeps its own (`VIPANN.traced`): tracing takes seconds, and another dataset, or the same one
    after more training, needs none of it anew. Variables are read when a function is called.

    Args:
      model: The `VIPANN`.
    """

    def __init__(self, model):
        number = tf.TensorSpec([], tf.int64)
        self._model = model
        self._prefix = _compiled(model.prefix, [tf.TensorSpec([None, None])])
        self._draw = _compiled(self._tensors_of_draw, [number, number])
        self._suffix = tf.function(self._suffix_logits, reduce_retracing=True, autograph=False)

    def prefix(self, waveform: tf.Tensor) -> tf.Tensor:
        """As `VIPANN.prefix`."""
        return self._prefix(waveform)

    def draw(self, seed: tf.Tensor, index: tf.Tensor) -> Draw:
        """As `VIPANN.draw`.

        Args:
          seed, index: int64 scalars.
        """
        return Draw(seed, index, *self._draw(seed, index))

    def suffix_logits(self, features: tf.Tensor, draw: Draw) -> tf.Tensor:
        """As `VIPANN.suffix_logits`.

        Args:
          features: What `prefix` gave.
          draw: What `draw` gave.
        """
        return self._suffix(features, draw.seed, draw.index, draw.kernels, draw.offsets)

    def _tensors_of_draw(self, seed, index):
        draw = self._model.draw(seed, index)
        return dict(draw.kernels), dict(draw.offsets)

    def _suffix_logits(self, features, *draw):
        return self._model.suffix_logits(features, Draw(*draw))


def _compiled(function, signature):
    return tf.function(function, input_signature=signature, autograph=False)
