"""Calibration of a trained model on clips that did not train it.

Fitted after training: one temperature for the logits of every draw (`uncertainty.temperature`),
thresholds of prediction sets (`uncertainty.conformal`) and, if something is wanted of detections,
their threshold for each label (`uncertainty.thresholds`). The stored fit uses every clip of the
split. Its quality is measured by cross-fitting: each fold of the clips is scored with the fit on
the other folds, and clips that share a recording or a group are in one fold. Clips that trained
the model are refused, because it is surer of them than of others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.errors import UserError
from vipann_tf.evaluation.calibration_words import words_on_answers
from vipann_tf.evaluation.detection_thresholds import (
    DetectionFit,
    fit_detection,
    held_out_counts,
)
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.evaluation.prediction_sets import fit_sets, set_statistics, to_metadata
from vipann_tf.evaluation.splits import calibration_splits, check_not_trained_on
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.reexport import reexport
from vipann_tf.saved_model.stored_calibration import Calibration
from vipann_tf.uncertainty.bootstrap import Interval
from vipann_tf.uncertainty.conformal import METHODS, Method
from vipann_tf.uncertainty.metrics import metrics
from vipann_tf.uncertainty.temperature import fit_temperature, scaled_probabilities
from vipann_tf.uncertainty.thresholds import DetectionCounts, Wanted

__all__ = ["Calibrated", "calibrate", "fit_calibration"]

FOLDS = 5
# Logits of all draws are held at once, and some copies while fitting.
MAX_LOGIT_BYTES = 2**30


@dataclass(frozen=True)
class Calibrated:
    """Result of a calibration.

    Attributes:
      calibration: To be stored with the model; that of `fit_calibration` has no `fitted_on` and no
        `detection` yet.
      clips: Number of clips it was fitted on.
      before: `metrics.metrics` of the clips at temperature 1.
      after: The same, each clip at the temperature that was fitted on the other folds.
      words_before: What the tests of calibration say about `before`, as in reports.
      words_after: The same about `after`.
      sets: `set_statistics`, pooled over folds: each fold's sets use the other folds' thresholds.
      detection: Thresholds for a wanted precision or recall, if any was wanted.
      groups: Number of recordings or groups that the clips are of; `None` if they share nothing.
    """

    calibration: Calibration
    clips: int
    before: dict[str, float | int | None]
    after: dict[str, float | int | None]
    words_before: str
    words_after: str
    sets: dict[str, Any]
    detection: DetectionFit | None = None
    groups: int | None = None


def calibrate(
    model: StrPath,
    data: StrPath,
    out: StrPath,
    *,
    splits: Sequence[str] = (),
    num_draws: int | None = None,
    seed: int | None = None,
    coverage: float = 0.9,
    method: Method = "aps",
    wanted: Wanted | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Fit temperature and prediction sets, and write a new version of the model with them.

    Args:
      model: Model directory; its calibration, if it has one, is replaced.
      data: Dataset directory with the model's labels.
      out: Model directory to add a version to; it may be `model`.
      splits: Splits to fit on; by default a validation split, else the splits held out in training.
      num_draws: Number of draws; by default that of `serving_default`, for which the
        thresholds hold.
      seed: Seed of the draws; by default that of `serving_default`.
      coverage: Target probability in (0, 1) that a prediction set holds the truth.
      method: How multiclass sets are made, "aps" or "threshold".
      wanted: Precision or recall for which a threshold is chosen for each label.
      on_progress: Called with the number of clips answered and their total.

    Returns:
      The result, with `fitted_on`.

    Raises:
      UserError: Model and data do not match, the clips trained the model, or an argument is not
        allowed.
    """
    tested = ModelUnderTest.open(model, num_draws=num_draws, seed=seed)
    dataset = tested.check(data)
    names = dataset.check_splits(list(splits) or calibration_splits(tested.info, dataset))
    check_not_trained_on(tested.info, dataset, names)
    if not 0 < coverage < 1:
        raise UserError(f"coverage is {coverage}; it must lie between 0 and 1")
    if method not in METHODS:
        raise UserError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    clips = dataset.count(names)
    size = 4 * clips * len(dataset.labels) * tested.num_networks
    if size > MAX_LOGIT_BYTES:
        most = max(1, tested.num_draws * MAX_LOGIT_BYTES // size)
        raise UserError(
            f"{tested.num_draws} draws of {clips} clips are {size / 2**30:.1f} GiB of logits; use "
            f"at most --num-draws {most}, or a smaller split"
        )
    found = tested.predict(data, names, keep_draws=True, temperature=1.0, on_progress=on_progress)
    assert found.sample_logits is not None
    result = fit_calibration(
        found.sample_logits,
        found.truth,
        dataset.task,
        coverage=coverage,
        method=method,
        labels=dataset.labels,
        wanted=wanted,
        groups=found.groups,
    )
    added: dict[str, Any] = {"fitted_on": [f"{dataset.name}/{name}" for name in names]}
    if result.detection is not None:
        added["detection"] = result.detection.to_metadata(clips, dataset.clip_seconds)
    calibration = result.calibration.model_copy(update=added)
    reexport(model, out, calibration=calibration)
    return replace(result, calibration=calibration)


def fit_calibration(
    sample_logits: ArrayLike,
    truth: ArrayLike,
    task: str,
    *,
    coverage: float = 0.9,
    method: Method = "aps",
    seed: int = 0,
    labels: Sequence[str] | None = None,
    wanted: Wanted | None = None,
    groups: Sequence[str] | None = None,
) -> Calibrated:
    """Fit temperature, prediction sets and thresholds, and measure them by cross-fitting.

    The stored thresholds of sets are those of the cross-fitted probabilities, so that no clip's
    score profits from a temperature that it helped to fit. Those of detections are at the stored
    temperature, on the scale of the answers.

    Args:
      sample_logits: Logits of every draw at temperature 1, `[draws, clips, labels]`.
      truth: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      coverage: Target probability in (0, 1) that a prediction set holds the truth.
      method: How multiclass sets are made, "aps" or "threshold".
      seed: Seed of the division into folds.
      labels: Names of the labels; by default "label 0" and so on.
      wanted: Precision or recall for which a threshold is chosen for each label.
      groups: What clips share with others, such as their recording, [clips].

    Raises:
      UserError: If there are fewer than two clips or groups, or an argument is not allowed.
    """
    sample_logits, truth = np.asarray(sample_logits), np.asarray(truth)
    clips = len(truth)
    if clips < 2:
        raise UserError(f"the split has {clips} clips; a calibration needs at least 2")
    folds = _folds(clips, groups, seed)
    probs, scored = np.empty(truth.shape), []
    crossed: list[DetectionCounts] = []
    for fold in np.unique(folds):
        held_out = folds == fold
        others = ~held_out
        fit = fit_temperature(sample_logits[:, others], truth[others], task)
        scaled = scaled_probabilities(sample_logits, task, fit.temperature)
        probs[held_out] = scaled[held_out]
        sets = fit_sets(scaled[others], truth[others], task, coverage=coverage, method=method)
        scored.append((set_statistics(sets, probs[held_out], truth[held_out]), int(held_out.sum())))
        if wanted is not None:
            crossed.append(held_out_counts(scaled, truth, task, wanted, held_out))
    temperature = fit_temperature(sample_logits, truth, task).temperature
    predictor = fit_sets(probs, truth, task, coverage=coverage, method=method)
    names = labels or [f"label {i}" for i in range(truth.shape[1])]
    unscaled = scaled_probabilities(sample_logits, task, 1.0)
    return Calibrated(
        calibration=Calibration(temperature=temperature, conformal=to_metadata(predictor, clips)),
        clips=clips,
        before=metrics(unscaled, truth, task),
        after=metrics(probs, truth, task),
        words_before=words_on_answers(unscaled, truth, task, names),
        words_after=words_on_answers(probs, truth, task, names),
        sets=_pooled(scored),
        detection=None
        if wanted is None
        else fit_detection(
            scaled_probabilities(sample_logits, task, temperature), truth, task, wanted, crossed
        ),
        groups=None if groups is None else len(set(groups)),
    )


def _folds(clips: int, groups: Sequence[str] | None, seed: int) -> np.ndarray:
    """Return the fold of each clip; a group is in one fold."""
    member = np.arange(clips) if groups is None else np.unique(groups, return_inverse=True)[1]
    parts = int(member.max()) + 1
    if parts < 2:
        raise UserError(
            f"the {clips} clips are of one recording or group; a calibration needs clips of at "
            "least 2, so that it can be measured on other ones"
        )
    return (np.random.default_rng(seed).permutation(parts) % min(FOLDS, parts))[member]


def _pooled(scored: list[tuple[dict[str, Any], int]]) -> dict[str, Any]:
    """Return the statistics of all folds: means weighted by their clips."""
    weights = [clips for _, clips in scored]

    def mean(name: str) -> float | None:
        values = [statistics[name] for statistics, _ in scored]
        values = [v.value if isinstance(v, Interval) else v for v in values]
        known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
        if not known:
            return None
        return float(np.average([v for v, _ in known], weights=[w for _, w in known]))

    first = scored[0][0]
    names = [name for name in first if name not in ("wanted", "sizes")]
    return {"wanted": first["wanted"], **{name: mean(name) for name in names}}
