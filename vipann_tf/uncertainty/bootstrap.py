"""Bootstrap intervals over clips: how far a score may be off because the clips are a sample.

The clips are drawn again with replacement many times (Efron & Tibshirani 1993, "An Introduction to
the Bootstrap", chapter 13); the draws are integer weights of the clips, so a statistic handles all
resamples in one matrix product. Two models are compared on the *same*
resamples: clips that are hard for both then cancel, and the interval of the difference is
narrower than two separate intervals suggest.

Two kinds of interval:

- "percentile": the quantiles of the resampled scores, widened to hold the value; for scores that
  are not biased, such as means over clips. `jackknife` is for means over labels.
- "reflected": 2 value - quantiles (the basic interval, Davison & Hinkley 1997, eq. 5.6), cut at 0
  and widened to hold the value. It is for calibration errors, which are biased upwards, and more so
  in resamples: in 300 simulated data sets of 80 clips from a calibrated model, no percentile
  interval contained the true ECE.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import FloatArray

__all__ = ["Interval", "interval", "resample_pair_weights", "resample_weights"]


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval; None if the data do not define it."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is beyond what resampling the clips explains."""
        if self.low is None or self.high is None:
            return False
        return self.low > 0 or self.high < 0


def resample_weights(
    clips: int, resamples: int, seed: int, groups: ArrayLike | None = None
) -> FloatArray:
    """Return how often each clip is drawn in each resample.

    Args:
      clips: Number of clips, at least 1.
      resamples: Number of resamples, at least 1.
      seed: Seed; the same seed gives the same resamples, so that models can be paired.
      groups: Group of each clip, `[clips]`, such as the recording that it was cut from. Whole
        groups are drawn, because clips of one recording are not independent. None draws single
        clips.

    Returns:
      float64 `[resamples, clips]` of whole numbers. Rows sum to `clips` if there are no groups. No
      rows if there is one clip or group alone, since every resample would be the same.

    Raises:
      UserError: If a number is out of range or groups have another length.
    """
    if clips < 1 or resamples < 1:
        raise UserError(f"clips is {clips} and resamples is {resamples}; both must be at least 1")
    rng = np.random.default_rng(seed)
    if groups is None:
        if clips == 1:
            return np.zeros((0, 1))
        return rng.multinomial(clips, np.full(clips, 1 / clips), size=resamples).astype(float)
    groups = np.asarray(groups)
    if groups.shape != (clips,):
        raise UserError(f"groups have shape {groups.shape}; give one for each of {clips} clips")
    names, member = np.unique(groups, return_inverse=True)
    if len(names) == 1:
        return np.zeros((0, clips))
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return drawn[:, member].astype(float)


def resample_pair_weights(
    sizes: tuple[int, int],
    resamples: int,
    seed: int,
    groups: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
) -> FloatArray:
    """Return the weights of two sets of clips, which are resampled apart.

    Args:
      sizes: Numbers of clips.
      resamples: Number of resamples.
      seed: Seed of the first set; the second has the next one.
      groups: Groups of the clips of each set, as in `resample_weights`.

    Returns:
      float64 `[resamples, all clips]`, the first set's before the second's; no rows if one of them
      can't be resampled.
    """
    weights = [
        resample_weights(size, resamples, seed + i, group)
        for i, (size, group) in enumerate(zip(sizes, groups, strict=True))
    ]
    rows = min(map(len, weights))
    return np.hstack([each[:rows] for each in weights])


def interval(
    value: float | None, resampled: ArrayLike, level: float = 0.95, kind: str = "percentile"
) -> Interval:
    """Return the interval of a score from its values on the resamples.

    Args:
      value: The score on the clips as they are; None or NaN if it is not defined.
      resampled: The score on each resample, `[resamples]`; values that are not finite are left out
        (a resample without positive clips has no AUC).
      level: Nominal coverage.
      kind: "percentile" or "reflected".

    Returns:
      An `Interval`; without ends where fewer than two resamples define the score.

    Raises:
      UserError: If the level or the kind is not allowed.
    """
    if not 0 < level < 1:
        raise UserError(f"level is {level}; it must lie between 0 and 1")
    if kind not in ("percentile", "reflected"):
        raise UserError(f"kind is {kind!r}; it must be percentile or reflected")
    if value is None or not np.isfinite(value):
        return Interval(None)
    value = float(value)
    scores = np.asarray(resampled, np.float64)
    scores = scores[np.isfinite(scores)]
    if len(scores) < 2:
        return Interval(value)
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    if kind == "reflected":
        low, high = max(0.0, 2 * value - high), 2 * value - low
    return Interval(value, min(float(low), value), max(float(high), value))
