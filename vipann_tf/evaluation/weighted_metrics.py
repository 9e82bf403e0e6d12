"""The headline metrics under many weightings of the clips at once.

Weights of one give the values of `metrics.metrics`. Means over clips and means over labels are
apart, because their intervals are: those of the former are bootstrapped, those of the latter come
from leaving clips out (`intervals`).
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from scipy.stats import norm

from vipann_tf.uncertainty.arrays import BoolArray, FloatArray, checked
from vipann_tf.uncertainty.calibration import BINS, bin_index, equal_width_edges
from vipann_tf.uncertainty.metrics import COMMON
from vipann_tf.uncertainty.ranking import weighted_auroc, weighted_average_precision
from vipann_tf.uncertainty.scores import clip_brier, clip_nll

__all__ = ["clip_means", "label_means"]

_CELLS = 4_000_000  # weights handled at a time: 32 MB


def clip_means(
    probs: ArrayLike, labels: ArrayLike, task: str, weights: ArrayLike
) -> dict[str, FloatArray]:
    """Return the metrics that are means over clips, and the calibration errors.

    Args:
      probs: Mean probabilities, `[clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      weights: At least 0, `[weightings, clips]`.

    Returns:
      Metric names and float64 `[weightings]`: accuracy (multiclass), nll, brier, ece, and
      ece_classwise (multiclass) or ece_macro.
    """
    probs, labels = checked(probs, labels, task)
    weights = np.asarray(weights, np.float64)
    total = weights.sum(axis=1)
    scores = {
        "nll": weights @ clip_nll(probs, labels, task) / total,
        "brier": weights @ clip_brier(probs, labels, task) / total,
    }
    macro = _label_gaps(probs, labels, weights).sum(axis=2).mean(axis=1) / total
    if task == "multiclass":
        top = probs.argmax(axis=1)
        right = labels[np.arange(len(probs)), top]
        gaps = _label_gaps(probs.max(axis=1)[:, None], right[:, None], weights)
        ece = gaps[:, 0].sum(axis=1) / total
        return {
            "accuracy": weights @ right / total,
            **scores,
            "ece": ece,
            "ece_classwise": macro,
        }
    ece = _pooled_gaps(probs, labels, weights).sum(axis=1) / (total * probs.shape[1])
    return {**scores, "ece": ece, "ece_macro": macro}


def label_means(
    probs: ArrayLike, labels: ArrayLike, task: str, weights: ArrayLike
) -> dict[str, FloatArray]:
    """Return the metrics that are means over labels.

    Args:
      probs: As in `clip_means`.
      labels: As in `clip_means`.
      task: As in `clip_means`.
      weights: As in `clip_means`.

    Returns:
      Metric names and float64 `[weightings]`, NaN where not defined: macro_f1 (multiclass) or map,
      map_common, auc and d_prime. Labels are left out of a mean where their positive or negative
      clips have no weight; which labels are common does not depend on the weights.
    """
    probs, labels = checked(probs, labels, task)
    weights = np.asarray(weights, np.float64)
    if task == "multiclass":
        answer = np.eye(probs.shape[1], dtype=bool)[probs.argmax(axis=1)]
        hit = weights @ (answer & labels)  # [weightings, labels]: true positives
        said_or_true = weights @ answer + weights @ labels
        with np.errstate(invalid="ignore"):  # a label neither true nor answered has no F1
            return {"macro_f1": np.nanmean(2 * hit / said_or_true, axis=1)}
    common = labels.sum(axis=0) >= COMMON
    every = np.ones_like(common)
    precision, of_common = _means_over_labels(
        weighted_average_precision, probs, labels, weights, (every, common)
    )
    (auc,) = _means_over_labels(weighted_auroc, probs, labels, weights, (every,))
    return {
        "map": precision,
        "map_common": of_common,
        "auc": auc,
        "d_prime": np.sqrt(2.0) * norm.ppf(auc),
    }


def _label_gaps(probs: FloatArray, labels: BoolArray, weights: FloatArray) -> FloatArray:
    """Return weighted |sum of label - probability|, `[weightings, labels, bins]`."""
    index = bin_index(probs, equal_width_edges())
    columns = index + BINS * np.arange(probs.shape[1])
    sums = weights @ _gap_matrix(probs, labels, columns, BINS * probs.shape[1])
    return np.abs(sums).reshape(len(weights), probs.shape[1], BINS)


def _pooled_gaps(probs: FloatArray, labels: BoolArray, weights: FloatArray) -> FloatArray:
    """Return weighted |sum of label - probability| over all pairs, `[weightings, bins]`."""
    index = bin_index(probs, equal_width_edges())
    return np.abs(weights @ _gap_matrix(probs, labels, index, BINS))


def _gap_matrix(
    probs: FloatArray, labels: BoolArray, columns: np.ndarray, width: int
) -> scipy.sparse.csr_matrix:
    """Return label - probability of each pair, added up in its column: `[clips, width]`."""
    rows = np.repeat(np.arange(len(probs)), probs.shape[1])
    gaps = (labels - probs).ravel()
    return scipy.sparse.csr_matrix((gaps, (rows, columns.ravel())), shape=(len(probs), width))


def _means_over_labels(
    score: Callable[..., FloatArray],
    probs: FloatArray,
    labels: BoolArray,
    weights: FloatArray,
    sets: tuple[BoolArray, ...],
) -> list[FloatArray]:
    """Return the mean over each set of labels, `[weightings]`; a set is bool, `[labels]`."""
    step = max(1, _CELLS // len(probs))
    means = []
    for start in range(0, max(1, len(weights)), step):  # also without weightings
        part = weights[start : start + step]
        total, defined = np.zeros((2, len(sets), len(part)))
        for label in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
            values = score(probs[:, label], labels[:, label], part)
            # Without negatives AP is 1 by convention: such a label is left out.
            known = np.isfinite(values) & (part @ ~labels[:, label] > 0)
            inside = np.array([members[label] for members in sets])[:, None]
            total += inside * np.where(known, values, 0.0)
            defined += inside * known
        means.append(np.divide(total, defined, out=np.full(total.shape, np.nan), where=defined > 0))
    return list(np.concatenate(means, axis=1))
