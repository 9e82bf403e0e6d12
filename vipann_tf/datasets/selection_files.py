"""Selection tables of Raven and label files of Audacity, as `selection_tables` reads them.

- Raven: tab-separated, a heading line, one row per selection with its number, view, channel, begin,
  end and frequency range; further columns may follow. In a table of several files, Begin Time
  counts over all of them, one behind the other, and File Offset in the file that Begin Path names
  (Raven Pro User's Manual, "Selection tables" and "Measurements"). Raven refuses a table with a
  frequency above half the sample rate.
- Audacity: begin and end in seconds and a text, tab-separated, no heading (Audacity Manual,
  "Importing and Exporting Labels").
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from vipann_tf.files import storage

__all__ = ["Detected", "RavenTable", "TabledRecording", "audacity_lines", "one_line", "shown_time"]

# The range of the log-mel frontend: a detection has no range of its own.
LOW_HZ, HIGH_HZ = 50.0, 14_000.0


@dataclasses.dataclass(frozen=True, slots=True)
class TabledRecording:
    """A recording in which something was detected, or could have been.

    Attributes:
      path: Its path or address.
      rate_hz: Its sample rate.
      length_s: Its length.
      time_expansion: How many times the model heard it slowed down, by which its frequencies are
        higher than those that were heard.
    """

    path: str
    rate_hz: float
    length_s: float
    time_expansion: float = 1.0

    @property
    def absolute_path(self) -> str:
        """The path, from the root; an address as it is."""
        return self.path if storage.is_remote(self.path) else os.path.abspath(self.path)

    @property
    def band_hz(self) -> tuple[float, float]:
        """The frequencies that were heard: none is above half the sample rate."""
        high = min(HIGH_HZ * self.time_expansion, self.rate_hz / 2)
        low = LOW_HZ * self.time_expansion
        return (low if low < high else 0.0), high


@dataclasses.dataclass(frozen=True, slots=True)
class Detected:
    """A stretch of a recording in which a label is probable.

    Attributes:
      label: Name of the label.
      start_s: Begin in seconds of the recording.
      end_s: End.
      probability: The largest in its windows.
      epistemic: The label's epistemic uncertainty there, in nats.
      mean_probability: The mean over its windows; `None` if it is unknown.
      clock_time: When it began, aware if in UTC; `None` if it is unknown.
    """

    label: str
    start_s: float
    end_s: float
    probability: float
    epistemic: float
    mean_probability: float | None = None
    clock_time: datetime | None = None


class TextOutput(Protocol):
    """Something that text is written to."""

    def write(self, text: str, /) -> object:
        """Write a text."""


class RavenTable:
    """A selection table of one recording or of several, one behind the other.

    Args:
      file: Open for text; line ends are newlines.
      measurements: Columns behind those of Raven, of `MEASUREMENTS`.
    """

    MEASUREMENTS = ("Probability", "Mean Probability", "Epistemic (nats)", "Clock Time")
    COLUMNS = (
        "Selection",
        "View",
        "Channel",
        "Begin Time (s)",
        "End Time (s)",
        "Low Freq (Hz)",
        "High Freq (Hz)",
        "Begin Path",
        "Begin File",
        "File Offset (s)",
        "Label",
    )

    def __init__(self, file: TextOutput, measurements: Sequence[str] = MEASUREMENTS):
        self._file, self._measurements = file, measurements
        self._number, self._begin_s = 0, 0.0
        self._row([*self.COLUMNS, *measurements])

    def add(self, recording: TabledRecording, detections: Iterable[Detected]) -> None:
        """Write the detections of the next recording; one without any moves the others, too."""
        path = one_line(recording.absolute_path)
        low, high = map(_number, recording.band_hz)
        for found in detections:
            self._number += 1
            end_s = min(found.end_s, recording.length_s)
            more = {
                "Probability": f"{found.probability:.4f}",
                "Mean Probability": _decimals(found.mean_probability, 4),
                "Epistemic (nats)": f"{found.epistemic:.4f}",
                "Clock Time": shown_time(found.clock_time),
            }
            self._row(
                [
                    str(self._number),
                    "Spectrogram 1",
                    "1",
                    f"{self._begin_s + found.start_s:.3f}",
                    f"{self._begin_s + end_s:.3f}",
                    low,
                    high,
                    path,
                    os.path.basename(path),
                    f"{found.start_s:.3f}",
                    one_line(found.label),
                    *(more[name] for name in self._measurements),
                ]
            )
        self._begin_s += recording.length_s

    def _row(self, fields: Sequence[str]) -> None:
        self._file.write("\t".join(fields) + "\n")


def audacity_lines(detections: Iterable[Detected]) -> str:
    """Return the label file of one recording: an Audacity project has one timeline."""
    return "".join(
        f"{found.start_s:.6f}\t{found.end_s:.6f}\t{one_line(found.label)}"
        f" {100 * found.probability:.0f} %\n"
        for found in detections
    )


def one_line(text: str) -> str:
    """Return a text without characters that would end a field or a line."""
    return " ".join(text.split()) if "\t" in text or len(text.splitlines()) > 1 else text


def shown_time(time: datetime | None) -> str:
    """Return a time of day in ISO 8601, with Z if it is in UTC; empty if there is none."""
    return "" if time is None else time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _decimals(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
