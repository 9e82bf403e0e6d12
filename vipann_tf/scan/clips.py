"""Clips of detections, to be heard and labelled by a person; `prepare csv` takes them back."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import soundfile

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.decoding import Decoder
from vipann_tf.audio.errors import DecodeError
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.notices import Notice

__all__ = ["CHOICES", "CLIPS", "Choice", "FoundClip", "extract"]

CLIPS = "clips"
LIST_FILE = "clips.csv"
# Which detections of a label: the most probable ones, any, or those the model doubts most.
Choice = Literal["best", "random", "uncertain"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

# recording, label, begin, end, probability, epistemic
FoundClip = tuple[str, str, float, float, float, float]


def extract(
    out: str,
    found: Sequence[FoundClip],
    *,
    count: int,
    choice: Choice,
    window_s: float,
    sample_rate_hz: int,
    channel: Channel,
) -> tuple[int, list[Notice]]:
    """Cut the chosen detections of each label out, a window long, around their middles.

    Writes `clips/LABEL/NAME_BEGIN.wav` (16-bit, mono, at the model's sample rate, at the speed of
    the recording) and `clips/clips.csv`, with the columns `filename`, `labels` (what was detected:
    correct it), `group` (the recording) and `notes`. Clips of an earlier call are removed.

    Args:
      out: Directory of the scan.
      found: All detections.
      count: Clips of each label, at most.
      choice: Which detections.
      window_s: Length of a clip.
      sample_rate_hz: Sample rate of the clips.
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
    by_label: dict[str, list[FoundClip]] = {}
    for detection in found:
        by_label.setdefault(detection[1], []).append(detection)
    decoder = Decoder(sample_rate_hz, channel=channel)
    rows, notices, names = [], [], set()
    for label, detections in sorted(by_label.items()):
        for recording, _, begin_s, end_s, probability, epistemic in _chosen(
            detections, count, choice
        ):
            start_s = max(0.0, (begin_s + end_s - window_s) / 2)
            try:
                waveform = _read(decoder, recording, start_s, window_s)
            except DecodeError as error:
                notices.append(Notice(recording, "", "no-clip", f"at {start_s:.3f} s: {error}"))
                continue
            name = f"{_plain(label)}/{_plain(_stem(recording))}_{start_s:.3f}.wav"
            while name in names:  # two recordings of one name
                name = f"{name[:-4]}_.wav"
            names.add(name)
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            soundfile.write(path, np.clip(waveform, -1, 1), sample_rate_hz, subtype="PCM_16")
            notes = f"probability {probability:.3f}, epistemic {epistemic:.3f} nats"
            rows.append([name, label, recording, notes])
    with open(os.path.join(folder, LIST_FILE), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["filename", "labels", "group", "notes"])
        writer.writerows(rows)
    return len(rows), notices


def _chosen(detections: list[FoundClip], count: int, choice: Choice) -> list[FoundClip]:
    if choice == "best":
        key = lambda x: (-x[4], x)  # noqa: E731
    elif choice == "uncertain":
        key = lambda x: (-x[5], x)  # noqa: E731
    else:  # the same ones in every run
        key = lambda x: (hashlib.blake2b(repr(x[:3]).encode()).digest(), x)  # noqa: E731
    return sorted(detections, key=key)[:count]


def _read(decoder: Decoder, recording: str, start_s: float, window_s: float) -> np.ndarray:
    if not storage.is_remote(recording):
        return decoder.read(recording, offset_s=start_s, duration_s=window_s)
    with storage.RemoteFile(recording) as file:
        return decoder.read(file, offset_s=start_s, duration_s=window_s)


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _plain(name: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "_"
