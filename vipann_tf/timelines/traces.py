"""The answers of all windows of a recording, as steps over time, in bounded memory."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from vipann_tf.saved_model.timeline import Window

__all__ = ["TraceColumns", "Traces"]


@dataclasses.dataclass(frozen=True)
class Traces:
    """Steps: what the model answered from one time to another. Between some there may be gaps.

    Attributes:
      begin_s: Begin of each step, float64 [steps].
      end_s: Its end, float64 [steps].
      probabilities: float32 [steps, labels].
      low: Lower end of the band over draws, float32 [steps, labels]; NaN where none is known.
      high: Upper end.
      aleatoric: Aleatoric uncertainty, nats, float32 [steps].
      epistemic: Epistemic uncertainty, nats, float32 [steps].
      shared_s: Length of a column, if windows share columns; else 0.
    """

    begin_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    aleatoric: NDArray[np.float32]
    epistemic: NDArray[np.float32]
    shared_s: float

    @property
    def has_bands(self) -> bool:
        """Whether the draws of any window are known."""
        return bool(np.isfinite(self.low).any())

    def of(self, labels: list[int]) -> Traces:
        """Return the traces of some labels."""
        names = ("probabilities", "low", "high")
        return dataclasses.replace(self, **{name: getattr(self, name)[:, labels] for name in names})

    def coarser(self, steps: int) -> Traces:
        """Return at most so many steps, each with the highest values of neighbours."""
        size = math.ceil(len(self.begin_s) / steps) if steps else 1
        if size <= 1:
            return self
        first = np.arange(0, len(self.begin_s), size)
        last = np.minimum(first + size, len(self.begin_s)) - 1
        best = np.stack(
            [i + np.argmax(self.probabilities[i : i + size], axis=0) for i in first.tolist()]
        )
        begin_s, end_s = self.begin_s[first], self.end_s[last]
        probabilities, low, high = (
            np.take_along_axis(x, best, 0) for x in (self.probabilities, self.low, self.high)
        )
        return Traces(
            begin_s,
            end_s,
            probabilities,
            low,
            high,
            np.maximum.reduceat(self.aleatoric, first),
            np.maximum.reduceat(self.epistemic, first),
            shared_s=float(np.median(end_s - begin_s)),
        )


class TraceColumns:
    """A collector of windows, whose memory does not grow with their number.

    Windows that overlap part in the middle of their overlap, so that each is drawn where it is the
    nearest answer: for a regular hop, the hop's stretch in the window's middle. A window that
    overlaps no other is drawn as wide as it is. Time is divided into columns; of windows that share
    one, each label's highest probability is kept, with that window's band, and the highest
    uncertainties: what is short stays visible.

    Args:
      labels: Number of labels.
      seconds: Length of the recording.
      columns: Number of columns.
    """

    def __init__(self, labels: int, seconds: float, columns: int):
        self._column_s = max(seconds, 1e-3) / columns
        self._columns = columns
        self._count = np.zeros(columns, np.int64)
        self._number = np.zeros(columns, np.int64)  # of the last window in each column
        self._answers = np.zeros([3, columns, labels], np.float32)  # probability, low, high
        self._parts = np.zeros([2, columns], np.float32)  # aleatoric, epistemic
        self._waiting: Window | None = None
        self._begin_s = 0.0
        self._windows = 0
        self._peaks = np.zeros(labels, np.float32)
        self._peak_s = np.zeros(labels)

    @property
    def is_empty(self) -> bool:
        """Whether no window was added."""
        return self._waiting is None and not self._windows

    @property
    def peaks(self) -> NDArray[np.float32]:
        """Highest probability of each label, float32 [labels]."""
        return self._peaks

    @property
    def peak_s(self) -> NDArray[np.float64]:
        """Middle of the window of each label's highest probability, float64 [labels]."""
        return self._peak_s

    def add(self, window: Window) -> None:
        """Add the next window."""
        higher = window.probabilities > self._peaks
        self._peaks[higher] = window.probabilities[higher]
        self._peak_s[higher] = (window.start_s + window.end_s) / 2
        before = self._waiting
        begin_s = window.start_s
        if before is not None:
            overlap = before.end_s > window.start_s
            end_s = (window.start_s + before.end_s) / 2 if overlap else before.end_s
            self._place(before, self._begin_s, end_s)
            begin_s = end_s if overlap else window.start_s
        self._waiting, self._begin_s = window, begin_s

    def traces(self) -> Traces:
        """Return the steps of what was added; there must be a window."""
        if self._waiting is not None:
            self._place(self._waiting, self._begin_s, self._waiting.end_s)
            self._waiting = None
        (seen,) = np.nonzero(self._count)
        alone = self._count[seen] == 1
        same = (np.diff(seen) == 1) & (np.diff(self._number[seen]) == 0) & alone[1:] & alone[:-1]
        starts = np.flatnonzero(np.append(True, ~same))
        first = seen[starts]
        last = seen[np.append(starts[1:], len(seen)) - 1] + 1
        probabilities, low, high = self._answers[:, first]
        aleatoric, epistemic = self._parts[:, first]
        return Traces(
            np.asarray(first * self._column_s, np.float64),
            np.asarray(last * self._column_s, np.float64),
            probabilities,
            low,
            high,
            aleatoric,
            epistemic,
            shared_s=self._column_s if not alone.all() else 0.0,
        )

    def _place(self, window: Window, begin_s: float, end_s: float) -> None:
        """Put a window into the columns whose middles it holds, or into the nearest one."""
        first, last = (math.ceil(x / self._column_s - 0.5) for x in (begin_s, end_s))
        if last <= first:
            first = int((begin_s + end_s) / 2 / self._column_s)
            last = first + 1
        first = min(max(first, 0), self._columns - 1)
        last = min(max(last, first + 1), self._columns)
        self._windows += 1
        span = slice(first, last)
        values = np.stack([window.probabilities, window.low, window.high])[:, None]
        fresh = self._count[span] == 0
        higher = fresh[:, None] | (window.probabilities > self._answers[0, span])
        self._answers[:, span] = np.where(higher, values, self._answers[:, span])
        parts = np.array([window.aleatoric, window.epistemic], np.float32)[:, None]
        self._parts[:, span] = np.maximum(self._parts[:, span], parts)
        self._count[span] += 1
        self._number[span] = self._windows
