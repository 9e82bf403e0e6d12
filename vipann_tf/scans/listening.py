"""Which recordings of a scan to listen to, and how: the timelines that a summary leads to."""

from __future__ import annotations

import collections
import dataclasses
import os
import shlex
import subprocess
from typing import Any

from vipann_tf.scans import store
from vipann_tf.scans.clips import plain_name
from vipann_tf.scans.finished import dictionary, read_batches, recorder_of
from vipann_tf.scans.maps import short_names

__all__ = ["Heard", "recordings_to_hear"]


@dataclasses.dataclass(frozen=True)
class Heard:
    """A recording whose timeline can be drawn.

    Attributes:
      recording: Its path.
      detections: Number of detections.
      page: Where its timeline's page is, or will be.
      command: Makes that page.
    """

    recording: str
    detections: int
    page: str
    command: str

    @property
    def is_drawn(self) -> bool:
        """Whether the page is there."""
        return os.path.isfile(self.page)


def recordings_to_hear(scan: str, recordings: list[dict[str, Any]], folder: str) -> list[Heard]:
    """List the recordings that were heard, those with most detections first.

    Args:
      scan: Directory of the scan.
      recordings: Path and number of windows of each.
      folder: Where the pages of the timelines are.
    """
    counts: collections.Counter[str] = collections.Counter()
    for table in read_batches(scan, store.DETECTIONS, ["recording"]):
        numbers, names = dictionary(table, "recording")
        counts.update(names[i] for i in numbers.tolist())
    paths = [row["recording"] for row in recordings if row["windows"]]
    recorders = short_names(sorted({recorder_of(path) for path in paths}))
    found = []
    for path in sorted(paths, key=lambda x: (-counts[x], x)):
        recorder = recorder_of(path)
        name = plain_name(f"{recorders[recorder]}-{path[len(recorder) + 1 :]}")
        page = os.path.join(folder, f"{name}.html")
        words = ["vipann-tf", "timeline", os.path.abspath(scan), path, "--out", page]
        found.append(Heard(path, counts[path], page, _line(words)))
    return found


def _line(words: list[str]) -> str:
    """Return a command as the shell of this system reads it."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
