"""The compiled functions of an ensemble's inference."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from vipann_tf.models.compiled_network import compiled
from vipann_tf.models.randomness import Draw
from vipann_tf.models.training_step import Stage

if TYPE_CHECKING:
    from vipann_tf.models.ensemble import Ensemble


@dataclass(frozen=True)
class MemberDraw:
    """A draw of an ensemble: the member, from 0, and its own draw, with sampled kernels."""

    member: int
    draw: Draw


class CompiledEnsemble:
    """The compiled functions of an ensemble, as `CompiledNetwork` has them for a network.

    Args:
      ensemble: The ensemble.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        self._until: dict[Stage, Callable[..., Any]] = {}
        self._start = functools.lru_cache(None)(self._compiled_start)

    def until(self, stop: Stage, waveform: tf.Tensor) -> tf.Tensor:
        """Return a stage; see `Ensemble.run`."""
        if stop not in self._until:
            self._until[stop] = compiled(
                functools.partial(self._ensemble.run, stop=stop), [tf.TensorSpec([None, None])]
            )
        return self._until[stop](waveform)

    def draw(self, seed: tf.Tensor, index: tf.Tensor) -> MemberDraw:
        """Sample the kernels of a draw, int64 scalars as in `CompiledNetwork.draw`."""
        described = self._ensemble.architecture
        turn, position = divmod(int(index) - 1, described.round_size)
        member, before = described.positions[position]
        own = tf.constant(turn * described.weights[member] + before + 1, tf.int64)
        network = self._ensemble.members[member].compiled_network
        return MemberDraw(member, network.draw(seed, own))

    def logits(self, shared: tf.Tensor, draw: MemberDraw) -> tf.Tensor:
        """Return the logits of a draw, float32 [batch, labels]."""
        network = self._ensemble.members[draw.member].compiled_network
        logits = network.logits(self._start(draw.member)(shared), draw.draw)
        return logits / self._ensemble.architecture.temperatures[draw.member]

    def _compiled_start(self, member: int) -> Callable[..., Any]:
        """Return the function from the ensemble's stage "shared" to the member's."""

        def start(shared: tf.Tensor) -> tf.Tensor:
            stage, x = self._ensemble.start_of(member, shared)
            return self._ensemble.members[member].run(x, start=stage, stop="shared")

        function: Callable[..., Any] = compiled(start, [tf.TensorSpec([None, None])])
        return function
