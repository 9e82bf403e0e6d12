"""Recordings cut into windows, each a clip of its own, so that nothing is left out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import ROUND_FLOOR, Decimal

from vipann_tf.audio.decoding import DecodeError, duration_s
from vipann_tf.datasets.base import Clip, Rejection, Source
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.notices import Notice

__all__ = [
    "END_TOLERANCE_S",
    "check_window",
    "cut_into_windows",
    "recording_seconds",
    "window_begins",
    "window_clips",
]

MIN_WINDOW_S = 0.1
MAX_WINDOW_S = 600.0
MIN_HOP_S = 0.01  # as for `predict --window`
# A rest of some samples is the rounding of a length, and no sound of its own.
_REST_S = Decimal("0.0001")
_MICROSECOND = Decimal("0.000001")
# Encoders pad a file by up to one frame (46 ms of AAC at 22.05 kHz), and tables round their times.
END_TOLERANCE_S = 0.05


def check_window(window_s: float, hop_s: float | None) -> float:
    """Return the hop; by default that of windows side by side.

    Raises:
      UserError: A length is out of range.
    """
    if not MIN_WINDOW_S <= window_s <= MAX_WINDOW_S:
        raise UserError(
            f"windows is {window_s:g} s; use a length from {MIN_WINDOW_S} to {MAX_WINDOW_S:g}"
        )
    hop_s = window_s if hop_s is None else hop_s
    if not MIN_HOP_S <= hop_s <= MAX_WINDOW_S:
        raise UserError(f"hop is {hop_s:g} s; use a time from {MIN_HOP_S} to {MAX_WINDOW_S:g}")
    return hop_s


def window_begins(begin_s: float, end_s: float, window_s: float, hop_s: float) -> list[float]:
    """Return where the windows of an interval begin, as `audio.windows` cuts a recording.

    They begin at multiples of the hop, counted from the interval's begin and without rounding. If
    they leave the interval's end uncovered, one more window ends with the interval, to the
    microsecond. A hop longer than a window leaves gaps.

    Args:
      begin_s: Begin of the interval.
      end_s: End of the interval.
      window_s: Length of a window.
      hop_s: Time between the begins of windows.

    Returns:
      Begins in seconds, ascending. An interval that is no longer than a window has one.
    """
    begin, end, window, hop = (_decimal(x) for x in (begin_s, end_s, window_s, hop_s))
    if end - begin <= window + _REST_S:
        return [begin_s]
    count = 1 + int((end - begin - window + _REST_S) // hop)
    begins = [begin + k * hop for k in range(count)]
    covered, following = begins[-1] + window, begins[-1] + hop
    if covered + _REST_S < end and following < end:
        begins.append((end - window).quantize(_MICROSECOND, ROUND_FLOOR))
    return [float(x) for x in begins]


def window_clips(clip: Clip, length_s: float, window_s: float, hop_s: float) -> list[Clip]:
    """Cut a clip into windows, which are named `NAME@BEGIN` with the exact begin.

    Args:
      clip: A clip of a recording, with its labels.
      length_s: Length of the recording.
      window_s: Length of a window.
      hop_s: Time between the begins of windows.

    Returns:
      Its windows in order; the clip itself if it is no longer than a window.
    """
    end_s = length_s
    if clip.duration_s is not None:
        end_s = min(length_s, float(_decimal(clip.offset_s) + _decimal(clip.duration_s)))
    begins = window_begins(clip.offset_s, end_s, window_s, hop_s)
    if len(begins) == 1:
        return [clip]
    name = _name(clip)
    return [
        dataclasses.replace(
            clip, clip_id=f"{name}@{_text(begin)}", offset_s=begin, duration_s=window_s
        )
        for begin in begins
    ]


def cut_into_windows(
    source: Source,
    window_s: float,
    hop_s: float | None = None,
    *,
    seconds_of: Callable[[str], float | None] | None = None,
) -> Source:
    """Return a source whose clips are windows of the clips of another.

    Windows have the labels, the split and the group of their clip. A window that several clips
    give has the labels of all of them, or is rejected if the task allows only one. A clip whose
    recording can't be read stays as it is, so that decoding it gives the reason.

    Args:
      source: Clips of any length.
      window_s: Length of a window, and of the clips of the result.
      hop_s: Time between the begins of windows; by default the length of a window.
      seconds_of: Length of a recording in seconds, or `None`; by default `recording_seconds`.

    Raises:
      UserError: A length is out of range, or the source has no recordings.
    """
    hop_s = check_window(window_s, hop_s)
    if source.decode is not None:
        raise UserError(f"dataset {source.name} has no recordings to cut; leave out windows")
    seconds_of = seconds_of or recording_seconds
    lengths: dict[str, float | None] = {}
    clips: list[Clip] = []
    notices: list[Notice] = []
    for clip in source.clips:
        if clip.path not in lengths:
            lengths[clip.path] = seconds_of(clip.path)
        length_s = lengths[clip.path]
        if length_s is None or clip.offset_s >= length_s:
            clips.append(clip)
            continue
        end_s = clip.offset_s + (clip.duration_s or 0.0)
        if end_s > length_s + END_TOLERANCE_S:
            detail = f"it ends at {end_s:g} s, but the recording at {length_s:.3f} s"
            notices.append(Notice(clip.path, clip.clip_id, "beyond-end", detail))
        clips += window_clips(clip, length_s, window_s, hop_s)
    single = source.task == "multiclass"
    clips, rejected = _merged(clips, single)
    clips = _renamed(clips, window_s)
    return dataclasses.replace(
        source,
        clips=clips,
        clip_seconds=window_s,
        rejected=(*source.rejected, *rejected),
        notices=(*source.notices, *notices, *_several_splits(clips)),
    )


def recording_seconds(path: str) -> float | None:
    """Return the length of a recording in seconds; `None` if it can't be read."""
    try:
        if not storage.is_remote(path):
            return duration_s(path)
        with storage.open_read(path) as file:
            return duration_s(file)
    except (DecodeError, OSError):
        return None


