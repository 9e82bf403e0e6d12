"""Differences as intervals around 0, drawn in SVG: what pages show beside the numbers."""

from collections.abc import Iterable

from markupsafe import Markup

from vipann_tf.uncertainty.bootstrap import Interval

__all__ = ["draw_around_zero", "largest_end"]

# Half of the width that a scale takes, in per cent; what is left holds half a point at each end.
_HALF = 46.0
_DRAWING = Markup(
    '<svg class="around" aria-hidden="true">'
    '<line class="zero" x1="50%" x2="50%" y1="0" y2="100%"/>'
    '<line class="ends" x1="{:.1f}%" x2="{:.1f}%" y1="50%" y2="50%"/>'
    '<circle cx="{:.1f}%" cy="50%" r="4"/></svg>'
)


def largest_end(intervals: Iterable[Interval]) -> float:
    """Return the scale on which all intervals fit: their largest distance from 0, or 1."""
    ends = (x for found in intervals for x in (found.value, found.low, found.high))
    return max((abs(x) for x in ends if x is not None), default=0.0) or 1.0


def draw_around_zero(found: Interval, limit: float) -> Markup:
    """Return a difference as an SVG element: a point, its interval, and 0 in the middle.

    Screen readers skip it, so the numbers belong beside it.

    Args:
      found: The difference; nothing is drawn if it is not defined.
      limit: Distance from 0 at either edge, see `largest_end`.
    """
    if found.value is None:
        return Markup("")
    low, high = (found.value if end is None else end for end in (found.low, found.high))
    return _DRAWING.format(*(50 + _HALF * x / limit for x in (low, high, found.value)))
