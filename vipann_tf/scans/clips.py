"""Clips of detections, to be heard and labelled by a person; `prepare csv` takes them back."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import soundfile
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.decoding import Decoder
from vipann_tf.audio.errors import DecodeError
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.scans.recordings import Recording, opened

__all__ = ["CHOICES", "CLIPS", "Choice", "extract", "plain_name"]

CLIPS = "clips"
LIST_FILE = "clips.csv"
# Which detections of a label: the most probable ones, any, or those the model doubts most.
Choice = Literal["best", "random", "uncertain"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

# A detection, by the columns of its Parquet file.
Row = Mapping[str, Any]


def extract(
    out: str,
    detections: Iterable[Row],
    recordings: Iterable[Recording],
    *,
    count: int,
    choice: Choice,
    window_s: float,
    channel: Channel,
) -> tuple[int, list[Notice]]:
    """Cut the chosen detections of each label out, a window long, around their middles.

    Writes `clips/LABEL/NAME_BEGIN.wav` (16-bit, mono, at the rate and speed of the recording, so
    that nothing of ultrasound is lost) and `clips/clips.csv`, with the columns `filename`, `labels`
    (what was detected: correct it), `group` (the recording) and `notes`. Clips of an earlier call
    are removed.

    Args:
      out: Directory of the scan.
      detections: All detections, see `summary.read_detections`.
      recordings: Those of the scan.
      count: Clips of each label, at most.
      choice: Which detections.
      window_s: Length of a clip, in seconds.
      channel: What to hear of several channels.

    Returns:
      Number of clips, and notices about those that could not be cut.

    Raises:
      UserError: `choice` is unknown.
    """
    if choice not in CHOICES:
        raise UserError(f"extract-by is {choice!r}; use one of {', '.join(CHOICES)}")
    folder = os.path.join(out, CLIPS)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    named = {recording.name: recording for recording in recordings}
    by_label: dict[str, list[Row]] = {}
    for row in detections:
        by_label.setdefault(row["label"], []).append(row)
    listed: list[list[str]] = []
    notices: list[Notice] = []
    names: set[str] = set()
    for label, rows in sorted(by_label.items()):
        for row in sorted(rows, key=lambda row: _rank(row, choice))[:count]:
            recording = named[row["recording"]]
            start_s = max(0.0, (row["start_s"] + row["end_s"] - window_s) / 2)
            try:
                waveform = _read(recording, start_s, window_s, channel)
            except DecodeError as error:
                detail = f"at {start_s:.3f} s: {error}"
                notices.append(Notice(recording.name, "", "no-clip", detail))
                continue
            name = f"{plain_name(label)}/{plain_name(_stem(recording.name))}_{start_s:.3f}.wav"
            while name in names:  # two recordings of one name
                name = f"{name[:-4]}_.wav"
            names.add(name)
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            soundfile.write(path, np.clip(waveform, -1, 1), recording.rate_hz, subtype="PCM_16")
            notes = f"probability {row['probability']:.3f}, epistemic {row['epistemic']:.3f} nats"
            listed.append([name, label, recording.name, notes])
    with open(os.path.join(folder, LIST_FILE), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["filename", "labels", "group", "notes"])
        writer.writerows(listed)
    return len(listed), notices


def _rank(row: Row, choice: Choice) -> tuple[Any, ...]:
    """Return what a choice sorts by; the same detections come first in every run."""
    place = (row["recording"], row["start_s"])
    if choice == "best":
        return -row["probability"], *place
    if choice == "uncertain":
        return -row["epistemic"], *place
    return hashlib.blake2b(repr(place).encode()).digest(), *place


def _read(
    recording: Recording, start_s: float, window_s: float, channel: Channel
) -> NDArray[np.float32]:
    decoder = Decoder(recording.rate_hz, channel=channel)
    with opened(recording.path) as file:
        return decoder.read(file, offset_s=start_s, duration_s=window_s)


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def plain_name(name: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "_"
