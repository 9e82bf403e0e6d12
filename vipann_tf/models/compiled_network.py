"""What inference asks of a network, compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from vipann_tf.models.randomness import Draw
from vipann_tf.models.training_step import Stage

if TYPE_CHECKING:
    from vipann_tf.models.vipann import VIPANN


class CompiledNetwork:
    """What all draws share, the draws, and the logits of each, as compiled functions.

    A network keeps its own (`VIPANN.compiled_network`): tracing takes seconds, and is not repeated
    for another dataset or after more training. Variables are read when a function is called.

    Args:
      model: The network.
    """

    def __init__(self, model: VIPANN):
        number = tf.TensorSpec([], tf.int64)
        self._model = model
        self._until: dict[Stage, Callable[..., Any]] = {}
        self._draw = _compiled(self._tensors_of_draw, [number, number])
        self._logits = tf.function(self._run_draw, reduce_retracing=True, autograph=False)

    def until(self, stop: Stage, waveform: tf.Tensor) -> tf.Tensor:
        """Return a stage of the posterior-mean network; see `VIPANN.run`.

        Args:
          stop: Name of the stage.
          waveform: float32 [batch, samples].
        """
        if stop not in self._until:
            self._until[stop] = _compiled(
                functools.partial(self._model.run, stop=stop), [tf.TensorSpec([None, None])]
            )
        return self._until[stop](waveform)

    def draw(self, seed: tf.Tensor, index: tf.Tensor) -> Draw:
        """Sample a network of the posterior; see `VIPANN.draw`.

        Args:
          seed: int64 scalar.
          index: int64 scalar.
        """
        return Draw(seed, index, *self._draw(seed, index))

    def logits(self, shared: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Return the logits of one draw, float32 [batch, labels].

        Args:
          shared: What `until` gave of the stage "shared".
          draw: What `draw` gave.
        """
        return self._logits(shared, draw.seed, draw.index, draw.kernels, draw.offsets)

    def _tensors_of_draw(
        self, seed: tf.Tensor, index: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], ...]:
        draw = self._model.draw(seed, index)
        return dict(draw.kernels), dict(draw.offsets)

    def _run_draw(self, shared: tf.Tensor, *draw: Any) -> tf.Tensor:
        return self._model.run(shared, start="shared", draw=Draw(*draw))


def _compiled(function: Callable[..., Any], signature: list[tf.TensorSpec]) -> Any:
    return tf.function(function, input_signature=signature, autograph=False)
