"""How precise the average over draws is, and how many draws suffice.

Probabilities averaged over T draws have a Monte Carlo error, which falls as 1/sqrt(T). Its standard
error follows from the moments.
"""

import math

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import FloatArray
from vipann_tf.uncertainty.decomposition import Moments

__all__ = ["probability_standard_error", "sufficient_draws"]


def probability_standard_error(moments: Moments) -> FloatArray:
    """Return the standard error over draws of the mean probabilities.

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
        raise UserError(f"{count:g} draws have no standard error; at least 2 are needed")
    mean = np.asarray(moments.probability) / count
    square = np.asarray(moments.probability_squared) / count
    error: FloatArray = np.sqrt(np.maximum(square - mean**2, 0.0) / (count - 1.0))
    return error


def sufficient_draws(standard_error: float, draws: int, wanted: float) -> int:
    """Return how many draws reach a wanted standard error.

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
        raise UserError(f"draws is {draws}; it must be at least 1")
    if not (standard_error >= 0 and math.isfinite(standard_error)):
        raise UserError(f"standard_error is {standard_error}; it must be finite and at least 0")
    if not wanted > 0:
        raise UserError(f"wanted is {wanted}; the wanted standard error must be above 0")
    # A relative 1e-9 below the next integer is rounding, not a need for one more draw.
    return max(1, math.ceil(draws * (standard_error / wanted) ** 2 * (1 - 1e-9)))
