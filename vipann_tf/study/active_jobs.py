# ruff: noqa: D102 (an overriding method has the docstring of what it overrides)
"""The jobs of mode active: features of clips, and the learning curves of a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vipann_tf.study.directory import StudyDirectory
from vipann_tf.study.grid import transfer_recipe
from vipann_tf.study.jobs import Job, OfCell, OnProgress, PrepareJob, UpstreamJob, clips_of

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["ActiveJob", "FeaturesJob"]


@dataclass(frozen=True)
class FeaturesJob(Job):
    """Compute the features of a data set's clips by an upstream network."""

    stage = "features"
    noun = "features"

    data: str
    network: str

    @property
    def name(self) -> str:
        return f"{self.data}/{self.network}"

    def needs(self, study: StudyDirectory) -> list[Job]:
        return [PrepareJob(self.data), UpstreamJob(self.network)]

    def is_finished(self, study: StudyDirectory) -> bool:
        return study.features(self.data, self.network).is_file()

    def cost_key(self, study: StudyDirectory) -> str:
        return "features"

    def clips_processed(self, study: StudyDirectory) -> float | None:
        return clips_of(study, self.data)

    def run(
        self,
        study: StudyDirectory,
        distribution: tf.distribute.Strategy | None,
        on_progress: OnProgress,
    ) -> None:
        from vipann_tf.study import active_stages

        active_stages.compute_features(study, self.data, self.network, on_progress)


@dataclass(frozen=True)
class ActiveJob(OfCell):
    """Find the learning curve of each acquisition for a cell."""

    def needs(self, study: StudyDirectory) -> list[Job]:
        data = study.recipe.downstream[self.cell.downstream].data
        features = FeaturesJob(data, self.cell.upstream)
        return [*features.needs(study), features]

    def is_begun(self, study: StudyDirectory) -> bool:
        return study.cell(self.cell).is_dir()

    def clips_processed(self, study: StudyDirectory) -> float | None:
        training = transfer_recipe(study.recipe, self.cell).training
        if training.steps is None:
            return None
        active = study.recipe.active
        trainings = len(active.acquisitions) * (active.rounds + 1)
        return float(trainings * training.steps * training.batch_size)

    def run(
        self,
        study: StudyDirectory,
        distribution: tf.distribute.Strategy | None,
        on_progress: OnProgress,
    ) -> None:
        from vipann_tf.study import active_stages

        active_stages.run_curves(study, self.cell, on_progress)
