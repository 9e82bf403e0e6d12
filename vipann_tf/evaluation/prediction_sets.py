"""Prediction sets of a calibrated model: how they are stored, and how often they hold the truth."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.saved_model.stored_calibration import ConformalThresholds
from vipann_tf.uncertainty.arrays import BoolArray, FloatArray, checked
from vipann_tf.uncertainty.bootstrap import Interval, interval, resample_weights
from vipann_tf.uncertainty.confidence_intervals import wilson_interval
from vipann_tf.uncertainty.conformal import (
    Method,
    MulticlassConformal,
    MultilabelConformal,
    calibrate_multiclass,
    calibrate_multilabel,
)
from vipann_tf.uncertainty.jackknife import jackknife_interval, leave_out_weights

__all__ = ["SetPredictor", "fit_sets", "from_metadata", "set_statistics", "to_metadata"]

SetPredictor = MulticlassConformal | MultilabelConformal
RESAMPLES = 1000


def fit_sets(
    probs: ArrayLike, truth: ArrayLike, task: str, *, coverage: float, method: Method
) -> SetPredictor:
    """Return a set predictor for the task.

    Args:
      probs: Mean probabilities, `[clips, labels]`, of clips that did not train the model.
      truth: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      coverage: Target probability in (0, 1) that a set holds the truth.
      method: "aps" or "threshold"; a multilabel model has only one.
    """
    if task == "multiclass":
        return calibrate_multiclass(probs, truth, coverage, method)
    return calibrate_multilabel(probs, truth, coverage)


def to_metadata(predictor: SetPredictor, clips: int) -> ConformalThresholds:
    """Return what a model directory keeps of a set predictor that was fitted on that many clips."""
    if isinstance(predictor, MulticlassConformal):
        return ConformalThresholds(
            coverage=predictor.coverage,
            method=predictor.method,
            clips=clips,
            threshold=_finite(predictor.threshold),
        )
    return ConformalThresholds(
        coverage=predictor.coverage,
        method="label",
        clips=clips,
        present=[_finite(value) for value in predictor.present_threshold],
        absent=[_finite(value) for value in predictor.absent_threshold],
    )


def from_metadata(thresholds: ConformalThresholds) -> SetPredictor:
    """Return the set predictor that a model directory keeps."""
    if thresholds.method == "label":
        present, absent = (
            np.array([math.inf if value is None else value for value in values])
            for values in (thresholds.present, thresholds.absent)
        )
        return MultilabelConformal(thresholds.coverage, present, absent)
    threshold = math.inf if thresholds.threshold is None else thresholds.threshold
    return MulticlassConformal(thresholds.coverage, thresholds.method, threshold, thresholds.clips)


def set_statistics(
    predictor: SetPredictor,
    probs: ArrayLike,
    truth: ArrayLike,
    *,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> dict[str, Any]:
    """Return how often sets hold the truth, and how large they are.

    Args:
      predictor: Set predictor, fitted on other clips than these; else the numbers are too good.
      probs: Mean probabilities, `[clips, labels]`.
      truth: Multi-hot truth, `[clips, labels]`.
      seed: Seed of the resamples of the intervals.
      groups: What clips have in common; see `resample_weights`.

    Returns:
      wanted: the coverage promised. coverage: `Interval` of the share of clips whose set holds the
      true label (multiclass), of the labels that are there which are in the set (multilabel).
      mean_size: labels per set. Multiclass: sizes, `{labels in the set: clips}`. Multilabel:
      absent_coverage, `Interval` of the labels that are not there whose absence is held possible;
      decided, the share of clips and labels for which just one of the two is.
    """
    if isinstance(predictor, MulticlassConformal):
        probs, truth = checked(probs, truth, "multiclass")
        sets = predictor.sets(probs)
        hits = sets[truth]
        if groups is None or hits.all() or not hits.any():
            trials = len(probs) if groups is None else len(np.unique(np.asarray(groups)))
            low, high = wilson_interval(hits.mean() * trials, trials)
            coverage = Interval(float(hits.mean()), float(low), float(high))
        else:
            left_out = leave_out_weights(len(probs), groups)
            replicates = left_out @ hits / left_out.sum(axis=1)
            coverage = jackknife_interval(float(hits.mean()), replicates, share=True)
        sizes = sets.sum(axis=1)
        return {
            "wanted": predictor.coverage,
            "coverage": coverage,
            "mean_size": float(sizes.mean()),
            "sizes": {int(n): int((sizes == n).sum()) for n in np.unique(sizes)},
        }
    probs, truth = checked(probs, truth, "multilabel")
    present, absent = predictor.possible(probs)
    weights = resample_weights(len(probs), RESAMPLES, seed, groups)
    return {
        "wanted": predictor.coverage,
        "coverage": _pooled_share(present, truth, weights),
        "absent_coverage": _pooled_share(absent, ~truth, weights),
        "mean_size": float(present.sum(axis=1).mean()),
        "decided": float((present != absent).mean()),
    }


def _pooled_share(held: BoolArray, among: BoolArray, weights: FloatArray) -> Interval:
    """Return the share of the pairs `among` that are `held`, with an interval over clips."""
    hits, counts = (held & among).sum(axis=1), among.sum(axis=1)
    if not counts.sum():
        return Interval(None)
    with np.errstate(invalid="ignore"):  # a resample without such pairs
        drawn = weights @ hits / (weights @ counts)
    return interval(hits.sum() / counts.sum(), drawn)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
