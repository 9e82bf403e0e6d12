"""AUROC and average precision of one ranking under many weightings of its clips at once.

scikit-learn scores one weighting per call, but an interval needs a thousand per label. Here one
sort serves the cumulative sums of all weightings. A few positive clips are compared with all clips
instead, in a matrix product that took less than a tenth of the time (450 clips, 5 of them positive,
450 weightings). With weights of one both functions equal `sklearn.metrics.roc_auc_score` and
`average_precision_score`, ties included.
"""

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.uncertainty.arrays import BoolArray, FloatArray

__all__ = ["weighted_auroc", "weighted_average_precision"]

FEW = 64  # positive clips up to which they are compared with all clips


def weighted_auroc(scores: ArrayLike, positive: ArrayLike, weights: ArrayLike) -> FloatArray:
    """Return P(score of a positive > of a negative) + P(equal) / 2, for each weighting.

    The Mann-Whitney form of the area under the ROC curve (Hanley & McNeil 1982).

    Args:
      scores: Larger means more likely positive, `[clips]`.
      positive: Which clips are positive, bool `[clips]`.
      weights: Weights of the clips, at least 0, `[weightings, clips]`.

    Returns:
      float64 `[weightings]`; NaN where positives or negatives have no weight.
    """
    scores, positive = np.asarray(scores), np.asarray(positive, bool)
    weights = np.asarray(weights, np.float64)
    if positive.sum() <= FEW:
        own, each = scores[positive], scores[:, None]
        found = weights[:, positive]
        negative = weights.sum(axis=1) - found.sum(axis=1)
        above = ~positive[:, None] * ((each > own) + (each == own) / 2)
        won = negative[:, None] - weights @ above  # [weightings, positives]
        return _ratio((found * won).sum(axis=1), found.sum(axis=1) * negative)
    positives, negatives = _tied_groups(scores, positive, weights)
    below = np.cumsum(negatives, axis=1) - negatives
    won = ((below + negatives / 2) * positives).sum(axis=1)
    return _ratio(won, positives.sum(axis=1) * negatives.sum(axis=1))


def weighted_average_precision(
    scores: ArrayLike, positive: ArrayLike, weights: ArrayLike
) -> FloatArray:
    """Return AP = sum_k (R_k - R_k-1) P_k over the distinct scores k, for each weighting.

    Arguments and return as `weighted_auroc`; NaN where positives have no weight.
    """
    scores, positive = np.asarray(scores), np.asarray(positive, bool)
    weights = np.asarray(weights, np.float64)
    if positive.sum() <= FEW:
        own = scores[positive]
        weight = weights[:, positive]
        found = weight @ (own[:, None] >= own)
        precision = _ratio(found, weights @ (scores[:, None] >= own))
        return _ratio(np.nansum(weight * precision, axis=1), weight.sum(axis=1))
    positives, negatives = _tied_groups(scores, positive, weights)
    positives, negatives = positives[:, ::-1], negatives[:, ::-1]  # the highest score first
    found = np.cumsum(positives, axis=1)
    retrieved = found + np.cumsum(negatives, axis=1)
    precision = np.divide(found, retrieved, out=np.zeros_like(found), where=retrieved > 0)
    return _ratio((positives * precision).sum(axis=1), positives.sum(axis=1))


def _tied_groups(
    scores: FloatArray, positive: BoolArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return weights of positives and negatives per distinct score, `[weightings, groups]`."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    weights = weights[:, order]
    positives: FloatArray = np.add.reduceat(weights * positive[order], starts, axis=1)
    return positives, np.add.reduceat(weights * ~positive[order], starts, axis=1)


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    ratio: FloatArray = np.full(top.shape, np.nan)
    return np.divide(top, bottom, out=ratio, where=bottom > 0)
