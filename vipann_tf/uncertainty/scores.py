"""Proper scores: the negative log likelihood, and the Brier score with its parts.

A proper score is best, in expectation, for the true probabilities; it rewards being right and
being calibrated at once (Gneiting & Raftery 2007, "Strictly Proper Scoring Rules").
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vipann_tf.uncertainty.arrays import FloatArray, checked
from vipann_tf.uncertainty.calibration import Reliability

__all__ = [
    "PROBABILITY_FLOOR",
    "BrierParts",
    "brier_parts",
    "clip_brier",
    "clip_nll",
]

# The smallest distance of a float32 below 1 from 1: a float32 probability closer to 0 or 1 than
# this was rounded to 0 or 1, and its logarithm would be infinite.
PROBABILITY_FLOOR = 2.0**-24


class BrierParts(NamedTuple):
    """score = reliability - resolution + uncertainty + within_bin, exactly."""

    score: FloatArray  # mean (p - y)^2
    reliability: FloatArray  # weighted mean (mean confidence_b - accuracy_b)^2; 0 is calibrated
    resolution: FloatArray  # weighted mean (accuracy_b - base rate)^2; large is informative
    uncertainty: FloatArray  # base rate (1 - base rate): of the data, the same for every model
    within_bin: FloatArray  # what binning hides: variance of p minus twice its covariance with y


def clip_nll(probs: ArrayLike, labels: ArrayLike, task: str) -> FloatArray:
    """Return each clip's negative log likelihood in nats.

    Multiclass: -log p of the true label. Multilabel: the mean over labels of the binary cross
    entropy -y log p - (1 - y) log(1 - p), so that data sets of many and of few labels are
    comparable; multiply by the number of labels to compare with a clip's total uncertainty. The
    likelihood of a truth is at least 2^-24.

    Args:
      probs: Probabilities, `[clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".

    Returns:
      float64 `[clips]`.
    """
    probs, labels = checked(probs, labels, task)
    if task == "multiclass":
        likelihood: FloatArray = np.maximum(probs[labels], PROBABILITY_FLOOR)[:, None]
    else:
        likelihood = np.where(labels, probs, 1.0 - probs)
        likelihood = np.clip(likelihood, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    nll: FloatArray = -np.log(likelihood).mean(axis=1)
    return nll


def clip_brier(probs: ArrayLike, labels: ArrayLike, task: str) -> FloatArray:
    """Return each clip's Brier score.

    Multiclass: the sum over labels of (p - y)^2, in [0, 2] (Brier 1950, eq. 2). Multilabel: the
    mean over labels, in [0, 1].

    Args and returns as `clip_nll`.
    """
    probs, labels = checked(probs, labels, task)
    squares = np.square(probs - labels)
    score: FloatArray = squares.sum(axis=1) if task == "multiclass" else squares.mean(axis=1)
    return score


def brier_parts(stats: Reliability) -> BrierParts:
    """Return the Brier score of binary outcomes and its parts, for each set of bins.

    With n_b pairs in bin b of N, mean confidence p_b, observed share y_b and base rate y:
    reliability = sum n_b/N (p_b - y_b)^2, resolution = sum n_b/N (y_b - y)^2, uncertainty =
    y (1 - y) (Murphy 1973, "A New Vector Partition of the Probability Score", eq. 9). Confidences
    that differ inside a bin add the variance of p minus twice the covariance of p and y within
    bins (Stephenson et al. 2008, "Two Extra Components in the Brier Score Decomposition", eq. 5),
    so that the parts add up to the score exactly.

    Args:
      stats: Sums per bin, `[..., bins]`, e.g. from `label_reliability`. Sum the parts over labels
        for the multiclass Brier score; average them for the multilabel one.

    Returns:
      A `BrierParts` of arrays `[...]`; NaN without pairs.
    """
    total = stats.count.sum(axis=-1)
    pairs = np.where(total > 0, total, np.nan)
    filled = np.maximum(stats.count, 1)  # an empty bin's sums are 0, so its terms are 0
    confidence = stats.confidence / filled
    observed = stats.outcome / filled
    base = stats.outcome.sum(axis=-1) / pairs

    def mean(terms: NDArray[Any]) -> FloatArray:
        result: FloatArray = terms.sum(axis=-1) / pairs
        return result

    score = mean(stats.confidence_squared - 2 * stats.confidence_outcome + stats.outcome)
    variance = stats.confidence_squared - stats.count * confidence**2
    covariance = stats.confidence_outcome - stats.count * confidence * observed
    return BrierParts(
        score=score,
        reliability=mean(stats.count * (confidence - observed) ** 2),
        resolution=mean(stats.count * (observed - base[..., None]) ** 2),
        uncertainty=base * (1 - base),
        within_bin=mean(variance - 2 * covariance),
    )
