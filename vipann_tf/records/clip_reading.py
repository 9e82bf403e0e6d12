"""Read one clip from its audio file, and say what of the file it does not hold."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.decoding import NEGLIGIBLE_S, Decoder, padded
from vipann_tf.audio.errors import DecodeError
from vipann_tf.datasets.base import Clip
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.storage import ReadableFile
from vipann_tf.notices import Notice

__all__ = ["AS_RECORDED", "CROPS", "ClipReader", "ClipReading", "Crop"]

# Which part of a recording that is longer than a clip becomes the clip.
Crop = Literal["first", "center", "loudest"]
CROPS: tuple[Crop, ...] = get_args(Crop)

# Step between the beginnings that are compared to find the loudest part, in seconds of the clip.
_LOUDEST_STEP_S = 0.1


def check_expansion(time_expansion: float) -> None:
    """Raise a `UserError` for a time expansion that is not allowed."""
    if not 1 <= time_expansion <= 100:
        raise UserError(
            f"time expansion is {time_expansion:g}; use 1 (none) to 100, usually 10 for bats"
        )


@dataclasses.dataclass(frozen=True)
class ClipReading:
    """How audio files are read.

    Attributes:
      channel: What to hear of several channels.
      time_expansion: How many times recordings are slowed down; above 1 for ultrasound.
      crop: Which part of a longer recording is the clip.

    Raises:
      UserError: A value is not allowed.
    """

    channel: Channel = "mix"
    time_expansion: float = 1.0
    crop: Crop = "first"

    def __post_init__(self) -> None:
        check_expansion(self.time_expansion)
        if self.crop not in CROPS:
            raise UserError(f"crop is {self.crop!r}; use one of {', '.join(CROPS)}")


# As it was recorded: all channels, from the front, at its own speed.
AS_RECORDED = ClipReading()


class ClipReader:
    """A reader of clips.

    Args:
      reading: How audio files are read.
      seconds: Length of a clip, slowed down.
      sample_rate_hz: Its sample rate.
    """

    def __init__(self, reading: ClipReading, seconds: float, sample_rate_hz: int):
        self._found: list[tuple[str, str]] = []
        self._crop = reading.crop
        self._seconds = seconds
        self._rate_hz = sample_rate_hz
        # Seconds of a file that become a clip.
        self._window_s = seconds / reading.time_expansion
        self._decoder = Decoder(
            sample_rate_hz,
            channel=reading.channel,
            time_expansion=reading.time_expansion,
            on_finding=lambda kind, detail: self._found.append((kind, detail)),
        )

    def read(self, clip: Clip) -> tuple[NDArray[np.float32], list[Notice]]:
        """Return a clip's waveform, float32 [samples] of at most a clip's length, and notices.

        Raises:
          DecodeError: The clip has no usable audio.
        """
        self._found.clear()
        if storage.is_remote(clip.path):
            waveform = self._read_remote(clip)
        else:
            waveform = self._read(clip.path, clip)
        missing_s = self._window_s - len(waveform) / self._decoder.samples_per_second
        if missing_s > NEGLIGIBLE_S:
            self._found.append(padded(self._window_s - missing_s, missing_s))
        # A file that is read twice for its loudest part says everything twice.
        found = list(dict.fromkeys(self._found))
        return waveform, [Notice(clip.path, clip.clip_id, kind, detail) for kind, detail in found]

    def _read_remote(self, clip: Clip) -> NDArray[np.float32]:
        try:
            file = storage.RemoteFile(clip.path)
        except FileNotFoundError as error:
            raise DecodeError("missing-file", str(error)) from error
        with file:
            try:
                return self._read(file, clip)
            finally:
                file.check()  # a failed transfer does not make the recording unusable

    def _read(self, file: str | ReadableFile, clip: Clip) -> NDArray[np.float32]:
        """Read the clip's interval, or the part of it that is a clip long."""
        interval_s = clip.duration_s
        longer = interval_s is None or interval_s > self._window_s + NEGLIGIBLE_S
        if not longer:
            return self._decoder.read(file, offset_s=clip.offset_s, duration_s=interval_s)
        offset_s = clip.offset_s
        if self._crop != "first":
            offset_s += self._place(file, clip)
        if interval_s is not None:
            self._found.append(("cut", f"{self._window_s:.1f} s of {interval_s:.1f} s are used"))
        return self._decoder.read(
            file, offset_s=offset_s, duration_s=self._window_s, cut=interval_s is not None
        )

    def _place(self, file: str | ReadableFile, clip: Clip) -> float:
        """Return where in the clip's interval the part to keep begins, in seconds."""
        step = round(_LOUDEST_STEP_S * self._rate_hz)
        energies, left = [np.zeros(0)], np.zeros(0, np.float32)
        for block in self._decoder.blocks(file, offset_s=clip.offset_s, duration_s=clip.duration_s):
            left = np.concatenate([left, block])
            whole = len(left) // step * step
            rows = left[:whole].reshape(-1, step)
            energies.append(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
            left = left[whole:]
        energy = np.concatenate(energies)
        width = round(self._seconds * self._rate_hz / step)
        starts = max(1, len(energy) - width + 1)
        if self._crop == "center":
            return (starts - 1) / 2 * self._step_s
        sums = np.concatenate([[0.0], np.cumsum(energy)])
        ends = np.minimum(np.arange(starts) + width, len(energy))
        return float(np.argmax(sums[ends] - sums[:starts])) * self._step_s

    @property
    def _step_s(self) -> float:
        """Seconds of the file between two beginnings."""
        return _LOUDEST_STEP_S * self._window_s / self._seconds
