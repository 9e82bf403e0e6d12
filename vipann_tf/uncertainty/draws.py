"""How sure the average over draws is, and how many draws suffice.

Probabilities averaged over T draws carry a Monte Carlo error of their own, which falls as
1/sqrt(T). For the mean probabilities the standard error follows from the moments. For entropies,
which are not plain means over draws, it is the delete-one-group jackknife (Efron & Stein 1981,
"The Jackknife Estimate of Variance"; Miller 1974, "The Jackknife - A Review"): keep the moments
of about ten equal groups of draws apart, leave each group out in turn, and see how much the
result moves. Memory is that of the groups, however many draws they hold.
"""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.decomposition import Decomposition, Moments, finish, merge

__all__ = ["jackknife_standard_errors", "probability_standard_error", "sufficient_draws"]


def probability_standard_error(moments: Moments) -> np.ndarray:
    """Returns the standard error over draws of the mean probabilities.

    sqrt(s^2 / T), with s^2 the sample variance (divided by T - 1) over the T draws.

    Args:
      moments: Moments of at least two draws.

    Returns:
      float64 `[..., labels]`.

    Raises:
      UserError: If there are fewer than two draws.
    """
    count = float(moments.count)
    if count < 2:
        raise UserError(f"{count:g} draws have no standard error; at least 2 are needed.")
    mean = np.asarray(moments.probability) / count
    variance = np.maximum(np.asarray(moments.probability_squared) / count - mean**2, 0.0)
    return np.sqrt(variance / (count - 1.0))


def jackknife_standard_errors(groups: Sequence[Moments], task: str) -> Decomposition:
    """Returns the standard error over draws of every field of the decomposition.

    With theta_g the result without group g, out of G equal groups:
    se^2 = (G - 1) / G * sum_g (theta_g - mean_g theta_g)^2. With G groups the standard error is
    itself known to about a share 1 / sqrt(2 (G - 1)): a quarter for ten groups.

    Args:
      groups: Moments of disjoint groups of draws of the same clips, of equal count.
      task: "multilabel" or "multiclass".

    Returns:
      A `Decomposition` whose fields hold float64 standard errors instead of values. A quantity
      that is not smooth there (a zero epistemic part) has an unreliable standard error.

    Raises:
      UserError: If there are fewer than two groups, or they are not equally large.
    """
    counts = [int(group.count) for group in groups]
    if len(counts) < 2 or len(set(counts)) != 1 or counts[0] < 1:
        raise UserError(f"groups hold {counts} draws; give at least 2 groups of equal count.")
    everything = groups[0]
    for group in groups[1:]:
        everything = merge(everything, group)
    count, mean, deviation = len(groups), None, None
    for done, group in enumerate(groups, start=1):  # Welford: two copies whatever G is
        rest = Moments(*(a - b for a, b in zip(everything, group)))
        result = [np.asarray(field) for field in finish(rest, task, tf.float64)]
        if mean is None:
            mean, deviation = result, [np.zeros_like(field) for field in result]
            continue
        for i, field in enumerate(result):
            step = field - mean[i]
            mean[i] = mean[i] + step / done
            deviation[i] = deviation[i] + step * (field - mean[i])
    return Decomposition(*(np.sqrt((count - 1) / count * field) for field in deviation))


def sufficient_draws(standard_error: float, draws: int, wanted: float) -> int:
    """Returns how many draws bring the standard error down to a wanted one.

    The standard error falls as 1/sqrt(T), so T_wanted = T (se_T / se_wanted)^2, rounded up.

    Args:
      standard_error: Standard error measured with `draws` draws, e.g. the 95th percentile over
        clips of `probability_standard_error`.
      draws: Number of draws it was measured with.
      wanted: Standard error to reach, in the same unit.

    Returns:
      A number of draws, at least 1.

    Raises:
      UserError: If a value is out of range.

    >>> sufficient_draws(standard_error=0.02, draws=10, wanted=0.01)
    40
    """
    if draws < 1:
        raise UserError(f"draws is {draws}; it must be at least 1.")
    if not (standard_error >= 0 and math.isfinite(standard_error)):
        raise UserError(f"standard_error is {standard_error}; it must be finite and at least 0.")
    if not wanted > 0:
        raise UserError(f"wanted is {wanted}; the wanted standard error must be above 0.")
    # A relative 1e-9 below the next integer is rounding, not a need for one more draw.
    return max(1, math.ceil(draws * (standard_error / wanted) ** 2 * (1 - 1e-9)))
