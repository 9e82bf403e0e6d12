"""The compiled functions of inference."""

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
    """Compiled functions for the stages, the draws, and the logits of each draw.

    A network keeps them (`VIPANN.compiled_network`), since tracing takes seconds; they are valid
    for other datasets and after more training, because each call reads the variables.

    Args:
      model: The network.
    """

    def __init__(self, model: VIPANN):
        number = tf.TensorSpec([], tf.int64)
        self._model = model
        self._until: dict[Stage, Callable[..., Any]] = {}
        self._draw = compiled(self._tensors_of_draw, [number, number])
        self._logits = tf.function(self._run_draw, reduce_retracing=True, autograph=False)

    def until(self, stop: Stage, waveform: tf.Tensor) -> tf.Tensor:
        """Return a stage of the posterior-mean network; see `VIPANN.run`.

        Args:
          stop: Name of the stage.
          waveform: float32 [batch, samples].
        """
        if stop not in self._until:
            self._until[stop] = compiled(
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
          shared: The stage "shared", from `until`.
          draw: The draw, from `draw`.
        """
        return self._logits(shared, draw.seed, draw.index, draw.kernels, draw.offsets)

    def _tensors_of_draw(
        self, seed: tf.Tensor, index: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], ...]:
        draw = self._model.draw(seed, index)
        return dict(draw.kernels), dict(draw.offsets)

    def _run_draw(self, shared: tf.Tensor, *draw: Any) -> tf.Tensor:
        return self._model.run(shared, start="shared", draw=Draw(*draw))


def compiled(function: Callable[..., Any], signature: list[tf.TensorSpec]) -> Any:
    """Compile a function of these inputs."""
    return tf.function(function, input_signature=signature, autograph=False)
