"""Thresholds per label that reach a wanted precision or recall on held-out clips.

A label is detected in a clip whose probability is at least the label's threshold. Candidates are
the probabilities of the clips, so that clips of equal probability are detected together.

- precision: the smallest threshold whose detections are right often enough. It finds the most
  clips among the thresholds that do.
- recall: the largest threshold that finds enough of the clips that have the label.

The chosen threshold is the best of many on the same clips, so its precision or recall there is
optimistic (selection). Choose on some clips and count on others: `count_detections`, whose results
add up over folds. Precision also depends on how frequent a label is: where it is rarer than in the
clips, it is lower; with share q of the clips instead of s, precision P is P' = P r / (P r + 1 - P)
with r = q (1 - s) / (s (1 - q)) (Bayes' rule, if the sounds are otherwise alike). Recall keeps.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import BoolArray, FloatArray, checked
from vipann_tf.uncertainty.confidence_intervals import wilson_interval

__all__ = [
    "MEASURES",
    "DetectionCounts",
    "Measure",
    "ThresholdFit",
    "Wanted",
    "count_detections",
    "fit_thresholds",
]

IntArray = NDArray[np.int64]
Measure = Literal["precision", "recall"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True)
class Wanted:
    """What detections should reach.

    Attributes:
      measure: "precision" (share of detections that are right) or "recall" (share of the clips with
        the label that are detected).
      value: The least value of it, above 0 and at most 1.
    """

    measure: Measure
    value: float

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise UserError(f"measure is {self.measure!r}; it must be one of {', '.join(MEASURES)}")
        if not 0 < self.value <= 1:  # NaN fails too
            raise UserError(f"{self.measure} is {self.value}; it must be above 0 and at most 1")


@dataclass(frozen=True)
class DetectionCounts:
    """Counts of clips, from which precision and recall follow; those of other clips can be added.

    Attributes:
      hits: Clips that have the label and are detected, `[labels]`.
      detected: Clips in which the label is detected, `[labels]`.
      positives: Clips that have the label, `[labels]`.
    """

    hits: IntArray
    detected: IntArray
    positives: IntArray

    def __add__(self, other: "DetectionCounts") -> "DetectionCounts":
        return DetectionCounts(
            self.hits + other.hits, self.detected + other.detected, self.positives + other.positives
        )

    def value(self, measure: Measure) -> FloatArray:
        """Return the precision or recall, `[labels]`; NaN where it is not defined."""
        trials = self._trials(measure)
        return np.where(trials > 0, self.hits / np.maximum(trials, 1), np.nan)

    def interval(self, measure: Measure) -> tuple[FloatArray, FloatArray]:
        """Return the ends of Wilson's 95 % interval of it, `[labels]`; NaN where it is not defined.

        Clips are taken as independent.
        """
        trials = self._trials(measure)
        low, high = wilson_interval(self.hits, np.maximum(trials, 1))
        return np.where(trials > 0, low, np.nan), np.where(trials > 0, high, np.nan)

    def _trials(self, measure: Measure) -> IntArray:
        return self.detected if measure == "precision" else self.positives


@dataclass(frozen=True)
class ThresholdFit:
    """Chosen thresholds.

    Attributes:
      wanted: What they were chosen for.
      thresholds: `[labels]`; NaN where there is none.
      counts: Of the same clips that they were chosen on: optimistic.
      best: Highest value of the measure at any threshold, `[labels]`; NaN without a positive clip.
      min_positives: Least number of positive clips for a threshold.
    """

    wanted: Wanted
    thresholds: FloatArray
    counts: DetectionCounts
    best: FloatArray
    min_positives: int

    @property
    def too_few(self) -> BoolArray:
        """Labels that have no threshold because of too few positive clips, bool `[labels]`."""
        few: BoolArray = self.counts.positives < self.min_positives
        return few

    @property
    def never_reached(self) -> BoolArray:
        """Labels of which no threshold reaches what is wanted, bool `[labels]`."""
        return np.isnan(self.thresholds) & ~self.too_few


def fit_thresholds(
    probs: ArrayLike, labels: ArrayLike, task: str, wanted: Wanted, *, min_positives: int
) -> ThresholdFit:
    """Choose a threshold for each label.

    Args:
      probs: Mean probabilities in [0, 1], `[clips, labels]`, of clips that did not train the model.
      labels: Multi-hot truth, `[clips, labels]`; one-hot for "multiclass".
      task: "multilabel" or "multiclass"; with the latter each label is asked for by itself, too.
      wanted: The measure and its least value.
      min_positives: Labels with fewer positive clips get no threshold; at least 1.

    Raises:
      UserError: An array is not as described.
    """
    probs, truth = checked(probs, labels, task)
    thresholds, best = (np.full(probs.shape[1], np.nan) for _ in range(2))
    positives = truth.sum(axis=0)
    for label in np.flatnonzero(positives):
        candidates, hits, detected = _candidates(probs[:, label], truth[:, label])
        values = hits / (detected if wanted.measure == "precision" else positives[label])
        best[label] = values.max()
        reached = np.flatnonzero(values >= wanted.value)
        if len(reached) and positives[label] >= min_positives:
            thresholds[label] = candidates[reached[-1 if wanted.measure == "precision" else 0]]
    counts = count_detections(probs, truth, task, thresholds)
    return ThresholdFit(wanted, thresholds, counts, best, min_positives)


def count_detections(
    probs: ArrayLike, labels: ArrayLike, task: str, thresholds: ArrayLike
) -> DetectionCounts:
    """Count the detections, and the right ones, of each label.

    Args:
      probs: Mean probabilities in [0, 1], `[clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      thresholds: `[labels]`; a label is never detected where it is NaN.

    Raises:
      UserError: An array is not as described.
    """
    probs, truth = checked(probs, labels, task)
    thresholds = np.asarray(thresholds, np.float64)
    if thresholds.shape != probs.shape[1:]:
        raise UserError(
            f"thresholds have shape {thresholds.shape}; probabilities have {probs.shape[1]} labels"
        )
    detected = probs >= thresholds
    return DetectionCounts((detected & truth).sum(axis=0), detected.sum(axis=0), truth.sum(axis=0))


def _candidates(probs: FloatArray, positive: BoolArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Return distinct probabilities, the highest first, with hits and detections at each."""
    order = np.argsort(-probs, kind="stable")
    ranked = probs[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of equal probabilities
    return ranked[last], np.cumsum(positive[order])[last], last + 1
