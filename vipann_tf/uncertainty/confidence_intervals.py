"""Confidence intervals in closed form: of a share, and of a mean."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from vipann_tf.uncertainty.arrays import FloatArray

__all__ = ["CONFIDENCE", "student_interval", "wilson_interval"]

CONFIDENCE = 0.95


def wilson_interval(
    successes: ArrayLike, trials: ArrayLike, z: float = 1.959964
) -> tuple[FloatArray, FloatArray]:
    """Return Wilson's score interval of a share (Wilson 1927), which stays inside [0, 1].

    Bootstrap resamples do not vary if all clips are right; this interval does not need it.

    Args:
      successes: Counts, `[...]`.
      trials: Counts of at least 1, `[...]`.
      z: Normal quantile; 1.96 for 95 %.
    """
    trials = np.asarray(trials)
    share = np.asarray(successes) / trials
    shrink = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    # Rounding could put the end slightly past a share of 0 or 1.
    return np.minimum(centre - half, share), np.maximum(centre + half, share)


def student_interval(
    values: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float | None, float | None]:
    """Return the mean of a sample and the confidence interval of the expected value.

    mean -+ t s / sqrt(n), with s the sample's standard deviation and t the quantile of Student's
    distribution of n - 1 degrees of freedom. Folds share training clips, so their values are not
    quite independent and the interval is somewhat too narrow (Bengio and Grandvalet 2004).

    Args:
      values: One value per fold.
      confidence: Coverage of the interval, above 0 and below 1.

    Returns:
      Mean, lower and upper end; no ends for a single value.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    quantile = stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    half = float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
