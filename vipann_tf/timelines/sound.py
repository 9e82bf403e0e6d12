"""The sound of a timeline's page: all of a short recording, or the stretches of what was found."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from urllib.parse import quote

import numpy as np
import soundfile
from numpy.typing import NDArray

from vipann_tf.audio.decoding import Decoder, Sound
from vipann_tf.audio.errors import DecodeError
from vipann_tf.files.paths import StrPath
from vipann_tf.timelines.picture import Heard, Picture

__all__ = [
    "BUDGET_S",
    "Stretch",
    "encode",
    "fits",
    "recording_beside",
    "stretches",
    "stretches_to_hear",
]

# Sound in a page, in seconds as the model hears it: 8 kB each, and a third more as text.
BUDGET_S = 180.0
# Around a detection, and greatest length of one stretch, in seconds as the model hears it.
_AROUND_S, _MOST_S = 1.0, 12.0
_FULL = 0.97  # of the budget; so little more is not worth a search among all detections
# MP3 at a constant 64 kbit/s, of libsndfile's range from 320 (0) to 32 (1).
_BITRATE_KBPS = 64
# Names of files that browsers play.
_PLAYABLE = frozenset([".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac"])


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Sound of a recording.

    Attributes:
      begin_s: Where it begins, in seconds of the recording.
      end_s: Where it ends.
      data: The sound as it is heard, encoded, in base64.
      mime: What `data` is.
    """

    begin_s: float
    end_s: float
    data: str
    mime: str


def fits(heard: Heard) -> bool:
    """Return whether all of a recording's sound fits into a page."""
    return heard.seconds * heard.time_expansion <= BUDGET_S


def recording_beside(heard: Heard, page: StrPath) -> str | None:
    """Return the address of a recording, relative to a page, if browsers can play the file.

    Files of other kinds, what is on a server and what the model heard slowed down are not for them.

    Args:
      heard: The recording.
      page: File of the page.
    """
    suffix = os.path.splitext(heard.path)[1].lower()
    if suffix not in _PLAYABLE or heard.time_expansion != 1 or not os.path.isfile(heard.path):
        return None
    try:
        path = os.path.relpath(heard.path, os.path.dirname(os.path.abspath(page)))
    except ValueError:  # on another drive of Windows
        return None
    return quote(os.fsencode(PurePath(path).as_posix()))


def stretches_to_hear(picture: Picture) -> list[tuple[float, float]]:
    """Return begins and ends of the sound that goes into a page, in order.

    All of a recording that fits the budget. Else the surroundings of detections: each label's most
    probable one, then each label's second one and so on, and at last the highest windows of the
    labels that were not detected, as far as the budget reaches.

    Args:
      picture: What was found where.
    """
    heard = picture.heard
    if fits(heard):
        return [(0.0, heard.seconds)]
    budget_s = BUDGET_S / heard.time_expansion
    chosen: list[tuple[float, float]] = []
    used_s = 0.0
    for begin_s, end_s in _wanted(picture):
        if used_s > _FULL * budget_s:
            break
        around_s = _AROUND_S / heard.time_expansion
        half_s = min(end_s - begin_s + 2 * around_s, _MOST_S / heard.time_expansion) / 2
        middle_s = (begin_s + end_s) / 2
        wanted = max(0.0, middle_s - half_s), min(heard.seconds, middle_s + half_s)
        merged = _merged([*chosen, wanted])
        merged_s = sum(end - begin for begin, end in merged)
        if merged_s <= budget_s:
            chosen, used_s = merged, merged_s
    return chosen


def stretches(
    decoder: Decoder, sound: Sound, places: Sequence[tuple[float, float]]
) -> list[Stretch]:
    """Read and encode stretches of a recording; what is behind a damage is left out.

    Args:
      decoder: What reads it.
      sound: The recording.
      places: Begin and end of each in seconds.
    """
    found = []
    for begin_s, end_s in places:
        blocks = decoder.blocks(sound, offset_s=begin_s, duration_s=end_s - begin_s)
        waveform = np.concatenate([np.zeros(0, np.float32), *_until_damage(blocks)])
        if not len(waveform):
            continue
        data, mime = encode(waveform, decoder.sample_rate_hz)
        end_s = begin_s + len(waveform) / decoder.samples_per_second
        found.append(Stretch(begin_s, end_s, base64.b64encode(data).decode("ascii"), mime))
    return found


def encode(waveform: NDArray[np.float32], rate_hz: int) -> tuple[bytes, str]:
    """Return a sound as MP3, which every browser plays, or as Vorbis where libsndfile lacks MP3."""
    samples = np.clip(waveform, -1.0, 1.0)
    buffer = io.BytesIO()
    if "MP3" not in soundfile.available_formats():
        soundfile.write(buffer, samples, rate_hz, format="OGG", subtype="VORBIS")
        return buffer.getvalue(), "audio/ogg"
    level = 1 - (_BITRATE_KBPS - 32) / (320 - 32)
    soundfile.write(
        buffer, samples, rate_hz, format="MP3", compression_level=level, bitrate_mode="CONSTANT"
    )
    return buffer.getvalue(), "audio/mpeg"


def _until_damage(blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    try:
        yield from blocks
    except DecodeError:
        return


def _wanted(picture: Picture) -> Iterator[tuple[float, float]]:
    ranked = [
        sorted(lane.detections, key=lambda x: (-x.probability, x.start_s)) for lane in picture.lanes
    ]
    for rank in range(max(map(len, ranked), default=0)):
        for found in ranked:
            if rank < len(found):
                yield found[rank].start_s, found[rank].end_s
    half_s = picture.heard.window_s / 2
    for lane, peak_s in zip(picture.lanes, picture.peaks_s, strict=True):
        if not lane.detections:
            yield peak_s - half_s, peak_s + half_s


def _merged(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for begin_s, end_s in sorted(places):
        if merged and begin_s <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end_s)
        else:
            merged.append((begin_s, end_s))
    return merged
