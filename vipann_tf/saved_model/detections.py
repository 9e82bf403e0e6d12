"""From the windows of a recording to the times at which labels are heard, window after window."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Detection", "Detector"]

# Rounding of sums of hops.
_TOUCHING_S = 1e-6


@dataclasses.dataclass
class Detection:
    """A time at which a label is heard.

    Attributes:
      label: Its index.
      start_s: Begin.
      end_s: End.
      probability: Greatest probability of its windows.
      mean_probability: Mean probability of its windows.
      epistemic: Epistemic uncertainty of the label in the window of the greatest probability, in
        nats.
      windows: Number of its windows.
    """

    label: int
    start_s: float
    end_s: float
    probability: float
    mean_probability: float
    epistemic: float
    windows: int


@dataclasses.dataclass
class _Run:
    """Consecutive windows in which a label is detected."""

    found: Detection
    window_s: float
    at_front: bool  # it begins with the recording
    sum: float


class Detector:
    """A merger of windows, for one recording at a time.

    Windows that overlap or touch and detect a label are one detection. How much of an event a
    window must hold to detect it depends on the model: a loud one may need an instant, others half
    of the event or of the window. So a quarter of a window is taken: the event then reaches from a
    quarter before the end of the first window, plus half a hop, to a quarter behind the begin of
    the last, less half a hop. If it is shorter than half a window, it is given half a window, since
    its length can't be told. Begin and end are right to half a hop plus a quarter of a window,
    which is one hop for windows that overlap by half. At the recording's front and end, where the
    event may go on, and for windows that do not overlap, the window's own begin and end are given.

    Args:
      thresholds: Least probability of each label, float [labels]; NaN never detects.
      hop_s: Time from one window to the next.
    """

    def __init__(self, thresholds: NDArray[np.floating[Any]], hop_s: float):
        # In the type of the probabilities, so that one that equals its threshold reaches it.
        self._thresholds, self._hop_s = np.asarray(thresholds, np.float32), hop_s
        self._runs: dict[int, _Run] = {}
        self._before_s: float | None = None

    def add(
        self,
        start_s: float,
        end_s: float,
        probabilities: NDArray[np.float32],
        epistemic: NDArray[np.float32],
    ) -> Iterator[Detection]:
        """Add the next window, and yield the detections that end before it or in it.

        Args:
          start_s: Start of the window.
          end_s: End of the window.
          probabilities: float32 [labels].
          epistemic: Epistemic uncertainty of each label, float32 [labels].
        """
        if self._before_s is not None and start_s > self._before_s + _TOUCHING_S:
            yield from self.close()  # a gap
        hits = set(np.flatnonzero(probabilities >= self._thresholds).tolist())
        for label in sorted(self._runs.keys() - hits):
            yield self._ended(self._runs.pop(label), at_end=False)
        for label in sorted(hits):
            probability, doubt = float(probabilities[label]), float(epistemic[label])
            run = self._runs.get(label)
            if run is None:
                found = Detection(label, start_s, end_s, probability, probability, doubt, 1)
                at_front = self._before_s is None
                self._runs[label] = _Run(found, end_s - start_s, at_front, probability)
                continue
            run.sum += probability
            run.found.end_s = end_s
            run.found.windows += 1
            if probability > run.found.probability:
                run.found.probability, run.found.epistemic = probability, doubt
        self._before_s = end_s

    def close(self) -> Iterator[Detection]:
        """Yield the detections that are still going on, and forget the recording."""
        for label in sorted(self._runs):
            yield self._ended(self._runs[label], at_end=True)
        self._runs.clear()
        self._before_s = None

    def _ended(self, run: _Run, *, at_end: bool) -> Detection:
        found = run.found
        start_s, end_s = found.start_s, found.end_s
        if run.window_s - self._hop_s > _TOUCHING_S:
            length_s = end_s - start_s - 1.5 * run.window_s + self._hop_s
            margin_s = (end_s - start_s - max(length_s, run.window_s / 2)) / 2
            start_s, end_s = start_s + margin_s, end_s - margin_s
        return dataclasses.replace(
            found,
            start_s=found.start_s if run.at_front else start_s,
            end_s=found.end_s if at_end else end_s,
            mean_probability=run.sum / found.windows,
        )
