"""The clips that trained a model and those held out from it: what a new head is trained on."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vipann_tf.active.clips import Clips
from vipann_tf.active.trunk import Trunk, source_of
from vipann_tf.app.later import Later
from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.files.paths import StrPath
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.metadata import read_model_info, single_network

__all__ = ["TrainingClips"]

FEATURES = "features"


class TrainingClips:
    """The clips of a model's training, heard by its trunk when that is needed. Safe for threads.

    Args:
      model: Model directory whose trunk is kept.
      data: Dataset directory of its training.
      out: Directory in which the features are kept for the next session.

    Attributes:
      trained: What the model's metadata say of its training.
      old_splits, held_out: Splits that trained the model, and that were held out from it.
      held_out_count: Number of clips of the latter.
      task, labels: Those of the data set.

    Raises:
      UserError: The data set did not train the model, or the model is an ensemble.
    """

    def __init__(self, model: StrPath, data: StrPath, out: StrPath):
        self._model, self._data, self._out = model, data, os.fspath(out)
        info, dataset = read_model_info(model), read_dataset_info(data)
        single_network(info, model)
        if info.data is None or info.data.dataset != dataset.name:
            name = "no data set" if info.data is None else info.data.dataset
            raise UserError(
                f"{model} was trained on {name}, and {data} is {dataset.name}; give the data set "
                "of its training, whose labels the new head learns again"
            )
        self.trained = info.data
        self.old_splits = dataset.check_splits(self.trained.splits)
        self.held_out = dataset.check_splits(self.trained.held_out or [])
        self.held_out_count = dataset.count(self.held_out)
        self.task, self.labels = dataset.task, list(dataset.labels)
        self._features = Later(self._read_features)
        self._answers = Later(self._held_out_answers)

    @functools.cached_property
    def trunk(self) -> Trunk:
        """The trunk of the model."""
        return Trunk.open(self._model)

    @property
    def known(self) -> Clips:
        """The features and labels of all clips; computed at the first use, or waited for."""
        return self._features.get()

    @property
    def held_out_answers(self) -> NDArray[np.float32] | None:
        """What the model says of the held-out clips, [clips, labels]; `None` without any."""
        return self._answers.get()

    @property
    def steps(self) -> tuple[int, int] | None:
        """Clips heard and their total, while they are heard."""
        return self._features.steps or self._answers.steps

    def prepare(self) -> None:
        """Compute what the first training would wait for."""
        self._features.get()
        self._answers.get()

    def stop(self) -> None:
        """Let `prepare` end early, in its thread, by an error."""
        self._features.stop()
        self._answers.stop()

    def _read_features(self, on_progress: Callable[[int, int], None]) -> Clips:
        """Return the features of the data set, which an earlier session may have kept."""
        dataset = read_dataset_info(self._data)
        path = os.path.join(self._out, FEATURES, f"{dataset.name}.npz")
        splits = [*self.old_splits, *self.held_out]
        if os.path.exists(path):
            kept = Clips.load(path)
            if kept.source == source_of(self._model, dataset) and {*splits} == {
                *kept.splits.tolist()
            }:
                return kept
        found = self.trunk.clips(self._data, splits, on_progress=on_progress)
        found.save(path)
        return found

    def _held_out_answers(
        self, on_progress: Callable[[int, int], None]
    ) -> NDArray[np.float32] | None:
        if not self.held_out:
            return None
        tested = ModelUnderTest.open(self._model)
        found = tested.predict(self._data, self.held_out, on_progress=on_progress)
        return np.asarray(found.decomposition.probabilities)