def _merged(clips: Iterable[Clip], single: bool) -> tuple[list[Clip], list[Rejection]]:
    """Make one clip of clips of the same recording, interval and split."""
    found: dict[tuple, Clip] = {}
    several: dict[tuple, set[str]] = {}
    for clip in clips:
        key = (clip.path, clip.offset_s, clip.duration_s, clip.split)
        first = found.setdefault(key, clip)
        labels = dict.fromkeys((*first.labels, *clip.labels))
        if len(labels) > len(first.labels):
            if single:
                several.setdefault(key, set()).update(labels)
            else:
                found[key] = dataclasses.replace(first, labels=tuple(labels))
    rejected = [
        Rejection(
            found[key].path,
            found[key].clip_id,
            "label-count",
            f"several rows cover this window, with the labels {', '.join(sorted(labels))}, where"
            " the task needs exactly one",
        )
        for key, labels in several.items()
    ]
    return [clip for key, clip in found.items() if key not in several], rejected


def _several_splits(clips: Iterable[Clip]) -> Iterator[Notice]:
    """Yield a notice for each recording that has clips in several splits."""
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(os.path.normpath(clip.path), set()).add(clip.split)
    for path, names in splits.items():
        if len(names) > 1:
            detail = f"its clips are in the splits {', '.join(sorted(names))}, which are then alike"
            yield Notice(path, "", "recording-in-several-splits", detail)


def _renamed(clips: Sequence[Clip], window_s: float) -> list[Clip]:
    """Give clips that are shorter than a window, and begin where one does, names of their own."""
    windows = {clip.clip_id for clip in clips if clip.duration_s == window_s}

    def named(clip: Clip) -> Clip:
        if clip.duration_s in (None, window_s) or clip.clip_id not in windows:
            return clip
        return dataclasses.replace(clip, clip_id=f"{_name(clip)}@{_interval(clip)}")

    return [named(clip) for clip in clips]


def _name(clip: Clip) -> str:
    """Return a clip's id without the place in the recording with which `csv` ends it."""
    for place in (_text(clip.offset_s), _interval(clip)):
        if clip.clip_id.endswith(f"@{place}") and len(clip.clip_id) > len(place) + 1:
            return clip.clip_id.removesuffix(f"@{place}")
    return clip.clip_id


def _interval(clip: Clip) -> str:
    begin = _decimal(clip.offset_s)
    return f"{_text(clip.offset_s)}-{_text(float(begin + _decimal(clip.duration_s or 0)))}"


def _decimal(seconds: float) -> Decimal:
    return Decimal(repr(float(seconds)))


def _text(seconds: float) -> str:
    """Return a number in full, without an exponent: 12.5, 0.00001, 100."""
    return f"{_decimal(seconds).normalize():f}"
