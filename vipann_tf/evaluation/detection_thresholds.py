"""Thresholds of detections of a calibrated model: their fit, its test, and how they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from vipann_tf.saved_model.stored_calibration import DetectionThresholds
from vipann_tf.uncertainty.arrays import BoolArray, FloatArray
from vipann_tf.uncertainty.metrics import COMMON
from vipann_tf.uncertainty.thresholds import (
    DetectionCounts,
    ThresholdFit,
    Wanted,
    count_detections,
    fit_thresholds,
)

__all__ = ["DetectionFit", "fit_detection", "held_out_counts"]

# The same clip's probabilities differ by less, alone or in a batch, here or on a server.
ROUNDING = 1e-6


@dataclass(frozen=True)
class DetectionFit:
    """Thresholds, and what they are worth.

    Attributes:
      fit: The thresholds; its counts are of the clips that they were chosen on, and so optimistic.
      crossed: Counts of every clip with the thresholds that the other folds choose. A label without
        a threshold in a fold is not detected in it.
    """

    fit: ThresholdFit
    crossed: DetectionCounts

    def to_metadata(self, clips: int, clip_seconds: float) -> DetectionThresholds:
        """Return what a model directory keeps of them."""
        return DetectionThresholds(
            measure=self.fit.wanted.measure,
            wanted=self.fit.wanted.value,
            clips=clips,
            clip_seconds=clip_seconds,
            thresholds=[None if np.isnan(x) else float(x) for x in self.fit.thresholds],
        )


def held_out_counts(
    probs: FloatArray, truth: np.ndarray, task: str, wanted: Wanted, held_out: BoolArray
) -> DetectionCounts:
    """Count detections in clips with thresholds that are chosen on the others.

    A fold has fewer positive clips than all clips together, so that one is enough for a threshold.

    Args:
      probs: Mean probabilities at the temperature of the other clips, `[clips, labels]`.
      truth: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      wanted: What is wanted of the detections.
      held_out: Which clips to count, `[clips]`; not all.
    """
    probs, others = _as_answered(probs), ~held_out
    fit = fit_thresholds(probs[others], truth[others], task, wanted, min_positives=1)
    return count_detections(probs[held_out], truth[held_out], task, fit.thresholds)


def fit_detection(
    probs: FloatArray,
    truth: np.ndarray,
    task: str,
    wanted: Wanted,
    crossed: Sequence[DetectionCounts],
) -> DetectionFit:
    """Choose the thresholds on all clips.

    Args:
      probs: Mean probabilities at the temperature of the model, `[clips, labels]`.
      truth: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      wanted: What is wanted of the detections.
      crossed: The counts of each fold, from `held_out_counts`.
    """
    probs = _as_answered(probs)
    fit = fit_thresholds(probs, truth, task, wanted, min_positives=COMMON)
    fit = replace(fit, thresholds=_with_margin(fit.thresholds, probs))
    return DetectionFit(fit, reduce(add, crossed))


def _with_margin(thresholds: FloatArray, probs: FloatArray) -> FloatArray:
    """Return thresholds a little lower, so that the clip of each passes in spite of rounding.

    They are lowered by `ROUNDING`, but at most half of the way to the next lower probability: the
    same clips pass.

    Args:
      thresholds: `[labels]`; NaN stays.
      probs: `[clips, labels]`, in which the thresholds occur.
    """
    below = np.where(probs < thresholds, probs, 0.0).max(axis=0)
    lowered = _as_answered(np.maximum(thresholds - ROUNDING, (thresholds + below) / 2))
    return np.where(lowered > below, lowered, thresholds)


def _as_answered(probs: FloatArray) -> FloatArray:
    """Return probabilities in the precision of answers: what is equal there is one candidate."""
    return probs.astype(np.float32).astype(np.float64)
