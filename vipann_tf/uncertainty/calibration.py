"""Calibration: is a share p of the answers given with confidence p right?

Counting and scoring are separate. `count_bins` sorts confidences into bins and keeps sums per bin
(`Reliability`, which `merge` adds up over parts of the data set); the scores below are functions of
those sums. Bins are (edge_b, edge_b+1], and the first bin includes its left edge, as in Guo et al.
A bin without examples has count 0 and mean NaN and adds nothing to a score.

Which pairs of confidence and outcome are counted:

- multiclass, `reliability`: the top label's probability, and whether it is the true label
  (Naeini et al. 2015; Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 2-3).
- multilabel, `reliability`: every (clip, label) pair, pooled into one set of bins: the *micro*
  ECE. Most pairs are easy absences, so it is small by nature where labels are many.
- `label_reliability`: every label by itself, one against the rest. The mean of the labels' ECE
  is the *macro* ECE for multilabel and the *classwise* ECE for multiclass (Kull et al. 2019,
  "Beyond temperature scaling", eq. 3; Nixon et al. 2019 call it static calibration error).

Labels without positives count too: a probability for them should be near 0.

The binned ECE of few clips is biased upwards: bins of n clips stray from the diagonal by about
sqrt(p (1 - p) / n) even for a calibrated model (Kumar et al. 2019). Compare models on the same
clips and bins only; `consistency.py` says what a calibrated model would show.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import BoolArray, FloatArray, checked

__all__ = [
    "BINS",
    "Reliability",
    "adaptive_calibration_error",
    "bin_index",
    "count_bins",
    "equal_mass_edges",
    "equal_width_edges",
    "expected_calibration_error",
    "label_reliability",
    "maximum_calibration_error",
    "merge",
    "reliability",
    "sweep_calibration_error",
    "top_label",
]

IntArray = NDArray[np.int64]

BINS = 15  # Guo et al. 2017, table 1


@dataclass(frozen=True)
class Reliability:
    """Sums per bin; `[...]` is empty, or `[labels]` if labels are counted separately."""

    edges: FloatArray  # [..., bins + 1] float64, ascending; repeated edges make an empty bin
    count: IntArray  # [..., bins] int64: pairs in the bin
    confidence: FloatArray  # [..., bins] float64: sum of confidences p
    outcome: IntArray  # [..., bins] int64: sum of outcomes y in {0, 1}
    confidence_squared: FloatArray  # [..., bins] float64: sum of p^2
    confidence_outcome: FloatArray  # [..., bins] float64: sum of p y

    @property
    def mean_confidence(self) -> FloatArray:
        """Mean confidence `[..., bins]`, NaN if the bin is empty."""
        return _mean(self.confidence, self.count)

    @property
    def accuracy(self) -> FloatArray:
        """Observed share of outcomes that are 1, `[..., bins]`, NaN if the bin is empty."""
        return _mean(self.outcome, self.count)


def equal_width_edges(bins: int = BINS) -> FloatArray:
    """Return edges of bins of equal width over [0, 1], float64 `[bins + 1]`."""
    _check_bins(bins)
    return np.linspace(0.0, 1.0, bins + 1)


def equal_mass_edges(confidence: ArrayLike, bins: int = BINS) -> FloatArray:
    """Return edges of bins over [0, 1] that hold equally many of the given confidences.

    Edges lie half-way between neighbours (Nguyen & O'Connor 2015, section 3.2). Equal confidences
    stay in one bin, so ties leave other bins smaller or empty.

    Args:
      confidence: Confidences in [0, 1], `[pairs]`, or `[pairs, labels]` for edges per label.
      bins: Number of bins.

    Returns:
      float64 `[bins + 1]`, or `[labels, bins + 1]`; the outer edges are 0 and 1.
    """
    _check_bins(bins)
    ordered = np.sort(np.asarray(confidence, np.float64), axis=0)
    pairs = len(ordered)
    if pairs == 0:
        raise UserError("there are no confidences; equal-mass bins need at least one")
    cuts = np.round(np.arange(1, bins) * pairs / bins).astype(int)
    inner = (ordered[np.maximum(cuts - 1, 0)] + ordered[np.minimum(cuts, pairs - 1)]) / 2
    inner = inner.T  # [..., bins - 1]
    outer = np.ones((*inner.shape[:-1], 1))
    return np.concatenate([0.0 * outer, inner, outer], axis=-1)


def bin_index(confidence: ArrayLike, edges: ArrayLike) -> IntArray:
    """Return the number of the bin (edge_b, edge_b+1] that holds each confidence, int, `[...]`."""
    edges = np.asarray(edges)
    index: IntArray = np.searchsorted(edges, np.asarray(confidence), side="left") - 1
    return np.clip(index, 0, len(edges) - 2)


def count_bins(confidence: ArrayLike, outcome: ArrayLike, edges: ArrayLike) -> Reliability:
    """Return the sums per bin.

    Args:
      confidence: Confidences in [0, 1], `[pairs]` or `[pairs, labels]`.
      outcome: Whether each came true, 0 or 1, of the same shape.
      edges: Ascending edges that cover the confidences, `[bins + 1]` for all or
        `[labels, bins + 1]`.

    Returns:
      A `Reliability` of shape `[bins]`, or `[labels, bins]`.

    Raises:
      UserError: If the shapes differ or a confidence lies outside the edges.
    """
    confidence = np.asarray(confidence, np.float64)
    outcome = np.asarray(outcome)
    edges = np.asarray(edges, np.float64)
    if confidence.shape != outcome.shape or confidence.ndim not in (1, 2):
        raise UserError(
            f"confidences have shape {confidence.shape} and outcomes {outcome.shape}; both must be "
            "[pairs] or both [pairs, labels]"
        )
    if confidence.ndim == 2:
        edges = np.broadcast_to(edges, (confidence.shape[1], edges.shape[-1]))
        columns = zip(confidence.T, outcome.T, edges, strict=True)
        parts = [count_bins(p, y, e) for p, y, e in columns]
        names = ("count", "confidence", "outcome", "confidence_squared", "confidence_outcome")
        return Reliability(
            edges, *(np.stack([getattr(part, name) for part in parts]) for name in names)
        )
    if not np.all((confidence >= edges[0]) & (confidence <= edges[-1])):  # NaN fails too
        bad = confidence[~((confidence >= edges[0]) & (confidence <= edges[-1]))][0]
        raise UserError(f"a confidence is {bad}; the bins cover [{edges[0]:g}, {edges[-1]:g}]")
    bins = len(edges) - 1
    index = bin_index(confidence, edges)

    def total(weights: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(index, weights=weights, minlength=bins)

    return Reliability(
        edges=edges,
        count=np.bincount(index, minlength=bins),
        confidence=total(confidence),
        outcome=total(outcome).astype(np.int64),
        confidence_squared=total(confidence**2),
        confidence_outcome=total(confidence * outcome),
    )


def merge(first: Reliability, second: Reliability) -> Reliability:
    """Return the sums over two parts of the data that were counted in the same bins.

    Raises:
      UserError: If the edges differ.
    """
    if not np.array_equal(first.edges, second.edges):
        raise UserError(
            f"the parts were counted in different bins ({first.edges.shape[-1] - 1} and "
            f"{second.edges.shape[-1] - 1}, or other edges); count both with the same edges"
        )
    return Reliability(
        first.edges,
        first.count + second.count,
        first.confidence + second.confidence,
        first.outcome + second.outcome,
        first.confidence_squared + second.confidence_squared,
        first.confidence_outcome + second.confidence_outcome,
    )


def top_label(probs: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Return the top label's probability and whether it is true, both `[clips]`.

    Args:
      probs: Probabilities, `[clips, labels]`. Ties take the first label.
      labels: One-hot truth, `[clips, labels]`.
    """
    probs, labels = checked(probs, labels, "multiclass")
    clips = np.arange(len(probs))
    top = probs.argmax(axis=1)
    return probs[clips, top], labels[clips, top]


def reliability(
    probs: ArrayLike, labels: ArrayLike, task: str, edges: ArrayLike | None = None
) -> Reliability:
    """Return the bins of the headline ECE: top label (multiclass) or pooled (multilabel, micro).

    Args:
      probs: Probabilities, `[clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      edges: Bin edges; 15 bins of equal width by default.

    Returns:
      A `Reliability` of shape `[bins]`.
    """
    edges = equal_width_edges() if edges is None else edges
    if task == "multiclass":
        return count_bins(*top_label(probs, labels), edges)
    probs, labels = checked(probs, labels, task)
    return count_bins(probs.ravel(), labels.ravel(), edges)


def label_reliability(
    probs: ArrayLike, labels: ArrayLike, task: str, edges: ArrayLike | None = None
) -> Reliability:
    """Return the bins of every label by itself, one against the rest: `[labels, bins]`.

    Arguments as in `reliability`; edges may also be `[labels, bins + 1]`.
    """
    probs, labels = checked(probs, labels, task)
    return count_bins(probs, labels, equal_width_edges() if edges is None else edges)


def expected_calibration_error(stats: Reliability) -> FloatArray:
    """Return ECE = `sum_b n_b / n |accuracy_b - mean confidence_b|`, in [0, 1], `[...]`.

    NaN without pairs. Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning"; Guo et al. 2017, eq. 3.
    """
    gap = np.abs(stats.outcome - stats.confidence).sum(axis=-1)
    return _mean(gap, stats.count.sum(axis=-1))


def maximum_calibration_error(stats: Reliability) -> FloatArray:
    """Return MCE: of bins that have examples, max `|accuracy_b - mean confidence_b|`, `[...]`.

    NaN without pairs. Source: Naeini et al. 2015; Guo et al. 2017, eq. 4.
    """
    gaps = np.where(stats.count > 0, np.abs(stats.accuracy - stats.mean_confidence), -1.0)
    worst = gaps.max(axis=-1)
    return np.where(worst < 0, np.nan, worst)


def adaptive_calibration_error(
    probs: ArrayLike, labels: ArrayLike, task: str, bins: int = BINS
) -> float:
    """Return the mean over labels of each label's ECE in its own bins of equal mass.

    Adaptive calibration error of Nixon et al. 2019, "Measuring Calibration in Deep Learning",
    eq. 4. Deviation: bins are weighted by their counts, which differ by ties and remainders.
    """
    probs, labels = checked(probs, labels, task)
    stats = count_bins(probs, labels, equal_mass_edges(probs, bins))
    return float(expected_calibration_error(stats).mean())


def sweep_calibration_error(confidence: ArrayLike, outcome: ArrayLike) -> float:
    """Return the ECE with the most equal-mass bins whose accuracies rise from bin to bin.

    The number of bins adapts to the amount of data, which removes most of the binned ECE's bias.
    Source: Roelofs et al. 2022, "Mitigating Bias in Calibration Error Estimation", algorithm 1.

    Args:
      confidence: Confidences in [0, 1], `[pairs]`.
      outcome: Whether each came true, 0 or 1, `[pairs]`.
    """
    confidence = np.asarray(confidence, np.float64)
    result = None
    for bins in range(1, len(confidence) + 1):
        stats = count_bins(confidence, outcome, equal_mass_edges(confidence, bins))
        accuracy = stats.accuracy[stats.count > 0]
        if result is not None and np.any(np.diff(accuracy) < 0):
            break
        result = float(expected_calibration_error(stats))
    if result is None:
        raise UserError("there are no confidences; the sweep needs at least one")
    return result


def _mean(total: ArrayLike, count: ArrayLike) -> FloatArray:
    """Return total / count, NaN if the count is 0."""
    total, count = np.asarray(total, np.float64), np.asarray(count)
    mean: FloatArray = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def _check_bins(bins: int) -> None:
    if bins < 1:
        raise UserError(f"bins is {bins}; it must be at least 1")
