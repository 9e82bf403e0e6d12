"""A planned scan: its recordings, when they began, and what determines its answers."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import Notice
from vipann_tf.saved_model.metadata import (
    MIN_SECONDS,
    ModelInfo,
    check_draws,
    read_labels,
    read_model_info,
    version_directory,
)
from vipann_tf.saved_model.thresholds import Threshold, label_thresholds, threshold_notices
from vipann_tf.scans.clock import Clock, Started, clock_times, parse_start, parse_timezone
from vipann_tf.scans.plan import Settings, Unit, plan_units
from vipann_tf.scans.recordings import Recording, find_recordings, measure
from vipann_tf.scans.store import Begin

__all__ = ["Scan", "model_fingerprint", "plan_scan"]


@dataclasses.dataclass(frozen=True)
class Scan:
    """A scan that is planned.

    Attributes:
      recordings: All that were found, also those that can't be opened.
      units: Their division.
      settings: What determines the answers.
      info: Metadata of the model.
      keep: Indices of the labels that are kept.
      thresholds: Least probability of a detection of each of them, float32 [kept]; NaN never
        detects.
      begins: Path -> when the recording began.
      notices: What is to be known beforehand.
    """

    recordings: list[Recording]
    units: list[Unit]
    settings: Settings
    info: ModelInfo
    keep: list[int]
    thresholds: NDArray[np.float32]
    begins: dict[str, Begin]
    notices: list[Notice]

    @property
    def seconds(self) -> float:
        """Length of all recordings."""
        return sum(recording.length_s for recording in self.recordings)

    @property
    def windows(self) -> int:
        """Number of windows."""
        return sum(piece.last - piece.first for unit in self.units for piece in unit.pieces)


def plan_scan(
    model: StrPath,
    names: Iterable[str],
    *,
    window_s: float | None = None,
    hop_s: float | None = None,
    threshold: Threshold = 0.5,
    num_draws: int | None = None,
    seed: int | None = None,
    channel: Channel = "mix",
    labels: Sequence[str] = (),
    embeddings: bool = False,
    draws: bool = False,
    start: str = "",
    timezone: str = "",
) -> Scan:
    """Find the recordings and divide them.

    Args:
      model: Model directory.
      names: Files, folders, patterns, lists, see `find_recordings`.
      window_s: Length of a window; by default that of the clips that the model was trained on.
      hop_s: Time between windows; by default half a window.
      threshold: Least probability of a detection, or `calibrated`, see `label_thresholds`.
      num_draws: Number of draws; by default that of the export.
      seed: Seed of the draws; by default that of the export.
      channel: What to hear of several channels.
      labels: Labels to keep; by default all.
      embeddings: Whether to store embeddings.
      draws: Whether to store the probabilities of every draw.
      start: When the one recording began.
      timezone: Zone of times that come without an offset.

    Raises:
      UserError: An argument is not allowed, or there is no recording.
    """
    info = read_model_info(model)
    trained_s = info.clip_seconds / info.time_expansion
    notices = []
    if window_s is None:
        window_s = trained_s
    elif window_s != trained_s:
        detail = (
            f"windows last {window_s:g} s, and the model was trained on clips of {trained_s:g} s"
        )
        notices.append(Notice(str(model), "", "window", detail))
    hop_s = window_s / 2 if hop_s is None else hop_s
    _check_lengths(info, window_s, hop_s)
    num_draws = info.num_draws if num_draws is None else num_draws
    seed = info.seed if seed is None else seed
    check_draws(info, num_draws, seed, model)
    every = read_labels(model)
    unknown = [label for label in labels if label not in every]
    if unknown:
        raise UserError(f"label {unknown[0]!r} is unknown; the model has {', '.join(every)}")
    keep = [i for i, label in enumerate(every) if not labels or label in labels]
    thresholds = label_thresholds(info, threshold, model)[keep]
    heard_s = window_s * info.time_expansion
    notices += threshold_notices(info, threshold, every, model, window_s=heard_s)
    paths, left_out = find_recordings(names)
    notices += left_out
    recordings = [measure(path) for path in paths]
    begins = _begins(recordings, start, timezone, notices)
    settings = Settings(
        model=model_fingerprint(model),
        window_s=window_s,
        hop_s=hop_s,
        num_draws=num_draws,
        seed=seed,
        channel=channel,
        labels=tuple(every[i] for i in keep),
        embeddings=embeddings,
        draws=draws,
        start=start,
        timezone=timezone,
    )
    units = plan_units(recordings, window_s, hop_s)
    return Scan(recordings, units, settings, info, keep, thresholds, begins, notices)


def _begins(
    recordings: Sequence[Recording], start: str, zone: str, notices: list[Notice]
) -> dict[str, Begin]:
    """Find out when recordings began; add what is to be known to the notices."""
    if start and len(recordings) != 1:
        raise UserError(
            f"start is {start}, but there are {len(recordings)} recordings; scan one alone, or let"
            " names or metadata tell when each began"
        )
    clock = Clock(
        start=parse_start(start) if start else None,
        timezone=parse_timezone(zone) if zone else None,
    )
    begins: dict[str, Begin] = {}
    every: list[Notice] = []
    for recording in recordings:
        started, said = clock.start_of(recording.path)
        every += said
        begins[recording.path] = (None, None) if started is None else _milliseconds(started)
    if len(every) == len(recordings) > 1 and {notice.kind for notice in every} == {"no-time"}:
        # Nobody kept the time of day; one line tells.
        detail = "neither names nor metadata say when they began; times of day are empty"
        every = [Notice(f"{len(recordings)} recordings", "", "no-time", detail)]
    notices += every
    return begins


def _milliseconds(started: Started) -> Begin:
    time = int(clock_times(started, 0.0).astype("int64"))
    if not started.is_utc:
        return None, time
    if started.utc_offset is None:
        return time, None
    return time, time + round(started.utc_offset.total_seconds() * 1000)


def _check_lengths(info: ModelInfo, window_s: float, hop_s: float) -> None:
    slow = info.time_expansion
    if info.fixed_seconds is not None and window_s * slow != info.fixed_seconds:
        raise UserError(
            f"window is {window_s:g} s; this model takes only {info.fixed_seconds / slow:g} s"
        )
    if not MIN_SECONDS <= window_s * slow < float("inf"):
        raise UserError(f"window is {window_s:g} s; use {MIN_SECONDS / slow:g} s or more")
    if not 0.01 <= hop_s < float("inf"):
        raise UserError(f"hop is {hop_s:g} s; use 0.01 s or more")


def model_fingerprint(model: StrPath) -> str:
    """Return a hash of the files that determine the answers of a model."""
    directory = version_directory(model)
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if path.is_file() and name.parts[0] in ("saved_model.pb", "variables", "assets"):
            digest.update(str(name).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
