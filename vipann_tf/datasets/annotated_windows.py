"""Which windows of a recording carry a label, from the times at which it was heard."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from vipann_tf.errors import UserError

__all__ = ["Annotation", "MinOverlap", "labels_of_windows"]

# Times are decimal numbers, and their differences are not exact.
_ROUNDING_S = 1e-9


class Annotation(NamedTuple):
    """A label and when it is true, in seconds of the recording."""

    begin_s: float
    end_s: float
    label: str


class MinOverlap(NamedTuple):
    """How much of an annotation a window must hold to carry its label.

    Attributes:
      amount: Seconds, or a share.
      unit: `s`: that many seconds, or the whole annotation if it is shorter. `%`: that share (0 to
        1) of the annotation, or of the window if the annotation is longer than the window.
    """

    amount: float
    unit: Literal["s", "%"]

    @classmethod
    def parse(cls, text: str) -> MinOverlap:
        """Read `0.25s` or `50%`.

        Raises:
          UserError: It is neither, or out of range.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|%)", text.strip())
        amount = float(match[1]) if match else 0.0
        if match is None or not amount or (match[2] == "%" and amount > 100):
            raise UserError(
                f"min overlap is {text!r}; use seconds above 0 such as 0.25s, or a share up to"
                " 100% such as 50%"
            )
        return cls(amount, "s") if match[2] == "s" else cls(amount / 100, "%")

    def needed_s(self, annotation_s: float, window_s: float) -> float:
        """Return the seconds of an annotation of some length that a window must hold."""
        if self.unit == "s":
            return min(self.amount, annotation_s)
        return self.amount * min(annotation_s, window_s)


def labels_of_windows(
    begins_s: Sequence[float],
    window_s: float,
    annotations: Iterable[Annotation],
    min_overlap: MinOverlap,
) -> tuple[list[set[str]], int]:
    """Label windows by the annotations that they hold.

    With a share of 50 % or less, and windows without gaps, every annotation labels at least one
    window. A point (begin = end) labels each window that it lies in, its begin included and its
    end not, except the end of the last window.

    Args:
      begins_s: Begins of the windows in seconds, ascending.
      window_s: Length of the windows, up to the end of the recording.
      annotations: What was heard.
      min_overlap: How much of an annotation a window must hold.

    Returns:
      The labels of each window, and the number of annotations that label none.
    """
    labels: list[set[str]] = [set() for _ in begins_s]
    without = 0
    for begin_s, end_s, label in annotations:
        needed_s = min_overlap.needed_s(end_s - begin_s, window_s) - _ROUNDING_S
        # Every window that begins before the annotation ends and ends after it begins.
        first = bisect.bisect_left(begins_s, begin_s - window_s - _ROUNDING_S)
        behind = bisect.bisect_right(begins_s, end_s)
        if begin_s == end_s:
            holding = [k for k in range(first, behind) if begin_s < begins_s[k] + window_s]
            if not holding and first < behind and begin_s <= begins_s[-1] + window_s + _ROUNDING_S:
                holding = [behind - 1]
        else:
            holding = []
            for k in range(first, behind):
                held_s = min(begins_s[k] + window_s, end_s) - max(begins_s[k], begin_s)
                if held_s > 0 and held_s >= needed_s:
                    holding.append(k)
        for k in holding:
            labels[k].add(label)
        without += not holding
    return labels, without
