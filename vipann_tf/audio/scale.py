"""The scale of waveforms: samples that are not in units of full scale are refused.

A float file or a request may hold the integers of a recorder, such as 23456 for 0.716. A network
answers such a sound with great certainty and wrongly, so nothing guesses its scale. This module
has the rule and the words for arrays and for graphs; it imports neither NumPy nor TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FULL_SCALE_LIMIT", "SCALE_FINDING", "SCALE_FIX", "check_scale", "scale_error"]

# The greatest peak of a waveform. Recordings with headroom exceed full scale, 1, by some decibels,
# and filters and mixes add a few; 20 dB is more than any of them.
FULL_SCALE_LIMIT = 10.0
# The message is the finding, the peak and the fix. A graph can only print pieces.
SCALE_FINDING = "samples must be floats with full scale 1, and these are not: their peak is"
SCALE_FIX = "divide 16-bit integers by 32768, 24-bit ones by 8388608, and 32-bit ones by 2147483648"


def check_scale(waveform: np.ndarray[Any, Any]) -> None:
    """Raise an error if samples are not in units of full scale.

    These are samples with a peak above `FULL_SCALE_LIMIT`, and integers with a peak above 1. Check
    a waveform before it is mixed or resampled, which makes fractions of integers. NaN is not looked
    at; where there is one, only the rest counts.

    Args:
      waveform: Samples of one recording, of any shape and real dtype; there may be none.

    Raises:
      ValueError: They are not; the message has the peak and the fix.

    >>> import numpy as np
    >>> check_scale(np.array([0.5, -1.25]))
    >>> check_scale(np.array([120.0, -23456.0, 0.0]))
    Traceback (most recent call last):
    ValueError: samples must be floats with full scale 1, and these are not: their peak is 23456; \
divide 16-bit integers by 32768, 24-bit ones by 8388608, and 32-bit ones by 2147483648
    """
    if not waveform.size:
        return
    peak = _peak(waveform)
    if peak != peak:  # NaN is looked for only then, since that makes a copy
        waveform = waveform[waveform == waveform]
        if not waveform.size:
            return
        peak = _peak(waveform)
    if peak > FULL_SCALE_LIMIT or (peak > 1 and bool((waveform.round() == waveform).all())):
        raise ValueError(scale_error(peak))


def _peak(waveform: np.ndarray[Any, Any]) -> float:
    """Return the greatest magnitude; NaN if there is one. It makes no copy."""
    return max(float(waveform.max()), -float(waveform.min()))


def scale_error(peak: float) -> str:
    """Return the message for samples with this peak."""
    return f"{SCALE_FINDING} {peak:.6g}; {SCALE_FIX}"
