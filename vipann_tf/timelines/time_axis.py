"""Ticks of a time axis, by the clock of the recorder where it is known."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

__all__ = ["clock_text", "ticks"]

_STEPS_S: tuple[float, ...] = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60 * x for x in (1, 2, 5, 10, 15, 30)),
    *(3600 * x for x in (1, 2, 3, 6, 12, 24, 48, 96)),
)


def ticks(seconds: float, begin: datetime | None, most: int = 9) -> list[tuple[float, str]]:
    """Return places and words of ticks; by a clock, they are at its whole minutes or hours.

    Args:
      seconds: Length of the axis, from 0.
      begin: What the clock says at 0; `None` counts from 0.
      most: Greatest number of ticks.
    """
    step = next((x for x in _STEPS_S if seconds / x <= most), _STEPS_S[-1])
    offset_s = 0.0
    if begin is not None:
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        offset_s = (begin - midnight).total_seconds()
    first = math.ceil(offset_s / step - 1e-9)
    last = math.floor((offset_s + seconds) / step + 1e-9)
    places = [number * step - offset_s for number in range(first, last + 1)]
    return [(place, _word(place, step, seconds, begin)) for place in places]


def clock_text(seconds: float, digits: int = 1) -> str:
    """Return a time from the begin, as 1:02:03.4, with so many digits behind the point."""
    unit = 10**digits
    whole, part = divmod(round(seconds * unit), unit)
    minutes, second = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{second:02d}" + (f".{part:0{digits}d}" if digits else "")
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"


def _word(place: float, step: float, seconds: float, begin: datetime | None) -> str:
    if begin is not None:
        time = begin + timedelta(milliseconds=round(1000 * place))
        if step < 1:
            return f"{time:%H:%M:%S}.{time.microsecond // 100000}"
        return f"{time:%H:%M:%S}" if step < 60 else f"{time:%H:%M}"
    if seconds < 120:
        return f"{round(place, 1):g} s"
    return clock_text(place, 0)
