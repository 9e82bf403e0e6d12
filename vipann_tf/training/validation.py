"""Scores of a network during training, on clips that it is not trained on.

The scored network is the one that would be exported: with averaged weights if the recipe asks for
them, and with the mean over a few draws if it is Bayesian.
"""

import math
import os
from collections.abc import Sequence

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.evaluation.inference import predict_batches
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import Validation as Settings
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.reading import OnCorrupt
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.uncertainty.metric_names import METRIC_NAMES
from vipann_tf.uncertainty.metrics import metrics

METRICS = {
    "multiclass": ("accuracy", "macro_f1", "nll", "brier", "ece"),
    "multilabel": ("map", "auc", "d_prime", "nll", "brier", "ece"),
}
_BATCH = 32


class Validation:
    """Regular scores of a network, and the weights with the best score.

    Args:
      settings: Splits, frequency, number of draws, metric and patience.
      data: Dataset directory.
      splits: Training splits.
      held_out: Splits for the evaluation after training.
      steps_per_epoch: Number of steps per pass over the training clips.
      seed: Seed of the draws.
      on_corrupt: Whether to stop at a damaged record or to skip it.

    Raises:
      UserError: The splits or the metric are not allowed.
    """

    def __init__(
        self,
        settings: Settings,
        data: str | os.PathLike,
        splits: Sequence[str],
        held_out: Sequence[str],
        *,
        steps_per_epoch: float,
        seed: int,
        on_corrupt: OnCorrupt = "stop",
    ):
        dataset = read_dataset_info(data)
        self._splits = dataset.check_splits(settings.splits)
        if both := set(splits) & set(self._splits):
            raise UserError(
                f"validation.splits and data.train both have {', '.join(sorted(both))}; "
                "train on a split, or validate on it"
            )
        if settings.patience and (both := set(held_out) & set(self._splits)):
            raise UserError(
                f"validation.patience would choose the network by {', '.join(sorted(both))}, which "
                "is held out for its evaluation; validate on another split"
            )
        if settings.metric not in METRICS[dataset.task]:
            raise UserError(
                f"validation.metric is {settings.metric}; a {dataset.task} task has "
                f"{', '.join(METRICS[dataset.task])}"
            )
        self._settings = settings
        self._data = data
        self._task = dataset.task
        self._seed = seed
        self._on_corrupt = on_corrupt
        self.every_steps = max(1, round(settings.every_epochs * steps_per_epoch))

    def start(self, model: VIPANN) -> None:
        """Set the network to score.

        Args:
          model: Network on one device; `score` uses its current weights.
        """
        self._model = model
        self._best_value = tf.Variable(math.nan, dtype=tf.float64, trainable=False)
        self._best_step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._worse = tf.Variable(0, dtype=tf.int64, trainable=False)
        # Only early stopping restores them.
        self._best_weights = (
            [tf.Variable(weight, trainable=False) for weight in model.weights]
            if self._settings.patience
            else []
        )

    @property
    def state(self) -> list[tf.Variable]:
        """The variables that a checkpoint must contain."""
        return [self._best_value, self._best_step, self._worse, *self._best_weights]

    @property
    def exhausted(self) -> bool:
        """Whether the metric has not improved for `patience` scores."""
        patience = self._settings.patience
        return patience is not None and int(self._worse) >= patience

    def score(self, step: int) -> dict[str, float]:
        """Score the network after a step.

        Returns:
          The task's metrics, without those that are undefined for these clips.
        """
        answers = predict_batches(
            self._model,
            evaluation_batches(self._data, self._splits, _BATCH, on_corrupt=self._on_corrupt),
            num_draws=self._settings.num_draws,
            seed=self._seed,
        )
        found = metrics(answers.decomposition.probabilities, answers.truth, self._task)
        values = {name: found[name] for name in METRICS[self._task]}
        scores = {name: value for name, value in values.items() if value is not None}
        value = scores.get(self._settings.metric, math.nan)
        if self._better(value):
            self._best_value.assign(value)
            self._best_step.assign(step)
            self._worse.assign(0)
            self._keep_weights()
        else:
            self._worse.assign_add(1)
        return scores

    def restore_best(self) -> None:
        """Restore the weights with the best score, if they were kept."""
        if self._best_weights and int(self._best_step):
            for best, weight in zip(self._best_weights, self._model.weights, strict=True):
                weight.assign(best)

    def _keep_weights(self) -> None:
        if self._best_weights:
            for best, weight in zip(self._best_weights, self._model.weights, strict=True):
                best.assign(weight)

    def outcome(self) -> dict[str, float | int | str]:
        """Return the validation's entries in the metadata of the model."""
        return {
            "validation_metric": self._settings.metric,
            "best_value": float(self._best_value),
            "best_step": int(self._best_step),
        }

    def _better(self, value: float) -> bool:
        best = float(self._best_value)
        if math.isnan(best):
            return not math.isnan(value)
        more_is_better = METRIC_NAMES[self._settings.metric].more_is_better
        return value > best if more_is_better else value < best
