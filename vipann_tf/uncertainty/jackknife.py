"""Jackknife intervals over clips, for scores that are means over labels.

mAP, the mean AUC and macro F1 hang on the few clips of rare labels. The bootstrap is wrong about
them twice: a resample repeats clips, which makes rankings look better (all resampled mAPs may lie
above the mAP itself), and it takes a label that has one clip for certain. The jackknife leaves each
clip out once and does neither (Tukey 1958; Efron & Tibshirani 1993, "An Introduction to the
Bootstrap", chapter 11). Its variance is, in expectation, never below that of the score (Efron &
Stein 1981, "The Jackknife Estimate of Variance", for one clip fewer), so intervals are rather too
wide. `benchmarks/interval_coverage.py` compares it with the bootstrap by simulated coverage.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import t as student

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import FloatArray
from vipann_tf.uncertainty.bootstrap import Interval

__all__ = ["jackknife_interval", "leave_out_weights"]

MOST = 1000  # replicates; with more clips, several are left out together


def leave_out_weights(clips: int, groups: ArrayLike | None = None, most: int = MOST) -> FloatArray:
    """Return the weights of the clips with each part of them left out once.

    A part is one clip, or one group. If there are more than `most`, the 1st, the (most + 1)th and
    so on are one part (delete-a-group jackknife, Shao & Tu 1995, "The Jackknife and Bootstrap",
    section 2.3), so no random numbers are needed.

    Args:
      clips: Number of clips, at least 1.
      groups: Group of each clip, `[clips]`, as in `resample_weights`.
      most: Largest number of parts.

    Returns:
      float64 `[parts, clips]` of 0 (left out) and 1; no rows if there is one part alone, without
      which nothing is left.

    Raises:
      UserError: If clips is below 1 or groups have another length.
    """
    if clips < 1:
        raise UserError(f"clips is {clips}; it must be at least 1")
    member = np.arange(clips)
    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != (clips,):
            raise UserError(f"groups have shape {groups.shape}; give one for each of {clips} clips")
        member = np.unique(groups, return_inverse=True)[1]
    part = member % most
    if part.max() == 0:
        return np.zeros((0, clips))
    weights: FloatArray = (np.arange(part.max() + 1)[:, None] != part).astype(np.float64)
    return weights


def jackknife_interval(
    value: float | None,
    replicates: ArrayLike,
    *,
    share: bool,
    least: float = -np.inf,
    level: float = 0.95,
) -> Interval:
    """Return value -+ t s, with s^2 = (m - 1) / m sum (replicate - mean)^2 over m replicates.

    Efron & Tibshirani 1993, eq. 11.5; t is the quantile of Student's distribution of m - 1 degrees
    of freedom. For a share the interval is that of its log-odds, so that it stays inside 0 and 1.

    Args:
      value: The score on the clips as they are; None or NaN if it is not defined.
      replicates: The score with each part left out, `[parts]`.
      share: Whether the score lies between 0 and 1, as an AUC does and a difference does not.
      least: The smallest value that the score can have, where the interval is cut.
      level: Nominal coverage.

    Returns:
      An `Interval` that holds the value. It has no ends if a replicate is not defined, since the
      score then hangs on one part, or if there are fewer than two.
    """
    if value is None or not np.isfinite(value):
        return Interval(None)
    value, scores = float(value), np.asarray(replicates, np.float64)
    parts = len(scores)
    if parts < 2 or not np.all(np.isfinite(scores)):
        return Interval(value)
    error = np.sqrt((parts - 1) / parts * np.sum((scores - scores.mean()) ** 2))
    half = student.ppf((1 + level) / 2, parts - 1) * error
    if not share or value in (0.0, 1.0):
        return Interval(value, max(least, float(value - half)), float(value + half))
    half /= value * (1 - value)
    low, high = expit(logit(value) - half), expit(logit(value) + half)
    # Rounding could put an end slightly past the value.
    return Interval(value, min(float(low), value), max(float(high), value))
