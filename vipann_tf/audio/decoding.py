"""Decode audio files to mono float32 waveforms at one sample rate, in bounded memory.

`soundfile` reads every format of libsndfile (WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF ...), and
`soxr` resamples at its HQ setting. A file is read block by block, so a window of a two-hour
recording needs only the memory of that window.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np
import soundfile
import soxr

from vipann_tf.files.paths import StrPath
from vipann_tf.files.storage import ReadableFile

__all__ = ["REASONS", "DecodeError", "Decoder", "duration_s", "read_audio"]

# A file's header may claim any rate. A rate beyond these means a damaged header; resampling from
# 1 Hz would turn one block into gigabytes.
MIN_RATE_HZ = 1_000
MAX_RATE_HZ = 1_536_000
# Ten hops of the log-mel frontend; anything shorter holds no usable sound event.
MIN_DURATION_S = 0.1
# Samples over all channels in one block: 1 MiB of float32.
_BLOCK_SAMPLES = 262_144

REASONS = {
    "missing-file": "the file does not exist",
    "empty": "the file holds no bytes or no samples",
    "undecodable": "libsndfile can't read the file",
    "too-short": f"less than {MIN_DURATION_S} s of audio at the clip's offset",
    "non-finite": "the audio holds NaN or infinite samples",
}


class DecodeError(ValueError):
    """An error: the file gives no usable waveform.

    Attributes:
      reason: A key of `REASONS`.
      detail: The finding, for the user.
    """

    def __init__(self, reason: str, detail: str):
        assert reason in REASONS, reason
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return DecodeError, (self.reason, self.detail)


class Decoder:
    """A reader of audio files at one sample rate; it keeps a resampler for each source rate.

    Args:
      sample_rate_hz: Sample rate of every waveform returned.
    """

    def __init__(self, sample_rate_hz: int):
        if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
            raise ValueError(
                f"sample_rate_hz must be in [{MIN_RATE_HZ}, {MAX_RATE_HZ}], not {sample_rate_hz}"
            )
        self.sample_rate_hz = sample_rate_hz
        self._resamplers: dict[int, soxr.ResampleStream] = {}

    def read(
        self,
        file: StrPath | ReadableFile,
        *,
        offset_s: float = 0.0,
        duration_s: float | None = None,
    ) -> np.ndarray:
        """Read a file, or a window of it.

        Args:
          file: Path, or a seekable binary file object.
          offset_s: Where to start, in seconds of the file.
          duration_s: Greatest length, in seconds; `None` reads to the end.

        Returns:
          float32 [samples], the mean of the channels, nominally in [-1, 1] (a floating-point file
          may hold more, and so may a resampled peak). At most `round(duration_s * sample_rate_hz)`
          samples; fewer where the file ends earlier.

        Raises:
          DecodeError: There is no usable waveform, for the reason in the error.
        """
        if isinstance(file, (str, os.PathLike)):
            _check_path(file)
        elif file.seek(0, os.SEEK_END) == 0:
            raise DecodeError("empty", "0 bytes")
        else:
            file.seek(0)
        wanted = math.inf if duration_s is None else round(duration_s * self.sample_rate_hz)
        try:
            with soundfile.SoundFile(file) as sound:
                waveform = self._read_open(sound, offset_s, wanted)
        except soundfile.LibsndfileError as error:
            raise DecodeError("undecodable", error.error_string) from error
        except soundfile.SoundFileError as error:
            raise DecodeError("undecodable", _first_line(error)) from error
        if not waveform.size and not offset_s:
            raise DecodeError("empty", "0 samples")
        if waveform.size < MIN_DURATION_S * self.sample_rate_hz:
            raise DecodeError(
                "too-short", f"{waveform.size / self.sample_rate_hz:.3f} s from {offset_s:g} s on"
            )
        if not np.isfinite(waveform).all():
            bad = int(np.count_nonzero(~np.isfinite(waveform)))
            raise DecodeError("non-finite", f"{bad} of {waveform.size} samples")
        return waveform

    def blocks(self, file: StrPath) -> Iterator[np.ndarray]:
        """Read a recording of any length piece by piece.

        Together the pieces are what `read` would return. Take all of them before you use this
        decoder for another file: they share its resampler.

        Args:
          file: Path.

        Yields:
          float32 [samples], the mean of the channels; some pieces may be empty.

        Raises:
          DecodeError: As for `read`; after some pieces, if the damage is behind them.
        """
        _check_path(file)
        count = 0
        try:
            with soundfile.SoundFile(file) as sound:
                for piece in self._pieces(sound):
                    if not np.isfinite(piece).all():
                        raise DecodeError(
                            "non-finite", f"from {count / self.sample_rate_hz:.0f} s on"
                        )
                    count += len(piece)
                    yield piece
        except soundfile.LibsndfileError as error:
            raise DecodeError("undecodable", error.error_string) from error
        except soundfile.SoundFileError as error:
            raise DecodeError("undecodable", _first_line(error)) from error
        if count < MIN_DURATION_S * self.sample_rate_hz:
            raise DecodeError("too-short" if count else "empty", f"{count} samples")

    def _read_open(self, sound: soundfile.SoundFile, offset_s: float, wanted: float) -> np.ndarray:
        start = round(offset_s * sound.samplerate)
        if start:
            if start >= sound.frames:
                return np.zeros(0, np.float32)
            sound.seek(start)
        pieces, count = [], 0
        for piece in self._pieces(sound):
            pieces.append(piece)
            count += len(piece)
            if count >= wanted:
                break
        waveform = np.concatenate(pieces)
        return waveform if count <= wanted else waveform[: int(wanted)]

    def _pieces(self, sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
        """Yield mono pieces at `sample_rate_hz` from the file's position to its end."""
        if not MIN_RATE_HZ <= sound.samplerate <= MAX_RATE_HZ:
            raise DecodeError("undecodable", f"a sample rate of {sound.samplerate} Hz")
        resampler = self._resampler(sound.samplerate)
        block_frames, last = max(1, _BLOCK_SAMPLES // sound.channels), False
        while not last:
            block = sound.read(block_frames, dtype="float32", always_2d=True)
            last = len(block) < block_frames
            mono = block[:, 0] if sound.channels == 1 else block.mean(axis=1, dtype=np.float32)
            yield mono if resampler is None else resampler.resample_chunk(mono, last=last)

    def _resampler(self, from_hz: int) -> soxr.ResampleStream | None:
        if from_hz == self.sample_rate_hz:
            return None
        if from_hz in self._resamplers:
            self._resamplers[from_hz].clear()
        else:
            self._resamplers[from_hz] = soxr.ResampleStream(
                from_hz, self.sample_rate_hz, 1, dtype="float32", quality="HQ"
            )
        return self._resamplers[from_hz]


def read_audio(
    path: StrPath | ReadableFile,
    rate: int,
    offset_s: float = 0.0,
    duration_s: float | None = None,
) -> np.ndarray:
    """Read one file as `Decoder.read` does: float32 [samples], mono, at `rate` Hz.

    Raises:
      DecodeError: There is no usable waveform, for the reason in the error.
    """
    return Decoder(rate).read(path, offset_s=offset_s, duration_s=duration_s)


def duration_s(path: StrPath) -> float:
    """Read the length of a file in seconds from its header; nothing is decoded.

    Raises:
      DecodeError: It can't be read, for the reason in the error.
    """
    _check_path(path)
    try:
        return soundfile.info(os.fspath(path)).duration
    except soundfile.LibsndfileError as error:
        raise DecodeError("undecodable", error.error_string) from error


def _check_path(path: StrPath) -> None:
    """Distinguish the cases for which libsndfile says only "System error"."""
    try:
        size = os.stat(path).st_size
    except FileNotFoundError as error:
        raise DecodeError("missing-file", f"no file at {os.fspath(path)}") from error
    except (OSError, ValueError) as error:  # a component is a file, no permission, NUL in the name
        raise DecodeError("undecodable", _first_line(error)) from error
    if os.path.isdir(path):
        raise DecodeError("undecodable", "a directory")
    if size == 0:
        raise DecodeError("empty", "0 bytes")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
