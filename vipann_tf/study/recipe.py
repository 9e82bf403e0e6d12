"""The recipe of a study, typed, read from YAML. No TensorFlow in here."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Literal

import pydantic

from vipann_tf.choices import Acquisition
from vipann_tf.datasets import find
from vipann_tf.errors import UserError
from vipann_tf.models.architecture import Kind, Signs
from vipann_tf.recipes.schema import (
    Count,
    CountOrNone,
    Mode,
    NonNegative,
    Positive,
    Section,
    Share,
    Strategy,
)

__all__ = [
    "PLAIN",
    "Active",
    "Block",
    "Cost",
    "Dataset",
    "Downstream",
    "Ensemble",
    "Evaluation",
    "StudyRecipe",
    "Transfer",
    "Upstream",
]

# The name of the variant that changes nothing.
PLAIN = "plain"
# A mode of transfer, or active learning, which trains heads as mode `fixed` does; see `Active`.
StudyMode = Mode | Literal["active"]


class Dataset(Section):
    """A dataset directory: one to prepare, as `vipann-tf prepare` does, or an existing one."""

    dataset: str | None = pydantic.Field(
        default=None, description="Its name in `vipann-tf prepare`."
    )
    source: str | None = pydantic.Field(default=None, description="Its recordings, if any.")
    options: dict[str, Any] = pydantic.Field(
        default={}, description="Its other options: subset, task, clips ..."
    )
    seconds: Positive | None = pydantic.Field(
        default=None, description="Clip length; by default the data set's."
    )
    directory: str | None = pydantic.Field(
        default=None, description="An existing dataset directory."
    )
    clips: Count | None = pydantic.Field(
        default=None, description="Expected number of clips, for the plan before it is prepared."
    )

    @pydantic.model_validator(mode="after")
    def _one_of_two(self) -> "Dataset":
        if (self.dataset is None) == (self.directory is None):
            raise ValueError("give either dataset (to be prepared) or directory (prepared already)")
        if self.dataset is not None:
            try:
                find(self.dataset)
            except UserError as error:
                raise ValueError(str(error)) from error
        return self


class Upstream(Section):
    """A pretrained network: trained by a recipe, a model directory, or published weights."""

    recipe: str | None = pydantic.Field(
        default=None, description="A recipe of `vipann-tf pretrain`."
    )
    settings: dict[str, Any] = pydantic.Field(
        default={}, description="Values that replace the recipe's."
    )
    base: str | None = pydantic.Field(
        default=None, description="The upstream network whose weights the training starts from."
    )
    model: str | None = pydantic.Field(default=None, description="An existing model directory.")
    checkpoint: str | None = pydantic.Field(
        default=None, description="A published .pth, to be imported."
    )
    labels: str | None = pydantic.Field(
        default=None, description="Label list of the checkpoint; AudioSet's by default."
    )
    signs: Signs | None = pydantic.Field(
        default=None, description="Signs of the checkpoint's Flipout layers."
    )
    kind: Kind | None = pydantic.Field(default=None, description="Kind of the model or checkpoint.")
    data: str | None = pydantic.Field(
        default=None, description="Data set for training and evaluation."
    )

    @pydantic.model_validator(mode="after")
    def _one_of_three(self) -> "Upstream":
        given = [name for name in ("recipe", "model", "checkpoint") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("give one of recipe (to be trained), model and checkpoint")
        if self.recipe and not self.data:
            raise ValueError("a recipe needs data to train on")
        if self.base and not self.recipe:
            raise ValueError(f"base is {self.base!r}, but there is no recipe to train by")
        if self.recipe and self.kind:
            raise ValueError("the kind is that of the recipe (model.kind); leave it out here")
        if not self.recipe and not self.kind:
            raise ValueError("say its kind: deterministic, dropout or flipout")
        return self


class Transfer(Section):
    """A recipe of `vipann-tf transfer`, and values that replace its own."""

    recipe: str | None = None
    settings: dict[str, Any] = pydantic.Field(default={})


class Downstream(Section):
    """A data set to transfer to."""

    data: str
    folds: Count | list[Count] | None = pydantic.Field(
        default=None, description="Number or list of folds; none if the recipe names the splits."
    )
    recipes: dict[StudyMode, Transfer] = pydantic.Field(description="How each mode is trained.")
    ood: list[str] = pydantic.Field(default=[], description="Out-of-distribution data sets.")

    @property
    def fold_numbers(self) -> list[int | None]:
        """The folds to hold out, `[None]` if there are none."""
        if self.folds is None:
            return [None]
        return list(range(1, self.folds + 1)) if isinstance(self.folds, int) else [*self.folds]


class Block(Section):
    """A part of the grid: all combinations. The study is all blocks, each cell once."""

    strategies: list[Strategy | Literal["ens"]]
    modes: list[StudyMode]
    downstream: list[str] | None = pydantic.Field(default=None, description="By default all.")
    upstream: list[str] | None = pydantic.Field(
        default=None, description="By default all that the strategy can start from."
    )
    variants: list[str] = pydantic.Field(default=[PLAIN])
    fractions: list[Share] = pydantic.Field(default=[1.0])
    seeds: list[CountOrNone] = pydantic.Field(default=[0])
    folds: list[Count] | None = pydantic.Field(
        default=None, description="By default all of the data set."
    )


class Ensemble(Section):
    """The deep ensembles of strategy `ens`: cells of several seeds, made into one model."""

    members: Count = pydantic.Field(
        default=3,
        description="Number of members. Seed 0 of ens has the cells of seeds 0 to members - 1, "
        "seed 1 the next ones.",
    )
    strategy: Strategy = pydantic.Field(default="det", description="Strategy of the members.")


class Active(Section):
    """Mode `active`: clips are labelled round by round, as each acquisition chooses them.

    A cell is all acquisitions of a seed and a fold, which start from the same clips.
    """

    acquisitions: list[Acquisition] = pydantic.Field(
        default=["random", "epistemic"], description="What chooses the clips to label."
    )
    start_per_label: Count = pydantic.Field(
        default=2, description="Clips of each label that are labelled at first."
    )
    rounds: Count = 10
    per_round: Count = pydantic.Field(default=10, description="Clips labelled in each round.")
    targets: list[Share] = pydantic.Field(
        default=[0.8, 0.85],
        description="Accuracies (mAP of multilabel data) for which the labels are counted.",
    )


class Evaluation(Section):
    """How models are scored."""

    former_names: ClassVar[Mapping[str, str]] = {"samples": "num_draws"}
    num_draws: Count | None = pydantic.Field(
        default=None, description="Draws; by default the model's own."
    )
    seed: CountOrNone | None = None


class Cost(Section):
    """The time of a training with its evaluation, for the plan."""

    start_s: NonNegative = 0.0
    clip_ms: NonNegative = pydantic.Field(
        default=0.0, description="Cost per clip prepared, or read in training."
    )


class StudyRecipe(Section):
    """A study."""

    datasets: dict[str, Dataset]
    upstream: dict[str, Upstream]
    downstream: dict[str, Downstream]
    variants: dict[str, dict[str, Any]] = pydantic.Field(
        default={}, description="Options to compare: name -> values of the transfer recipe."
    )
    grid: list[Block]
    ensemble: Ensemble = Ensemble()
    active: Active = Active()
    evaluation: Evaluation = Evaluation()
    costs: dict[str, Cost] = pydantic.Field(
        default={}, description="By `pretrain-<kind>`, `<strategy>-<mode>` and `prepare`."
    )
    hardware: str = pydantic.Field(
        default="", description="Hardware for which the costs were measured or estimated."
    )

    @pydantic.model_validator(mode="after")
    def _names_exist(self) -> "StudyRecipe":
        if PLAIN in self.variants:
            raise ValueError(f"a variant can't be called {PLAIN}, the one that changes nothing")
        for name, upstream in self.upstream.items():
            _known(f"upstream.{name}.data", [upstream.data], self.datasets)
            earlier = list(self.upstream)[: list(self.upstream).index(name)]
            _known(f"upstream.{name}.base", [upstream.base], earlier)
        for name, downstream in self.downstream.items():
            _known(f"downstream.{name}.data", [downstream.data], self.datasets)
            _known(f"downstream.{name}.ood", downstream.ood, self.datasets)
        for i, block in enumerate(self.grid):
            _known(f"grid.{i}.downstream", block.downstream, self.downstream)
            _known(f"grid.{i}.upstream", block.upstream, self.upstream)
            _known(f"grid.{i}.variants", block.variants, [PLAIN, *self.variants])
        for group in ("datasets", "upstream", "downstream", "variants"):
            for name in getattr(self, group):
                # A name becomes the name of a directory and a value of --only.
                if not name or set(name) & set("/\\,=|") or name.startswith("."):
                    raise ValueError(f"{group} can't have the name {name!r}: no / \\ , = | in it")
        return self


def _known(key: str, names: Iterable[str | None] | None, allowed: Collection[str]) -> None:
    for name in names or ():
        if name is not None and name not in allowed:
            raise ValueError(f"{key} names {name!r}; there are {', '.join(allowed)}")
