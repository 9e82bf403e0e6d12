"""Decode audio files to mono float32 waveforms at one sample rate, in bounded memory.

libsndfile reads uncompressed files and Ogg, FFmpeg (through PyAV) the others, and `soxr` resamples
at its HQ setting. A file is read block by block, so a window of a two-hour recording needs only the
memory of that window. The length of a recording is what is decoded; where its header says another
one, that is a finding for the user.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Generator, Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

from vipann_tf.audio.array_recording import ArrayRecording
from vipann_tf.audio.channels import Channel, Mixer
from vipann_tf.audio.checked_blocks import CheckedBlocks
from vipann_tf.audio.errors import MIN_DURATION_S, REASONS, DecodeError, decode_errors
from vipann_tf.audio.recording import Recording, open_recording
from vipann_tf.files.paths import StrPath
from vipann_tf.files.storage import ReadableFile

__all__ = [
    "NEGLIGIBLE_S",
    "REASONS",
    "DecodeError",
    "Decoder",
    "Sound",
    "duration_s",
    "padded",
    "read_audio",
]

# A file's header may claim any rate. A rate beyond these means a damaged header; resampling from
# 1 Hz would turn one block into gigabytes.
MIN_RATE_HZ = 1_000
MAX_RATE_HZ = 1_536_000
# Recordings of up to this rate are made for human ears: what they lose is not worth a word.
AUDIBLE_RATE_HZ = 48_000
# What may be missing or left over without a word: less than a frame of most codings.
NEGLIGIBLE_S = 0.05

# What is read: a path, an open file, or samples in memory.
Sound = StrPath | ReadableFile | ArrayRecording
# Receives the kind and the detail of a finding.
OnFinding = Callable[[str, str], None]


def _ignore(kind: str, detail: str) -> None:
    pass


class Decoder:
    """A reader of audio files at one sample rate; it keeps a resampler for each source rate.

    Args:
      sample_rate_hz: Sample rate of every waveform returned.
      channel: What to hear of several channels.
      time_expansion: How many times to slow recordings down, as detectors of bats do: 10 brings
        40 kHz to 4 kHz. Times of the file stay those of the file.
      on_finding: Called with kind and detail of what the user should know about the file at hand.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        *,
        channel: Channel = "mix",
        time_expansion: float = 1.0,
        on_finding: OnFinding = _ignore,
    ):
        if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
            raise ValueError(
                f"sample_rate_hz must be in [{MIN_RATE_HZ}, {MAX_RATE_HZ}], not {sample_rate_hz}"
            )
        self.sample_rate_hz = sample_rate_hz
        self._channel: Channel = channel
        self._expansion = time_expansion
        self._on_finding = on_finding
        self._resamplers: dict[float, soxr.ResampleStream] = {}

    @property
    def samples_per_second(self) -> float:
        """Samples of a waveform for one second of the file."""
        return self.sample_rate_hz * self._expansion

    def read(
        self,
        file: Sound,
        *,
        offset_s: float = 0.0,
        duration_s: float | None = None,
        cut: bool = True,
    ) -> NDArray[np.float32]:
        """Read a file, or a window of it.

        Args:
          file: Path, seekable binary file object, or samples in memory.
          offset_s: Where to start, in seconds of the file.
          duration_s: Greatest length, in seconds of the file; `None` reads to the end.
          cut: Whether the caller means to leave out what is behind the duration; otherwise that is
            a finding.

        Returns:
          float32 [samples], nominally in [-1, 1] (a floating-point file may hold more, and so may a
          resampled peak). At most `round(duration_s * time_expansion * sample_rate_hz)` samples;
          fewer where the file ends earlier.

        Raises:
          DecodeError: There is no usable waveform, for the reason in the error.
        """
        pieces = list(self.blocks(file, offset_s=offset_s, duration_s=duration_s, cut=cut))
        return np.concatenate(pieces)

    def blocks(
        self,
        file: Sound,
        *,
        offset_s: float = 0.0,
        duration_s: float | None = None,
        cut: bool = True,
    ) -> Iterator[NDArray[np.float32]]:
        """Read a recording of any length piece by piece.

        Together the pieces are what `read` would return. Take all of them before you use this
        decoder for another file: they share its resampler.

        Args:
          file: As for `read`, and so the others.
          offset_s: Where to start.
          duration_s: Greatest length.
          cut: Whether the caller means to leave out what is behind the duration.

        Yields:
          float32 [samples]; some pieces may be empty.

        Raises:
          DecodeError: As for `read`; after some pieces, if the damage is behind them.
        """
        wanted = sys.maxsize
        if duration_s is not None:
            wanted = round(duration_s * self.samples_per_second)
        count = 0
        with (
            decode_errors(),
            _opened(file) as recording,
            contextlib.closing(self._pieces(recording, offset_s)) as pieces,
        ):
            for piece in pieces:
                left = max(0, wanted - count)
                count += len(piece)
                yield piece[:left]
                if count >= wanted and (cut or self._say_what_is_cut(recording, count, wanted)):
                    break
        count = min(count, wanted)
        if not count and not offset_s:
            raise DecodeError("empty", "0 samples")
        if count < MIN_DURATION_S * self.sample_rate_hz:
            raise DecodeError(
                "too-short", f"{count / self.sample_rate_hz:.3f} s from {offset_s:g} s on"
            )

    def _pieces(
        self, recording: Recording, offset_s: float
    ) -> Generator[NDArray[np.float32], None, None]:
        """Yield mono pieces at `sample_rate_hz` from an offset to the end."""
        if not MIN_RATE_HZ <= recording.rate_hz <= MAX_RATE_HZ:
            raise DecodeError("undecodable", f"a sample rate of {recording.rate_hz} Hz")
        self._check_band(recording.rate_hz)
        mixer = Mixer(self._channel, recording.channels)
        resampler = self._resampler(recording.rate_hz / self._expansion)
        checked = CheckedBlocks(recording, offset_s)
        try:
            for mono in mixer.mix(checked.blocks()):
                yield mono if resampler is None else resampler.resample_chunk(mono)
            if resampler is not None:
                yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        finally:
            mixer.close()
            for kind, detail in [*checked.findings, *recording.findings, *mixer.findings]:
                self._on_finding(kind, detail)

    def _say_what_is_cut(self, recording: Recording, count: int, wanted: int) -> bool:
        """Say that sound is left out, and return whether that is certain."""
        second = self.samples_per_second
        more = count - wanted > NEGLIGIBLE_S * self.sample_rate_hz
        length_s = recording.declared_s
        if more and length_s is not None:
            of = f" of {length_s:.1f} s"
        elif more:
            of = ""
        else:
            return False
        self._on_finding("cut", f"{wanted / second:.1f} s{of} are used")
        return True

    def _check_band(self, rate_hz: int) -> None:
        """Say what of an ultrasound recording is not heard."""
        kept_hz = self.sample_rate_hz * self._expansion / 2
        if rate_hz > AUDIBLE_RATE_HZ and kept_hz < rate_hz / 2:
            self._on_finding(
                "band",
                f"of its {rate_hz / 2000:g} kHz the part above {kept_hz / 1000:g} kHz"
                f" ({1 - 2 * kept_hz / rate_hz:.0%}) is not heard; --time-expansion"
                f" {math.ceil(rate_hz / self.sample_rate_hz)} would bring all of it",
            )

    def _resampler(self, from_hz: float) -> soxr.ResampleStream | None:
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
) -> NDArray[np.float32]:
    """Read one file as `Decoder.read` does: float32 [samples], mono, at `rate` Hz.

    Raises:
      DecodeError: There is no usable waveform, for the reason in the error.
    """
    return Decoder(rate).read(path, offset_s=offset_s, duration_s=duration_s)


def duration_s(path: Sound) -> float:
    """Return the length of a file's sound in seconds, within a frame of its coding.

    It is what can be decoded and not what a header says, yet nothing is decoded.

    Raises:
      DecodeError: It can't be read, for the reason in the error.
    """
    with decode_errors(), _opened(path) as recording:
        return recording.measure_s()


def padded(sound_s: float, zeros_s: float) -> tuple[str, str]:
    """Return the finding that a waveform was padded at its end."""
    return "padded", f"{sound_s:.2f} s of sound, then {zeros_s:.2f} s of zeros"


def _opened(file: Sound) -> contextlib.AbstractContextManager[Recording]:
    if isinstance(file, ArrayRecording):
        return contextlib.nullcontext(file)
    return open_recording(file)
