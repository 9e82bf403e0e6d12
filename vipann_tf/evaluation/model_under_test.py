"""A model to evaluate: open it, check it against the data, and predict."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vipann_tf.errors import UserError
from vipann_tf.evaluation.inference import Predictions, predict_batches
from vipann_tf.files.paths import StrPath
from vipann_tf.models.ensemble import Ensemble
from vipann_tf.models.vipann import VIPANN
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.export import POLICIES
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.metadata import ModelInfo, check_draws, read_labels, read_model_info

__all__ = ["BATCH", "ModelUnderTest"]

BATCH = 16


@dataclass(frozen=True)
class ModelUnderTest:
    """A model directory and the draws to average. Its weights are read when they are first needed.

    Attributes:
      path: The model directory.
      info: Its metadata.
      labels: Its label names, in the order of the outputs.
      num_draws: Requested number of draws.
      seed: Seed of the draws.
    """

    path: StrPath
    info: ModelInfo
    labels: list[str]
    num_draws: int
    seed: int

    @classmethod
    def open(
        cls, path: StrPath, *, num_draws: int | None = None, seed: int | None = None
    ) -> "ModelUnderTest":
        """Open a model directory.

        Args:
          path: Model directory.
          num_draws: Number of draws; by default that of `serving_default`.
          seed: Seed of the draws; by default that of `serving_default`.

        Raises:
          UserError: There is no model, or the number of draws is not positive.
        """
        info = read_model_info(path)
        num_draws = info.num_draws if num_draws is None else num_draws
        if num_draws < 1:
            raise UserError(f"num_draws is {num_draws}; use 1 or more")
        seed = info.seed if seed is None else seed
        check_draws(info, num_draws, seed, path)
        return cls(path, info, read_labels(path), num_draws, seed)

    @property
    def num_networks(self) -> int:
        """Number of networks that are averaged: one if nothing is random."""
        return len(self.info.architecture.draw_indices(self.num_draws))

    @functools.cached_property
    def network(self) -> VIPANN | Ensemble:
        """The network, or ensemble of networks, which computes in the precision of the export."""
        network, _ = load_model(self.path, dtype=POLICIES[self.info.precision])
        return network

    def check(self, data: StrPath, *, any_labels: bool = False) -> DatasetInfo:
        """Read the metadata of a data set and check that it matches the model.

        Args:
          data: Dataset directory.
          any_labels: Whether its labels may differ from those of the model.

        Raises:
          UserError: It is not a dataset directory, or labels, sample rate or time expansion do not
            match.
        """
        dataset = read_dataset_info(data)
        if dataset.sample_rate_hz != self.info.sample_rate_hz:
            raise UserError(
                f"{data} has a sample rate of {dataset.sample_rate_hz} Hz, but {self.path} takes "
                f"{self.info.sample_rate_hz} Hz; prepare the data set again at that rate"
            )
        if dataset.time_expansion != self.info.time_expansion:
            raise UserError(
                f"the recordings of {data} are slowed {dataset.time_expansion:g} times, but"
                f" {self.path} was trained on recordings slowed {self.info.time_expansion:g} times;"
                f" prepare the data set again with --time-expansion {self.info.time_expansion:g}"
            )
        if not any_labels and self.labels != dataset.labels:
            # One list may be the beginning of the other.
            pairs = zip(self.labels, dataset.labels, strict=False)
            mine, theirs = next(
                (pair for pair in pairs if pair[0] != pair[1]),
                (f"{len(self.labels)} labels", f"{len(dataset.labels)} labels"),
            )
            raise UserError(
                f"{self.path} does not answer the labels of {data}: {mine!r} against {theirs!r}; "
                "evaluate on the data set it was trained on, or transfer it first"
            )
        return dataset

    def predict(
        self,
        data: StrPath,
        splits: Sequence[str],
        *,
        temperature: float | None = None,
        keep_draws: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Predictions:
        """Average the draws over the clips of some splits.

        Args:
          data: Dataset directory that `check` passed.
          splits: Names of its splits.
          temperature: Divides the logits; by default the temperature of the model's calibration.
          keep_draws: Whether to return the logits of every draw, see `predict_batches`.
          on_progress: Called with the number of clips answered and their total.
        """
        return predict_batches(
            self.network,
            evaluation_batches(data, splits, BATCH, group=True),
            num_draws=self.num_draws,
            seed=self.seed,
            temperature=self.info.calibration.temperature if temperature is None else temperature,
            keep_draws=keep_draws,
            on_progress=on_progress,
            clips=read_dataset_info(data).count(splits),
        )
