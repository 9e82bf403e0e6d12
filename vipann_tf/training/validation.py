"""Scores of a network while it is trained, on clips that it does not learn from.

They are those of the network that would be exported: averaged weights where the recipe asks for
them, and the mean over a few draws where it is Bayesian.
"""

import math
import os
from collections.abc import Sequence

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.evaluation.inference import predict_batches
from vipann_tf.evaluation.metrics import metrics
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import Validation as Settings
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.reading import OnCorrupt
from vipann_tf.records.schema import read_dataset_info

METRICS = {
    "multiclass": ("accuracy", "macro_f1", "nll", "brier", "ece"),
    "multilabel": ("map", "auc", "d_prime", "nll", "brier", "ece"),
}
LOWER_IS_BETTER = ("nll", "brier", "ece")
_BATCH = 32


class Validation:
    """Scores a network every so many steps, and remembers the best.

    Args:
      settings: Splits, how often, by which metric.
      data: Dataset directory.
      splits: The splits that are trained on.
      held_out: The splits that are to be evaluated on in the end.
      steps_an_epoch: Steps of a pass over the training clips.
      seed: Of the draws.
      on_corrupt: Whether to stop at a damaged record or to skip it.

    Raises:
      UserError: Splits or metric do not fit.
    """

    def __init__(
        self,
        settings: Settings,
        data: str | os.PathLike,
        splits: Sequence[str],
        held_out: Sequence[str],
        *,
        steps_an_epoch: float,
        seed: int,
        on_corrupt: OnCorrupt = "stop",
    ):
        dataset = read_dataset_info(data)
        self._splits = dataset.check_splits(settings.splits)
        if both := set(splits) & set(self._splits):
            raise UserError(
                f"validation.splits has {', '.join(sorted(both))}, which data.train has too; "
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
        self.every_steps = max(1, round(settings.every_epochs * steps_an_epoch))

    def start(self, model: VIPANN) -> None:
        """Says which network is scored.

        Args:
          model: On one device; `score` takes its weights as they are then.
        """
        self._model = model
        self._best_value = tf.Variable(math.nan, dtype=tf.float64, trainable=False)
        self._best_step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._worse = tf.Variable(0, dtype=tf.int64, trainable=False)
        # Only early stopping goes back.
        self._best_weights = (
            [tf.Variable(weight, trainable=False) for weight in model.weights]
            if self._settings.patience
            else []
        )

    @property
    def state(self) -> list[tf.Variable]:
        """What a checkpoint must hold."""
        return [self._best_value, self._best_step, self._worse, *self._best_weights]

    @property
    def exhausted(self) -> bool:
        """Whether the metric has not improved for as many scores as the recipe's patience."""
        patience = self._settings.patience
        return patience is not None and int(self._worse) >= patience

    def score(self, step: int) -> dict[str, float]:
        """Score the network after a step.

        Returns:
          The task's metrics; those that the clips do not define are left out.
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
        """Give the scored network the weights of its best score, where they were kept."""
        if self._best_weights and int(self._best_step):
            for best, weight in zip(self._best_weights, self._model.weights, strict=True):
                weight.assign(best)

    def _keep_weights(self) -> None:
        if self._best_weights:
            for best, weight in zip(self._best_weights, self._model.weights, strict=True):
                best.assign(weight)

    def outcome(self) -> dict[str, float | int | str]:
        """Return what the metadata of the model say of the validation."""
        return {
            "validation_metric": self._settings.metric,
            "best_value": float(self._best_value),
            "best_step": int(self._best_step),
        }

    def _better(self, value: float) -> bool:
        best = float(self._best_value)
        if math.isnan(best):
            return not math.isnan(value)
        return value < best if self._settings.metric in LOWER_IS_BETTER else value > best
