"""A recording's timeline as text: windows as CSV or JSON, detections for Raven and Audacity.

- Raven Pro's selection table: tab-separated, a heading line, one row per selection with its number,
  view, channel, begin, end and frequency range; further columns may follow (Raven Pro User's
  Manual, "Selection tables").
- Audacity's label track: begin, end in seconds and text, tab-separated, no heading (Audacity
  Manual, "Importing and Exporting Labels").
"""

import csv
import json
from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

import numpy as np

from vipann_tf.saved_model.timeline import Detection, Detections, Window

__all__ = ["STYLES", "Timeline", "timeline"]

# The range of the log-mel frontend; a sound event has no range of its own here.
LOW_HZ, HIGH_HZ = 50, 14_000
_WINDOW_COLUMNS = ("probability", "low", "high", "label_aleatoric", "label_epistemic")


class Timeline(Protocol):
    """Something that writes windows."""

    def add(self, window: Window) -> None:
        """Take the next window."""

    def close(self) -> None:
        """Write what can only be written at the end."""


class _Csv:
    """One row per window and label."""

    def __init__(self, file: TextIO, path: str, labels: Sequence[str], top: int, _: float):
        self._writer, self._path = csv.writer(file, lineterminator="\n"), path
        self._labels, self._top = labels, top
        self._writer.writerow(
            [
                "file",
                "start_s",
                "end_s",
                "label",
                *_WINDOW_COLUMNS,
                "total",
                "aleatoric",
                "epistemic",
            ]
        )

    def add(self, window: Window) -> None:
        start = [self._path, f"{window.start_s:.3f}", f"{window.end_s:.3f}"]
        clip = [f"{x:.6f}" for x in (window.total, window.aleatoric, window.epistemic)]
        for label in _top(window, self._top):
            numbers = [f"{x:.6f}" for x in _numbers(window, label)]
            self._writer.writerow([*start, self._labels[label], *numbers, *clip])

    def close(self) -> None:
        pass


class _Json:
    """One object and line per window."""

    def __init__(self, file: TextIO, path: str, labels: Sequence[str], top: int, _: float):
        self._file, self._path, self._labels, self._top = file, path, labels, top

    def add(self, window: Window) -> None:
        document = {
            "file": self._path,
            "start_s": round(window.start_s, 3),
            "end_s": round(window.end_s, 3),
            "total": window.total,
            "aleatoric": window.aleatoric,
            "epistemic": window.epistemic,
            "labels": [
                {
                    "label": self._labels[label],
                    **dict(zip(_WINDOW_COLUMNS, _numbers(window, label), strict=True)),
                }
                for label in _top(window, self._top)
            ],
        }
        self._file.write(json.dumps(document) + "\n")

    def close(self) -> None:
        pass


class _Stretches:
    """Detections, written at the end."""

    def __init__(self, file: TextIO, path: str, labels: Sequence[str], _: int, threshold: float):
        self._file, self._path, self._labels = file, path, labels
        self._detections = Detections(threshold)

    def add(self, window: Window) -> None:
        self._detections.add(window)

    def close(self) -> None:
        self._write(self._detections.found())

    def _write(self, detections: Sequence[Detection]) -> None:
        raise NotImplementedError

    def _name(self, found: Detection) -> str:
        """Return a label without characters that would end a field or a line."""
        return " ".join(self._labels[found.label].split())


class _Raven(_Stretches):
    def _write(self, detections: Sequence[Detection]) -> None:
        rows = [
            [
                "Selection",
                "View",
                "Channel",
                "Begin Time (s)",
                "End Time (s)",
                "Low Freq (Hz)",
                "High Freq (Hz)",
                "Begin Path",
                "Label",
                "Probability",
                "Epistemic (nats)",
            ]
        ]
        for number, found in enumerate(detections, start=1):
            rows.append(
                [
                    str(number),
                    "Spectrogram 1",
                    "1",
                    f"{found.start_s:.3f}",
                    f"{found.end_s:.3f}",
                    str(LOW_HZ),
                    str(HIGH_HZ),
                    self._path,
                    self._name(found),
                    f"{found.probability:.4f}",
                    f"{found.epistemic:.4f}",
                ]
            )
        self._file.writelines("\t".join(row) + "\n" for row in rows)


class _Audacity(_Stretches):
    def _write(self, detections: Sequence[Detection]) -> None:
        for found in detections:
            text = f"{self._name(found)} {100 * found.probability:.0f} %"
            self._file.write(f"{found.start_s:.6f}\t{found.end_s:.6f}\t{text}\n")


class _Table(_Stretches):
    """For people: the detections, in columns."""

    def _write(self, detections: Sequence[Detection]) -> None:
        self._file.write(f"{self._path}: {len(detections)} stretches\n")
        width = max((len(self._name(found)) for found in detections), default=5)
        heading = f"{'from':>10}  {'to':>10}  {'label':<{width}}  probability  epistemic\n"
        self._file.write(heading if detections else "")
        for found in detections:
            self._file.write(
                f"{_clock(found.start_s):>10}  {_clock(found.end_s):>10}  "
                f"{self._name(found):<{width}}  {found.probability:11.3f}  {found.epistemic:9.3f}\n"
            )


STYLES: dict[str, Callable[..., Timeline]] = {
    "table": _Table,
    "json": _Json,
    "csv": _Csv,
    "raven": _Raven,
    "audacity": _Audacity,
}


def timeline(
    style: str, file: TextIO, path: str, labels: Sequence[str], *, top: int, threshold: float
) -> Timeline:
    """Return a writer of a recording's windows.

    Args:
      style: `csv`, `json`: every window. `table`, `raven`, `audacity`: detections.
      file: Open for text; line ends are newlines.
      path: Path of the recording.
      labels: Label names in the order of the outputs.
      top: Number of labels per window, the most probable first.
      threshold: Minimum probability of a detection.
    """
    return STYLES[style](file, path, labels, top, threshold)


def _top(window: Window, top: int) -> np.ndarray:
    return np.argsort(-window.probabilities, kind="stable")[:top]


def _numbers(window: Window, label: int) -> list[float]:
    return [
        float(values[label])
        for values in (
            window.probabilities,
            window.low,
            window.high,
            window.label_aleatoric,
            window.label_epistemic,
        )
    ]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}"
