"""The plan of a scan: which windows of which recordings are answered together.

It depends on the recordings and the settings alone and never on workers, so that every run, resumed
or not, gives the same files.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from vipann_tf.audio.channels import Channel
from vipann_tf.scans.recordings import Recording

__all__ = ["Piece", "Settings", "Unit", "plan_units", "window_count", "window_start"]

# Sound in a unit: what is lost at most when a run is killed. A longer recording is several units.
UNIT_S = 900.0
# Recordings in a unit, at most: a season of short files must not become one giant unit of them.
UNIT_RECORDINGS = 1000


@dataclasses.dataclass(frozen=True)
class Settings:
    """What determines the answers of a scan, besides the recordings.

    Attributes:
      model: Fingerprint of the model's files.
      window_s: Length of a window, in seconds of the recording.
      hop_s: Time from one window to the next.
      num_draws: Number of draws.
      seed: Seed of the draws.
      channel: What to hear of several channels.
      labels: Labels to keep, in the model's order.
      embeddings: Whether embeddings are stored.
      draws: Whether the probabilities of every draw are stored.
      start: When the one recording began, as it was given; empty if it was not.
      timezone: Zone of times without an offset, as it was given; empty if it was not.
    """

    model: str
    window_s: float
    hop_s: float
    num_draws: int
    seed: int
    channel: Channel
    labels: tuple[str, ...]
    embeddings: bool
    draws: bool = False
    start: str = ""
    timezone: str = ""

    def difference(self, other: dict[str, Any]) -> str:
        """Say in what an earlier scan, read from JSON, differs; empty if in nothing."""
        for name, value in json.loads(json.dumps(dataclasses.asdict(self))).items():
            if other.get(name) != value:
                if name == "model":
                    return "the model is another one"
                return f"{name} was {other.get(name)!r} and is {value!r}"
        return ""


@dataclasses.dataclass(frozen=True)
class Piece:
    """Consecutive windows of one recording.

    Attributes:
      recording: The recording.
      first: Number of the first window.
      last: Number of the window behind the last one.
    """

    recording: Recording
    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class Unit:
    """What one worker does at a time, and writes into one file."""

    name: str
    pieces: tuple[Piece, ...]


def window_count(length_s: float, window_s: float, hop_s: float) -> int:
    """Return the number of windows: those at multiples of the hop, and one that ends with the rest.

    A recording that is shorter than a window is one window.
    """
    if length_s <= 0:
        return 0
    # A thousandth of a millisecond is the rounding of a length, and no sound of its own.
    return 1 + max(0, math.ceil((length_s - window_s) / hop_s - 1e-6 / hop_s))


def window_start(number: int, length_s: float, window_s: float, hop_s: float) -> float:
    """Return the start of a window; the last one ends with the recording."""
    return min(number * hop_s, max(0.0, length_s - window_s))


def plan_units(recordings: Sequence[Recording], window_s: float, hop_s: float) -> list[Unit]:
    """Divide recordings into units, in order.

    Args:
      recordings: Those that can't be opened get no piece.
      window_s: Length of a window.
      hop_s: Time from one window to the next.
    """
    units: list[Unit] = []
    waiting: list[Piece] = []
    seconds = 0.0
    for piece in _pieces(recordings, window_s, hop_s):
        piece_s = (piece.last - piece.first) * hop_s
        if waiting and (seconds + piece_s > UNIT_S or len(waiting) >= UNIT_RECORDINGS):
            units.append(_unit(len(units), waiting))
            waiting, seconds = [], 0.0
        waiting.append(piece)
        seconds += piece_s
    if waiting:
        units.append(_unit(len(units), waiting))
    return units


def _pieces(recordings: Sequence[Recording], window_s: float, hop_s: float) -> Iterator[Piece]:
    most = max(1, int(UNIT_S / hop_s))
    for recording in recordings:
        count = window_count(recording.length_s, window_s, hop_s)
        for first in range(0, count, most):
            yield Piece(recording, first, min(first + most, count))


def _unit(number: int, pieces: Sequence[Piece]) -> Unit:
    return Unit(f"part-{number:06d}", tuple(pieces))


def fingerprint(units: Sequence[Unit]) -> str:
    """Return a hash of the plan: recordings, their states and the division."""
    text = json.dumps([dataclasses.asdict(unit) for unit in units])
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
