"""A recording's timeline as text: windows as CSV or JSON, detections for programs and people."""

import csv
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from vipann_tf.datasets.selection_files import (
    Detected,
    RavenTable,
    TabledRecording,
    audacity_lines,
    one_line,
)
from vipann_tf.saved_model.detections import Detection, Detector
from vipann_tf.saved_model.timeline import Window

__all__ = ["STYLES", "Timeline", "timeline"]

Threshold = float | NDArray[np.floating[Any]]
_WINDOW_COLUMNS = ("probability", "low", "high", "label_aleatoric", "label_epistemic")


class Timeline(Protocol):
    """Something that writes windows."""

    def add(self, window: Window) -> None:
        """Take the next window."""

    def close(self) -> None:
        """Write what can only be written at the end."""


class _EveryWindow:
    """All windows, as they come."""

    def __init__(
        self,
        file: TextIO,
        recording: TabledRecording,
        labels: Sequence[str],
        top: int,
        _: Threshold,
        __: float,
    ):
        self._file, self._path, self._labels, self._top = file, recording.path, labels, top
        self._begin()

    def _begin(self) -> None:
        """Write what is before the first window."""

    def close(self) -> None:
        pass


class _Csv(_EveryWindow):
    """One row per window and label."""

    def _begin(self) -> None:
        self._writer = csv.writer(self._file, lineterminator="\n")
        columns = ["file", "start_s", "end_s", "label", *_WINDOW_COLUMNS]
        self._writer.writerow([*columns, "total", "aleatoric", "epistemic"])

    def add(self, window: Window) -> None:
        start = [self._path, f"{window.start_s:.3f}", f"{window.end_s:.3f}"]
        clip = [f"{x:.6f}" for x in (window.total, window.aleatoric, window.epistemic)]
        for label in _top(window, self._top):
            numbers = [f"{x:.6f}" for x in _numbers(window, label)]
            self._writer.writerow([*start, self._labels[label], *numbers, *clip])


class _Json(_EveryWindow):
    """One object and line per window."""

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


class _Detections:
    """Detections, written at the end."""

    def __init__(
        self,
        file: TextIO,
        recording: TabledRecording,
        labels: Sequence[str],
        _: int,
        threshold: Threshold,
        hop_s: float,
    ):
        self._file, self._recording, self._labels = file, recording, labels
        self._detector = Detector(np.broadcast_to(threshold, len(labels)), hop_s)
        self._found: list[Detection] = []

    def add(self, window: Window) -> None:
        self._found += self._detector.add(
            window.start_s, window.end_s, window.probabilities, window.label_epistemic
        )

    def close(self) -> None:
        self._found += self._detector.close()
        self._write(
            [
                Detected(
                    one_line(self._labels[found.label]),
                    found.start_s,
                    found.end_s,
                    found.probability,
                    found.epistemic,
                )
                for found in sorted(self._found, key=lambda found: (found.start_s, found.label))
            ]
        )

    def _write(self, detections: Sequence[Detected]) -> None:
        raise NotImplementedError


class _Raven(_Detections):
    def _write(self, detections: Sequence[Detected]) -> None:
        table = RavenTable(self._file, ("Probability", "Epistemic (nats)"))
        table.add(self._recording, detections)


class _Audacity(_Detections):
    def _write(self, detections: Sequence[Detected]) -> None:
        self._file.write(audacity_lines(detections))


class _Table(_Detections):
    """For people: the detections, in columns."""

    def _write(self, detections: Sequence[Detected]) -> None:
        self._file.write(f"{self._recording.path}: {len(detections)} detections\n")
        width = max((len(found.label) for found in detections), default=5)
        heading = f"{'from':>10}  {'to':>10}  {'label':<{width}}  probability  epistemic\n"
        self._file.write(heading if detections else "")
        for found in detections:
            self._file.write(
                f"{_clock(found.start_s):>10}  {_clock(found.end_s):>10}  "
                f"{found.label:<{width}}  {found.probability:11.3f}  {found.epistemic:9.3f}\n"
            )


STYLES: dict[str, Callable[..., Timeline]] = {
    "table": _Table,
    "json": _Json,
    "csv": _Csv,
    "raven": _Raven,
    "audacity": _Audacity,
}


def timeline(
    style: str,
    file: TextIO,
    recording: TabledRecording,
    labels: Sequence[str],
    *,
    top: int,
    threshold: Threshold,
    hop_s: float,
) -> Timeline:
    """Return a writer of a recording's windows.

    Args:
      style: `csv`, `json`: every window. `table`, `raven`, `audacity`: detections.
      file: Open for text; line ends are newlines.
      recording: The recording.
      labels: Label names in the order of the outputs.
      top: Number of labels per window, the most probable first.
      threshold: Minimum probability of a detection, of all labels or of each, `[labels]`.
      hop_s: Time from one window to the next.
    """
    return STYLES[style](file, recording, labels, top, threshold, hop_s)


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
