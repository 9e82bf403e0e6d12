# ruff: noqa: D102 (an overriding method has the docstring of what it overrides)
"""The jobs of a study: prepare a data set, train an upstream network, transfer for a cell.

Jobs with a network also evaluate it. TensorFlow is imported when a job runs.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from vipann_tf.datasets import find
from vipann_tf.recipes import PretrainRecipe, TransferRecipe
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.study.derived import sources
from vipann_tf.study.directory import StudyDirectory, has_results
from vipann_tf.study.grid import Cell, pretrain_recipe, transfer_recipe, upstream_kind
from vipann_tf.training.run import unfinished

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["CellJob", "Job", "OfCell", "OnProgress", "PrepareJob", "UpstreamJob"]

# Called with the amount done, the total, and a description.
OnProgress = Callable[[int, int, str], None]


class Job(abc.ABC):
    """A part of a study that finishes or fails as a whole.

    Attributes:
      stage: Name of the stage, which is also the name of its folder of records.
      noun: What the job makes, in words.
      is_shared: Whether other jobs need its result, so that a process waits while another one runs
        it.
      is_checked_again: Whether a finished job runs again, to check its recipe and to repeat its
        evaluation if the study's settings for that have changed.
    """

    stage: ClassVar[str]
    noun: ClassVar[str]
    is_shared: ClassVar[bool] = True
    is_checked_again: ClassVar[bool] = True

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Name of the data set, network or cell."""

    @abc.abstractmethod
    def needs(self, study: StudyDirectory) -> list[Job]:
        """Return the jobs that must run before."""

    @abc.abstractmethod
    def is_finished(self, study: StudyDirectory) -> bool:
        """Return whether the job is finished."""

    def is_begun(self, study: StudyDirectory) -> bool:
        """Return whether an interrupted training can be resumed."""
        return False

    @abc.abstractmethod
    def cost_key(self, study: StudyDirectory) -> str:
        """Return the job's key in the recipe's `costs`."""

    @abc.abstractmethod
    def clips_processed(self, study: StudyDirectory) -> float | None:
        """Return how many clips the job prepares or trains on, repetitions included.

        `None` if unknown.
        """

    @abc.abstractmethod
    def run(
        self,
        study: StudyDirectory,
        distribution: tf.distribute.Strategy | None,
        on_progress: OnProgress,
    ) -> None:
        """Do the job; keep existing results.

        Args:
          study: The study and its paths.
          distribution: The devices to train on; `None` for one.
          on_progress: See `OnProgress`.
        """


@dataclass(frozen=True)
class PrepareJob(Job):
    """Prepare a data set."""

    stage = "prepare"
    noun = "data set"
    is_checked_again = False

    dataset: str

    @property
    def name(self) -> str:
        return self.dataset

    def needs(self, study: StudyDirectory) -> list[Job]:
        return []

    def is_finished(self, study: StudyDirectory) -> bool:
        return study.is_prepared(self.dataset)

    def cost_key(self, study: StudyDirectory) -> str:
        return "prepare"

    def clips_processed(self, study: StudyDirectory) -> float | None:
        return clips_of(study, self.dataset)

    def run(
        self,
        study: StudyDirectory,
        distribution: tf.distribute.Strategy | None,
        on_progress: OnProgress,
    ) -> None:
        from vipann_tf.study import stages

        stages.prepare_dataset(study, self.dataset, on_progress)


@dataclass(frozen=True)
class UpstreamJob(Job):
    """Train or import an upstream network, and evaluate it."""

    stage = "upstream"
    noun = "upstream network"

    network: str

    @property
    def name(self) -> str:
        return self.network

    def needs(self, study: StudyDirectory) -> list[Job]:
        upstream = study.recipe.upstream[self.network]
        data = [] if upstream.data is None else [PrepareJob(upstream.data)]
        return [*data, *([] if upstream.base is None else [UpstreamJob(upstream.base)])]

    def is_finished(self, study: StudyDirectory) -> bool:
        is_evaluated = study.recipe.upstream[self.network].data is None or has_results(
            study.upstream_evaluation(self.network)
        )
        return study.is_trained(self.network) and is_evaluated

    def is_begun(self, study: StudyDirectory) -> bool:
        is_ours = study.recipe.upstream[self.network].recipe is not None
        return is_ours and unfinished(study.upstream(self.network)) is not None

    def cost_key(self, study: StudyDirectory) -> str:
        return f"pretrain-{upstream_kind(study.recipe.upstream[self.network])}"

    def clips_processed(self, study: StudyDirectory) -> float | None:
        upstream = study.recipe.upstream[self.network]
        if upstream.recipe is None or upstream.data is None:
            return 0.0
        return _clips_trained(pretrain_recipe(upstream), clips_of(study, upstream.data))

    def run(
        self,
        study: StudyDirectory,
        distribution: tf.distribute.Strategy | None,
        on_progress: OnProgress,
    ) -> None:
        from vipann_tf.study import stages

        stages.train_upstream(study, self.network, distribution, on_progress)


@dataclass(frozen=True)
class OfCell(Job):
    """What the jobs of a cell have in common.

    Attributes:
      cell: The cell.
    """

    stage = "cell"
    noun = "cell"
    is_shared = False

    cell: Cell

    @property
    def name(self) -> str:
        return self.cell.name

    def is_finished(self, study: StudyDirectory) -> bool:
        return study.is_finished(self.cell)

    def cost_key(self, study: StudyDirectory) -> str:
        return f"{self.cell.strategy}-{self.cell.mode}"


@dataclass(frozen=True)
class CellJob(OfCell):
    """Transfer a network for a cell, and evaluate the result."""

    def needs(self, study: StudyDirectory) -> list[Job]:
        downstream = study.recipe.downstream[self.cell.downstream]
        data = [PrepareJob(name) for name in (downstream.data, *downstream.ood)]
        made_from = [CellJob(cell) for cell in sources(study.recipe, self.cell)]
        return [*data, UpstreamJob(self.cell.upstream), *made_from]

    def is_begun(self, study: StudyDirectory) -> bool:
        return unfinished(study.cell(self.cell)) is not None

    def clips_processed(self, study: StudyDirectory) -> float | None:
        if sources(study.recipe, self.cell):
            return 0.0
        downstream = study.recipe.downstream[self.cell.downstream]
        clips, folds = clips_of(study, downstream.data), len(downstream.fold_numbers)
        if clips is not None and folds > 1:
            clips *= (folds - 1) / folds
        return _clips_trained(transfer_recipe(study.recipe, self.cell), clips)

    def run(
        self,
        study: StudyDirectory,
        distribution: tf.distribute.Strategy | None,
        on_progress: OnProgress,
    ) -> None:
        from vipann_tf.study import stages

        stages.run_cell(study, self.cell, distribution, on_progress)


def clips_of(study: StudyDirectory, name: str) -> float | None:
    """Return the number of clips of a data set: counted, or else expected by the recipe."""
    if study.is_prepared(name):
        return read_dataset_info(study.dataset(name)).clips
    dataset = study.recipe.datasets[name]
    if dataset.clips is None and dataset.dataset and not find(dataset.dataset).needs_source:
        return dataset.options.get("clips")
    return dataset.clips


def _clips_trained(recipe: PretrainRecipe | TransferRecipe, clips: float | None) -> float | None:
    """Return how many clips a training reads, repetitions included."""
    if recipe.training.steps is not None:
        return recipe.training.steps * recipe.training.batch_size
    return None if clips is None else recipe.training.epochs * clips * recipe.data.fraction
