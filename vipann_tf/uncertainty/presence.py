"""The probability that a label was present at all in a period, from the probabilities of windows.

Detections say that a label was heard in one window; few detections of low probability say little
about a day. Here nothing is thresholded. Given one network, the labels of windows that share no
sound are taken as independent, so that

    P(present | network) = 1 - prod_i (1 - p_i),

which is 1 - P(K = 0) of the Poisson binomial number K of windows with the label (Wang, "On the
number of successes in independent trials", Statistica Sinica 3, 1993), and the "noisy or" of
Pearl, "Probabilistic Reasoning in Intelligent Systems", 1988, section 4.3.2. The network is not
known: each draw from its posterior is one, and answers all windows. So the probability is the mean
over draws of the product, and not the product of mean probabilities, which would take the windows'
doubts for independent although they are those of one network.

It is as good as the calibration of small probabilities: a thousand windows of 0.001 are a presence
of 0.63, whether 0.001 was a fact or a rounding. Sounds that last for several windows, which are not
independent even for one network, are counted once for each window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import FloatArray, checked_probs

__all__ = ["Presence", "log_absence", "presence"]


@dataclass(frozen=True)
class Presence:
    """Probabilities of presence, each float64 `[labels]`.

    Attributes:
      probability: Mean over draws.
      low, high: Quantiles over draws that hold the wanted share of them. They tell how far the
        draws agree; with one draw there is nothing to tell, and all three are equal.
    """

    probability: FloatArray
    low: FloatArray
    high: FloatArray


def log_absence(sample_probs: ArrayLike) -> FloatArray:
    """Return the logarithm of each draw's probability that a label is in no window.

    Sums over several parts of a period may be added.

    Args:
      sample_probs: Calibrated probabilities of windows that share no sound, `[windows, draws,
        labels]`.

    Returns:
      float64 `[draws, labels]`; minus infinity where a window is certain.

    Raises:
      UserError: Something is no probability.
    """
    probs = np.asarray(sample_probs)
    if probs.ndim != 3:
        raise UserError(f"sample_probs has shape {probs.shape}; use [windows, draws, labels]")
    flat = checked_probs(probs.reshape(len(probs), probs.shape[1] * probs.shape[2]))
    checked = flat.reshape(probs.shape)
    with np.errstate(divide="ignore"):
        total: FloatArray = np.log1p(-checked).sum(axis=0)
    return total


def presence(log_absent: ArrayLike, *, level: float = 0.9) -> Presence:
    """Return the probability that a label is in at least one window.

    Args:
      log_absent: From `log_absence`, `[draws, labels]`.
      level: Share of the draws between `low` and `high`, in (0, 1).

    Raises:
      UserError: `level` is not allowed.

    >>> both = log_absence([[[0.5]], [[0.5]]])
    >>> presence(both).probability
    array([0.75])
    """
    if not 0 < level < 1:
        raise UserError(f"level is {level}; it must lie between 0 and 1")
    present = -np.expm1(np.asarray(log_absent, np.float64))
    low, high = np.quantile(present, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Presence(present.mean(axis=0), low, high)
