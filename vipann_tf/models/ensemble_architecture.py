"""The description of a deep ensemble, as data from which an `Ensemble` is built."""

from typing import Annotated

import pydantic

from vipann_tf.models.architecture import Architecture
from vipann_tf.task import Task

Weight = Annotated[int, pydantic.Field(ge=1)]
Temperature = Annotated[float, pydantic.Field(gt=0)]


class EnsembleArchitecture(pydantic.BaseModel):
    """Networks of the same labels, and how often each of them draws.

    A round is a draw of every member, or as many as its weight; draws go round and round.

    Attributes:
      members: The networks.
      weights: How often each member draws per round.
      temperatures: What divides each member's logits: the temperature of its own calibration.

    >>> network = Architecture(labels=10, task="multiclass")
    >>> ensemble = EnsembleArchitecture.of([network, network], weights=[2, 1])
    >>> ensemble.round_size, ensemble.positions
    (3, [(0, 0), (0, 1), (1, 0)])
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    members: list[Architecture] = pydantic.Field(min_length=1)
    weights: list[Weight]
    temperatures: list[Temperature]

    @classmethod
    def of(
        cls,
        members: list[Architecture],
        *,
        weights: list[int] | None = None,
        temperatures: list[float] | None = None,
    ) -> "EnsembleArchitecture":
        """Describe an ensemble; by default all weights and temperatures are 1."""
        ones = [1] * len(members)
        return cls(
            members=members,
            weights=weights or ones,
            temperatures=temperatures or [float(one) for one in ones],
        )

    @pydantic.model_validator(mode="after")
    def _members_fit(self) -> "EnsembleArchitecture":
        for name in ("weights", "temperatures"):
            if len(getattr(self, name)) != len(self.members):
                raise ValueError(
                    f"{len(getattr(self, name))} {name} for {len(self.members)} members; give one "
                    "per member"
                )
        for name in ("labels", "task"):
            values = {str(getattr(member, name)): None for member in self.members}
            if len(values) > 1:
                raise ValueError(f"the members differ in {name}: {', '.join(values)}")
        return self

    @property
    def labels(self) -> int:
        """Number of labels."""
        return self.members[0].labels

    @property
    def task(self) -> Task:
        """The task of all members."""
        return self.members[0].task

    @property
    def round_size(self) -> int:
        """Number of draws per round."""
        return sum(self.weights)

    @property
    def positions(self) -> list[tuple[int, int]]:
        """For each draw of a round: its member, from 0, and how often that member drew before."""
        return [(i, before) for i, weight in enumerate(self.weights) for before in range(weight)]

    @property
    def bayesian(self) -> bool:
        """Whether two rounds can differ."""
        return any(member.stochastic for member in self.members)

    @property
    def stochastic(self) -> bool:
        """Whether two draws can differ."""
        return self.bayesian or len(self.members) > 1

    def draw_indices(self, num_draws: int) -> range:
        """Return the numbers of the draws to make: 1 to `num_draws`.

        Deterministic members make one round, because all rounds are equal.

        >>> network = Architecture(labels=9, task="multiclass")
        >>> EnsembleArchitecture.of([network] * 3).draw_indices(20)
        range(1, 4)
        """
        return range(1, 1 + (num_draws if self.bayesian else self.round_size))

    @property
    def summary(self) -> str:
        """The networks in words."""
        return f"ensemble of {len(self.members)}: " + "; ".join(
            member.summary for member in self.members
        )
