"""Does the uncertainty rank the errors? Then the model can hold back answers instead of guessing.

A clip is *wrong* where its most probable label is not among its labels: the error of a multiclass
clip, and the one-error of a multilabel clip (Schapire & Singer 2000, "BoosTexter", section 4).
For clips of equal uncertainty, results are means over all their orders, so no result depends on the
order of the clips.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import BoolArray, FloatArray, checked

__all__ = [
    "RETAINED_SHARES",
    "RiskCoverage",
    "area_under_risk_coverage",
    "error_detection_auroc",
    "excess_area_under_risk_coverage",
    "retained_accuracy",
    "risk_coverage",
    "wrong_answers",
]

RETAINED_SHARES = (1.0, 0.9, 0.8, 0.7, 0.5)


class RiskCoverage(NamedTuple):
    """What share of the clips is answered, and what share of those is wrong."""

    coverage: FloatArray  # [clips]: 1/n, 2/n, ..., 1
    risk: FloatArray  # [clips]: mean loss of the clips answered at that coverage


def wrong_answers(probs: ArrayLike, labels: ArrayLike, task: str) -> BoolArray:
    """Return whether each clip's most probable label is wrong, bool `[clips]`.

    Args:
      probs: Mean probabilities, `[clips, labels]`. Ties take the first label.
      labels: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
    """
    probs, labels = checked(probs, labels, task)
    right: BoolArray = labels[np.arange(len(probs)), probs.argmax(axis=1)]
    return ~right


def error_detection_auroc(uncertainty: ArrayLike, wrong: ArrayLike) -> float | None:
    """Return the probability that a wrong answer is more uncertain than a right one.

    The AUROC of detecting errors (Hendrycks & Gimpel 2017, "A Baseline for Detecting Misclassified
    and Out-of-Distribution Examples"): 1 is a perfect warning, 0.5 none.

    Args:
      uncertainty: Larger is less sure, `[clips]`.
      wrong: Which answers are wrong, bool `[clips]`.

    Returns:
      The AUROC; None if all answers are right or all are wrong.
    """
    uncertainty, wrong = _checked(uncertainty, wrong)
    if wrong.all() or not wrong.any():
        return None
    return float(roc_auc_score(wrong, uncertainty))


def risk_coverage(uncertainty: ArrayLike, loss: ArrayLike) -> RiskCoverage:
    """Return the risk of answering only the surest clips, for every number of them.

    Geifman & El-Yaniv 2017, "Selective Classification for Deep Neural Networks", eq. 2.

    Args:
      uncertainty: Larger is less sure, `[clips]`.
      loss: Loss of each clip, `[clips]`: usually `wrong_answers`.
    """
    uncertainty, loss = _checked(uncertainty, loss)
    _, group, size = np.unique(uncertainty, return_inverse=True, return_counts=True)
    shared = np.bincount(group, weights=loss) / size  # the mean loss of equally sure clips
    answered = np.arange(1, len(loss) + 1)
    return RiskCoverage(answered / len(loss), np.cumsum(np.repeat(shared, size)) / answered)


def area_under_risk_coverage(uncertainty: ArrayLike, loss: ArrayLike) -> float:
    """Return AURC, the mean risk over the coverages 1/n ... 1: lower is better.

    Geifman, Uziel & El-Yaniv 2019, "Bias-Reduced Uncertainty Estimation", eq. 1. It is the mean
    loss if the uncertainty says nothing.
    """
    return float(risk_coverage(uncertainty, loss).risk.mean())


def excess_area_under_risk_coverage(uncertainty: ArrayLike, loss: ArrayLike) -> float:
    """Return E-AURC: AURC minus that of the best order, which holds back the largest losses first.

    Geifman, Uziel & El-Yaniv 2019, eq. 3. 0 is a perfect order; comparable between models of
    different accuracy.
    """
    return area_under_risk_coverage(uncertainty, loss) - area_under_risk_coverage(loss, loss)


def retained_accuracy(
    uncertainty: ArrayLike, wrong: ArrayLike, shares: Sequence[float] = RETAINED_SHARES
) -> dict[float, float]:
    """Return the accuracy of the surest share of the clips, for each share.

    Args:
      uncertainty: Larger is less sure, `[clips]`.
      wrong: Which answers are wrong, bool `[clips]`.
      shares: Shares in (0, 1] to answer; rounded up to whole clips.

    Raises:
      UserError: If a share is out of range.
    """
    for share in shares:
        if not 0 < share <= 1:
            raise UserError(f"share is {share}; it must be above 0 and at most 1")
    risk = risk_coverage(uncertainty, wrong).risk
    # 1e-9: a share of 0.7 of 10 clips is 7, though 0.7 * 10 may round to slightly more.
    answered = [int(np.ceil(share * len(risk) - 1e-9)) for share in shares]
    kept = zip(shares, answered, strict=True)
    return {share: float(1 - risk[count - 1]) for share, count in kept}


def _checked(uncertainty: ArrayLike, loss: ArrayLike) -> tuple[FloatArray, NDArray[Any]]:
    uncertainty, loss = np.asarray(uncertainty, np.float64), np.asarray(loss)
    if uncertainty.ndim != 1 or uncertainty.shape != loss.shape or not len(loss):
        raise UserError(
            f"uncertainties have shape {uncertainty.shape} and losses {loss.shape}; both must be "
            "[clips] with at least one clip"
        )
    if np.isnan(uncertainty).any():
        clip = int(np.flatnonzero(np.isnan(uncertainty))[0])
        raise UserError(f"the uncertainty of clip {clip} is nan; every clip needs a number")
    return uncertainty, loss
