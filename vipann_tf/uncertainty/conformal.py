"""Sets of labels that contain the true one with a stated probability, for any model.

Split conformal prediction (Vovk et al. 2005; Angelopoulos & Bates 2023, "Conformal Prediction: A
Gentle Introduction", section 1): score how badly each of n calibration clips fits its true label,
take the ceil((n + 1) coverage)-th smallest score as the threshold, and put into a new clip's set
every label whose score does not exceed it. If calibration clips and new clips are exchangeable
(drawn alike), the set holds the true label with at least that probability, on average over
calibration sets; for few clips of one calibration set it may fall short by about
sqrt(coverage (1 - coverage) / n). Too few clips for the coverage (n < coverage / (1 - coverage))
give an infinite threshold, so that sets hold all labels.

Multiclass scores of label c:

- "threshold": 1 - p_c (Sadinle, Lei & Wasserman 2019): the smallest sets on average.
- "aps": sum of the probabilities above p_c, plus u p_c (Romano, Sesia & Candes 2020, eq. 5-7):
  sets that grow on hard clips. u = 0 for all clips, the default, is reproducible, and the most
  probable label, whose score is then 0, is in every set. (With u = 1 the surest clips would get
  empty sets.) With a uniform random number u per clip the sets are smaller, and may be empty.

Multilabel: each label has a threshold for presence, from the calibration clips that have it, and
one for absence, from the others (Vovk 2012, label-conditional). The answer for each clip and label
is what cannot be excluded: present, absent, either, or (rarely) neither.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import BoolArray, FloatArray, checked, checked_probs

__all__ = [
    "METHODS",
    "Method",
    "MulticlassConformal",
    "MultilabelConformal",
    "PossibleTruths",
    "calibrate_multiclass",
    "calibrate_multilabel",
    "conformal_threshold",
]

Method = Literal["aps", "threshold"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class MulticlassConformal:
    """A calibrated set predictor for clips with one label each."""

    coverage: float
    method: Method
    threshold: float  # infinite if there were too few calibration clips
    clips: int  # calibration clips

    def sets(self, probs: ArrayLike, uniform: ArrayLike | None = None) -> BoolArray:
        """Return which labels are in each clip's set, bool `[clips, labels]`.

        Args:
          probs: Mean probabilities, `[clips, labels]`.
          uniform: For "aps", numbers in [0, 1), `[clips]`, if calibrated with such numbers; a set
            can be empty then.
        """
        return _scores(checked_probs(probs), self.method, uniform) <= self.threshold


class PossibleTruths(NamedTuple):
    """Where presence and absence cannot be excluded; both are bool `[clips, labels]`."""

    present: BoolArray
    absent: BoolArray


@dataclass(frozen=True)
class MultilabelConformal:
    """A calibrated predictor of presence and absence, label by label."""

    coverage: float
    present_threshold: FloatArray  # [labels]: largest 1 - p of a clip that has the label
    absent_threshold: FloatArray  # [labels]: largest p of a clip that does not

    def possible(self, probs: ArrayLike) -> PossibleTruths:
        """Return where presence, and where absence, cannot be excluded.

        Args:
          probs: Mean probabilities, `[clips, labels]`.

        Raises:
          UserError: If the number of labels differs.
        """
        probs = checked_probs(probs)
        if probs.shape[1] != len(self.present_threshold):
            raise UserError(
                f"probabilities have {probs.shape[1]} labels; this was calibrated with "
                f"{len(self.present_threshold)}"
            )
        return PossibleTruths(
            present=1.0 - probs <= self.present_threshold, absent=probs <= self.absent_threshold
        )


def conformal_threshold(scores: ArrayLike, coverage: float) -> float:
    """Return the ceil((n + 1) coverage)-th smallest of n scores, infinite where n is too small.

    Args:
      scores: How badly each calibration clip fits its truth, `[clips]`; may be empty.
      coverage: Target probability in (0, 1) that a set holds the truth.

    Raises:
      UserError: If the coverage is out of range.

    >>> conformal_threshold([0.1, 0.2, 0.3, 0.4], coverage=0.75)  # the 4th smallest of 4
    0.4
    >>> conformal_threshold([0.1, 0.2, 0.3, 0.4], coverage=0.9)
    inf
    """
    if not 0 < coverage < 1:
        raise UserError(f"coverage is {coverage}; it must lie between 0 and 1")
    scores = np.sort(np.asarray(scores, np.float64))
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)  # 1e-9: 10 * 0.9 is 9, not 10
    return float(scores[rank - 1]) if rank <= len(scores) else math.inf


def calibrate_multiclass(
    probs: ArrayLike,
    labels: ArrayLike,
    coverage: float = 0.9,
    method: Method = "aps",
    uniform: ArrayLike | None = None,
) -> MulticlassConformal:
    """Return a set predictor, calibrated on clips that did not train the model.

    Args:
      probs: Mean probabilities, `[clips, labels]`.
      labels: One-hot truth, `[clips, labels]`.
      coverage: Target probability in (0, 1) that a set holds the true label.
      method: "aps" or "threshold".
      uniform: For "aps", random numbers in [0, 1), `[clips]`, for smaller sets; None for u = 0.

    Raises:
      UserError: If an argument is not allowed.
    """
    probs, labels = checked(probs, labels, "multiclass")
    scores = _scores(probs, method, uniform)[labels]
    threshold = conformal_threshold(scores, coverage)
    return MulticlassConformal(coverage, method, threshold, len(probs))


def calibrate_multilabel(
    probs: ArrayLike, labels: ArrayLike, coverage: float = 0.9
) -> MultilabelConformal:
    """Return a predictor of presence and absence.

    Give clips that did not train the model. For each label, presence stays possible for at least a
    share `coverage` of the clips that have it, and absence for that share of the others.

    Args:
      probs: Mean probabilities, `[clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.
      coverage: Probability in (0, 1) for each label and truth.
    """
    probs, labels = checked(probs, labels, "multilabel")
    columns = list(zip(probs.T, labels.T, strict=True))
    return MultilabelConformal(
        coverage,
        np.array([conformal_threshold(1.0 - p[y], coverage) for p, y in columns]),
        np.array([conformal_threshold(p[~y], coverage) for p, y in columns]),
    )


def _scores(probs: FloatArray, method: Method, uniform: ArrayLike | None) -> FloatArray:
    """Return how badly each label fits each clip, `[clips, labels]`."""
    if method not in METHODS:
        raise UserError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    if method == "threshold":
        if uniform is not None:
            raise UserError("uniform numbers are given; only the method 'aps' uses them")
        return 1.0 - probs
    uniform = np.zeros(len(probs)) if uniform is None else np.asarray(uniform, np.float64)
    if uniform.shape != (len(probs),) or not np.all((uniform >= 0) & (uniform <= 1)):
        raise UserError(
            f"uniform numbers have shape {uniform.shape}; give one in [0, 1) for each of "
            f"{len(probs)} clips"
        )
    order = np.argsort(-probs, axis=1, kind="stable")
    ordered = np.take_along_axis(probs, order, axis=1)
    scores = np.cumsum(ordered, axis=1) - ordered + uniform[:, None] * ordered
    return np.take_along_axis(scores, np.argsort(order, axis=1, kind="stable"), axis=1)
