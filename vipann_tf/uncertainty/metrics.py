"""The headline metrics of a data set, from mean probabilities and multi-hot labels.

A metric that the data do not define (mAP without a single positive, an infinite d-prime) is
`None`, which JSON can hold, unlike NaN.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from vipann_tf.uncertainty.arrays import BoolArray, FloatArray, checked
from vipann_tf.uncertainty.calibration import (
    expected_calibration_error,
    label_reliability,
    reliability,
)
from vipann_tf.uncertainty.scores import clip_brier, clip_nll

__all__ = [
    "COMMON",
    "d_prime",
    "label_auc",
    "label_average_precision",
    "metrics",
    "multiclass_metrics",
    "multilabel_metrics",
]


# Positive clips from which on a label is common here: the AP of fewer is mostly luck.
COMMON = 5


def metrics(probs: ArrayLike, labels: ArrayLike, task: str) -> dict[str, float | int | None]:
    """Return `multiclass_metrics` or `multilabel_metrics`, by the task."""
    checked(probs, labels, task)
    of_task = multiclass_metrics if task == "multiclass" else multilabel_metrics
    return of_task(probs, labels)


def multiclass_metrics(probs: ArrayLike, labels: ArrayLike) -> dict[str, float | int | None]:
    """Return the metrics of clips that have one label each.

    Args:
      probs: Mean probabilities, `[clips, labels]`, rows summing to 1.
      labels: One-hot truth, `[clips, labels]`.

    Returns:
      clips; accuracy; macro_f1 (mean over the labels that occur in the truth or in the answers);
      nll (nats per clip); brier (sum over labels, in [0, 2]); ece (top label, 15 equal-width bins);
      ece_classwise (mean over labels, one against the rest).

    Raises:
      UserError: If an array is not as described.
    """
    probs, labels = checked(probs, labels, "multiclass")
    truth, answer = labels.argmax(axis=1), probs.argmax(axis=1)
    return {
        "clips": len(probs),
        "accuracy": float(np.mean(truth == answer)),
        "macro_f1": float(f1_score(truth, answer, average="macro")),
        "nll": float(clip_nll(probs, labels, "multiclass").mean()),
        "brier": float(clip_brier(probs, labels, "multiclass").mean()),
        "ece": float(expected_calibration_error(reliability(probs, labels, "multiclass"))),
        "ece_classwise": _macro_ece(probs, labels, "multiclass"),
    }


def multilabel_metrics(probs: ArrayLike, labels: ArrayLike) -> dict[str, float | int | None]:
    """Return the metrics of clips that have any number of labels.

    mAP and AUC are means over the labels that have both positive and negative clips, as in
    Gemmeke et al. 2017 (AudioSet) and Kong et al. 2020 (PANNs).

    Args:
      probs: Mean probabilities, `[clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.

    Returns:
      clips; map; map_common (over the labels that have at least five positive clips); auc;
      d_prime = sqrt(2) Phi^-1(auc), of the mean AUC; labels_scored, labels_common and
      labels_left_out (without a positive or without a negative clip: in neither mAP nor AUC);
      nll and brier (means over clips and labels); ece (micro: pairs pooled, 15 equal-width bins);
      ece_macro (mean over all labels).

    Raises:
      UserError: If an array is not as described.
    """
    probs, labels = checked(probs, labels, "multilabel")
    auc = _mean_defined(label_auc(probs, labels))
    scored = int(_scorable(labels).sum())
    precision = label_average_precision(probs, labels)
    common = _scorable(labels) & (labels.sum(axis=0) >= COMMON)
    return {
        "clips": len(probs),
        "map": _mean_defined(precision),
        "map_common": _mean_defined(precision[common]),
        "auc": auc,
        "d_prime": None if auc is None else d_prime(auc),
        "labels_scored": scored,
        "labels_common": int(common.sum()),
        "labels_left_out": labels.shape[1] - scored,
        "nll": float(clip_nll(probs, labels, "multilabel").mean()),
        "brier": float(clip_brier(probs, labels, "multilabel").mean()),
        "ece": float(expected_calibration_error(reliability(probs, labels, "multilabel"))),
        "ece_macro": _macro_ece(probs, labels, "multilabel"),
    }


def label_average_precision(probs: ArrayLike, labels: ArrayLike) -> FloatArray:
    """Return each label's average precision, `[labels]`; NaN without both kinds of clips.

    AP = sum_k (R_k - R_k-1) P_k over the thresholds k, without interpolation (scikit-learn's).
    """
    return _by_label(average_precision_score, probs, labels)


def label_auc(probs: ArrayLike, labels: ArrayLike) -> FloatArray:
    """Return each label's area under the ROC curve, `[labels]`; NaN without both kinds."""
    return _by_label(roc_auc_score, probs, labels)


def d_prime(auc: float) -> float | None:
    """Return sqrt(2) Phi^-1(AUC), or None if it is infinite, at 0 and 1.

    It is the distance, in standard deviations, of two normal scores of that AUC (Simpson & Fitter
    1973).

    >>> round(d_prime(0.973), 3)  # AudioSet, PANNs CNN14
    2.725
    """
    value = math.sqrt(2.0) * float(norm.ppf(auc))
    return value if math.isfinite(value) else None


def _scorable(labels: BoolArray) -> BoolArray:
    clips = labels.sum(axis=0)
    scorable: BoolArray = (clips > 0) & (clips < len(labels))
    return scorable


def _by_label(score: Callable[..., float], probs: ArrayLike, labels: ArrayLike) -> FloatArray:
    probs, labels = checked(probs, labels, "multilabel")
    result = np.full(labels.shape[1], np.nan)
    for label in np.flatnonzero(_scorable(labels)):
        result[label] = score(labels[:, label], probs[:, label])
    return result


def _mean_defined(values: FloatArray) -> float | None:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def _macro_ece(probs: ArrayLike, labels: ArrayLike, task: str) -> float:
    return float(expected_calibration_error(label_reliability(probs, labels, task)).mean())
