"""Deep ensembles: networks that were trained apart, whose draws go round (arXiv 1612.01474).

Draw i of an ensemble is a draw of its member (i - 1) mod M: of a deterministic member its network,
of a Bayesian one the next draw of its posterior. So an ensemble is a distribution over networks
like any other, and what averages draws takes it: evaluation, signatures, decomposition.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy.typing as npt
import tensorflow as tf

from vipann_tf.audio.logmel import MEL_BANDS
from vipann_tf.models.compiled_ensemble import CompiledEnsemble
from vipann_tf.models.draw_statistics import DrawStatistics
from vipann_tf.models.ensemble_architecture import EnsembleArchitecture
from vipann_tf.models.randomness import Draw

if TYPE_CHECKING:
    from vipann_tf.models.posterior import KernelPosterior
    from vipann_tf.models.training_step import Stage
    from vipann_tf.models.vipann import VIPANN


class Ensemble:
    """Networks of the same labels, with the verbs of `VIPANN` for inference.

    Args:
      members: The networks.
      architecture: Their architectures in this order, with weights and temperatures.
    """

    def __init__(self, members: Sequence[VIPANN], architecture: EnsembleArchitecture) -> None:
        if [member.architecture for member in members] != list(architecture.members):
            raise ValueError("the members are not those of the architecture, in its order")
        self.members = tuple(members)
        self.architecture = architecture

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages, in order; see `run`."""
        return ("waveform", "shared", "embedding", "logits")

    @property
    def precision(self) -> str:
        """The dtype of the computations."""
        return self.members[0].precision

    def run(
        self,
        x: tf.Tensor,
        *,
        start: Stage = "waveform",
        stop: Stage = "logits",
        draw: Draw | None = None,
    ) -> tf.Tensor:
        """Compute one stage of the ensemble from another, in inference mode.

        | stage | values, float32 |
        | --- | --- |
        | waveform | [batch, samples] at 32 kHz in [-1, 1] |
        | shared | [batch, any]: pooled features of members whose trunk is not random, log-mel |
        | embedding | [batch, sum of sizes]: the embeddings of all members |
        | logits | [batch, labels], divided by the member's temperature |

        Members follow each other in the features of a row; the log-mel is flattened, and left out
        if no trunk is random.

        Args:
          x: The values at `start`.
          start: Name of a stage.
          stop: Name of a stage, not before `start`.
          draw: A draw of a member. `None` is the mean of the logits of all posterior means,
            weighted as the draws.

        Returns:
          The values at `stop`.

        Raises:
          ValueError: A name is wrong, or `stop` is before `start`.
        """
        for name in (start, stop):
            if name not in self.stages:
                raise ValueError(
                    f"an ensemble has no stage {name!r}; it has {', '.join(self.stages)}"
                )
        if self.stages.index(stop) < self.stages.index(start):
            raise ValueError(f"stop is {stop!r}, which is before start, {start!r}")
        if start == "waveform" != stop:
            x, start = self._shared(x), "shared"
        if start == stop:
            return x
        if draw is not None:
            if (start, stop) != ("shared", "logits"):
                raise ValueError(
                    f"a draw of an ensemble has no stage from {start!r} to {stop!r}; use logits"
                )
            return self._drawn(x, draw)
        if start == "shared":
            x = self._embeddings(x)
        return x if stop == "embedding" else self._mean_logits(x)

    @functools.cached_property
    def compiled_network(self) -> CompiledEnsemble:
        """The compiled functions of inference."""
        return CompiledEnsemble(self)

    # Parts of the stages.

    def _shared(self, waveform: tf.Tensor) -> tf.Tensor:
        log_mel = self.members[0].run(waveform, stop="log_mel")
        features = [
            tf.cast(member.run(log_mel, start="log_mel", stop="pooled"), tf.float32)
            for member in self.members
            if not _is_trunk_random(member)
        ]
        if any(map(_is_trunk_random, self.members)):
            features.append(tf.reshape(log_mel, [tf.shape(log_mel)[0], -1]))
        return tf.concat(features, -1)

    def start_of(self, member: int, shared: tf.Tensor) -> tuple[Stage, tf.Tensor]:
        """Return where a member starts, `pooled` or `log_mel`, and its values there.

        Args:
          member: Number of the member, from 0.
          shared: The ensemble's stage "shared".
        """
        sizes = [
            0 if _is_trunk_random(one) else one.architecture.pooled_size for one in self.members
        ]
        if _is_trunk_random(self.members[member]):
            flat = shared[:, sum(sizes) :]
            return "log_mel", tf.reshape(flat, [tf.shape(flat)[0], -1, MEL_BANDS])
        first = sum(sizes[:member])
        return "pooled", shared[:, first : first + sizes[member]]

    def _drawn(self, shared: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Return the logits of a draw, whose number may be known only when the graph runs."""
        turn, position = _turn(draw.index, self.architecture.round_size)

        def branch(member: int, before: int) -> tf.Tensor:
            start, x = self.start_of(member, shared)
            own = Draw(draw.seed, turn * self.architecture.weights[member] + before + 1)
            logits = self.members[member].run(x, start=start, draw=own)
            return logits / self.architecture.temperatures[member]

        branches = [functools.partial(branch, *where) for where in self.architecture.positions]
        return tf.switch_case(tf.cast(position, tf.int32), branches)

    def _embeddings(self, shared: tf.Tensor) -> tf.Tensor:
        parts = []
        for number, member in enumerate(self.members):
            start, x = self.start_of(number, shared)
            parts.append(member.run(x, start=start, stop="embedding"))
        return tf.concat(parts, -1)

    def _mean_logits(self, embeddings: tf.Tensor) -> tf.Tensor:
        described = self.architecture
        sizes = [member.embedding_size for member in described.members]
        logits = [
            member.run(part, start="embedding") * (weight / temperature / described.round_size)
            for member, part, weight, temperature in zip(
                self.members,
                tf.split(embeddings, sizes, axis=-1),
                described.weights,
                described.temperatures,
                strict=True,
            )
        ]
        return tf.add_n(logits)

    # What exports and loads.

    @property
    def bayesian_layers(self) -> list[KernelPosterior]:
        """None: an ensemble's draws are not stored."""
        return []

    @property
    def draw_statistics(self) -> DrawStatistics | None:
        """BatchNorm statistics of the members' draws, by `<member>/<layer>`, if one has some."""
        found = {
            f"{_name(number)}/{layer}": moments
            for number, member in enumerate(self.members)
            if member.draw_statistics is not None
            for layer, moments in member.draw_statistics.moments.items()
        }
        seeds = {x.draw_statistics.seed for x in self.members if x.draw_statistics is not None}
        return DrawStatistics(seeds.pop(), found) if found else None

    @draw_statistics.setter
    def draw_statistics(self, statistics: DrawStatistics | None) -> None:
        moments = statistics.moments if statistics is not None else {}
        for number, member in enumerate(self.members):
            own = _of_member(moments, number)
            seed = statistics.seed if statistics is not None else 0
            member.draw_statistics = DrawStatistics(seed, own) if own else None
        self.__dict__.pop("compiled_network", None)

    def named_variables(self) -> dict[str, tf.Variable]:
        """Return every variable by its name `<member>/<layer>/<variable>`."""
        return {
            f"{_name(number)}/{name}": variable
            for number, member in enumerate(self.members)
            for name, variable in member.named_variables().items()
        }

    def assign(self, values: Mapping[str, npt.ArrayLike]) -> None:
        """Give the variables new values.

        Args:
          values: Arrays by the names of `named_variables`; all of them.

        Raises:
          ValueError: A value has no variable, or a variable has no value.
        """
        if wrong := values.keys() ^ self.named_variables().keys():
            raise ValueError(f"the networks and the values differ in {sorted(wrong)[:6]}")
        for number, member in enumerate(self.members):
            member.assign(_of_member(values, number))

    def twin(self, *, dtype: str | None = None) -> Ensemble:
        """Return a copy for inference; see `VIPANN.twin`."""
        return Ensemble([member.twin(dtype=dtype) for member in self.members], self.architecture)


def _turn(index: tf.Tensor | int, round_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the turn and the position in it of a draw's number, both from 0, int64 scalars."""
    before = tf.cast(index, tf.int64) - 1
    return before // round_size, before % round_size


def _is_trunk_random(network: VIPANN) -> bool:
    return network.architecture.trunk != "deterministic"


Value = TypeVar("Value")


def _of_member(values: Mapping[str, Value], number: int) -> dict[str, Value]:
    """Return the values of a member by their names in it."""
    prefix = f"{_name(number)}/"
    return {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix)
    }


def _name(number: int) -> str:
    return f"member{number + 1}"
