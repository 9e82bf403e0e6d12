"""Everything else (MP3, FLAC, AAC, WavPack, Windows Media ...), read by FFmpeg through PyAV.

libsndfile reads some of these too, but believes the length in a header, or its own estimate of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.errors import DecodeError, first_line
from vipann_tf.audio.recording import BLOCK_SAMPLES
from vipann_tf.files.storage import ReadableFile

__all__ = ["AvRecording"]

# Formats whose frames know their time, so that a seek lands on the right sample.
_SEEKABLE = ("flac", "mp3", "mov", "matroska", "wv")
# A seek lands so long before the sample that is wanted: predictive codecs need frames to settle.
_RUN_UP_S = 1.0
# Where a header gives no length: that of a frame of AAC at the lowest usual rate.
_TOLERANCE_S = 0.1
# Formats without a header for the whole.
_HEADERLESS = ("aac", "amr", "ac3", "eac3")
# What a frame before the sound begins with if it holds the length.
_MP3_LENGTHS = (b"Xing", b"Info", b"VBRI")
# Full scale of integer samples.
_INTEGERS = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "s64": 9223372036854775808.0}


class AvRecording:
    """A `Recording` that FFmpeg reads.

    Args:
      file: The file.
      words: What its first bytes say it is, for an error.

    Raises:
      DecodeError: FFmpeg finds no audio in it.
    """

    def __init__(self, file: ReadableFile, words: str):
        av = _import_av(words)
        file.seek(0)
        try:
            self._container = av.open(file, mode="r", metadata_errors="ignore")
        except (av.FFmpegError, ValueError, EOFError) as error:
            raise DecodeError("undecodable", f"{words}, damaged: {first_line(error)}") from error
        self._file, self._words = file, words
        self._frame: Any = None  # the last one that was decoded
        self._origin = 0  # time of the first sample
        self._errors = (av.FFmpegError, ValueError)
        if not self._container.streams.audio:
            self._container.close()
            raise DecodeError("undecodable", f"{words}, without sound in it")
        self._stream = self._container.streams.audio[0]
        codec = self._stream.codec_context
        if codec is None or not codec.sample_rate or not codec.channels:
            self._container.close()
            raise DecodeError("undecodable", f"{words}, whose sound has no known coding")
        # FLAC: damage becomes an error, and not noise.
        codec.options = {"err_detect": "crccheck+explode"}
        codec.thread_count = 1
        self.rate_hz: int = codec.sample_rate
        self.channels: int = codec.channels
        self.is_float = codec.format is None or codec.format.name[:3] in ("flt", "dbl")
        self.findings: list[tuple[str, str]] = []
        # FLAC declares every sample.
        self._exact = codec.name == "flac"
        self.tolerance_s = (codec.frame_size or _TOLERANCE_S * self.rate_hz) / self.rate_hz
        if self._exact:
            self.tolerance_s = 1 / self.rate_hz
        self.declared_s = self._declared_s(file)
        if len(self._container.streams.audio) > 1:
            count = len(self._container.streams.audio)
            self.findings.append(("streams", f"it has {count} audio streams; the first is taken"))

    def blocks(self, start_s: float) -> Iterator[NDArray[np.float32]]:
        """Yield float32 [samples, channels] from a time on."""
        yield from self._blocks(start_s, self._seek(start_s))

    def _blocks(self, start_s: float, skip: int | None) -> Iterator[NDArray[np.float32]]:
        """Yield blocks from a time on, which is so many samples behind the next frame's begin."""
        waiting: list[NDArray[np.float32]] = []
        total, count, wanted = round(start_s * self.rate_hz), 0, BLOCK_SAMPLES // self.channels
        for samples in self._frames():
            if skip is None:
                skip = self._left_to_skip(start_s)
                if skip < 0:  # the seek went too far, or nobody knows where
                    with self._another() as again:
                        yield from again._blocks(start_s, round(start_s * self.rate_hz))
                        self.findings += again.findings
                    return
            if skip:
                samples, skip = samples[skip:], max(0, skip - len(samples))
            if count >= wanted:  # the last frame is always kept, for `_padding`
                yield np.concatenate(waiting)
                waiting, count = [], 0
            waiting.append(samples)
            count += len(samples)
            total += len(samples)
        if waiting:
            last = np.concatenate(waiting)
            yield last[: len(last) - min(len(last), self._padding(total))]

    def measure_s(self) -> float:
        """Return the length of what can be decoded: that of all packets."""
        ticks, timeless = 0, False
        with contextlib.suppress(*self._errors):
            for packet in self._container.demux(self._stream):
                ticks += packet.duration or 0
                timeless |= bool(packet.size and not packet.duration)
        # Packets hold what encoders put before and behind the sound.
        margin_s, declared_s = 3 * self.tolerance_s, self.declared_s
        measured_s = float(ticks * self._stream.time_base)
        if declared_s and not timeless and abs(measured_s - declared_s) <= margin_s:
            return declared_s
        with self._another() as again:
            return sum(len(samples) for samples in again.blocks(0)) / self.rate_hz

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _padding(self, total: int) -> int:
        """Return how much of the last frame fills it up, where the container says so."""
        if self.declared_s is None or not self._container.format.name.startswith("mov"):
            return 0
        excess = total - round(self.declared_s * self.rate_hz)
        return excess if 0 < excess <= self.tolerance_s * self.rate_hz else 0

    def _declared_s(self, file: ReadableFile) -> float | None:
        name = self._container.format.name
        # Without a header FFmpeg estimates from the bit rate of the first frames.
        if name in _HEADERLESS or (name == "mp3" and not _has_mp3_length(file)):
            return None
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._container.duration is None else self._container.duration / 1e6

    def _seek(self, start_s: float) -> int | None:
        """Go near a time, and return how many samples to skip; `None` until a frame tells."""
        run_up_s = start_s - _RUN_UP_S
        if run_up_s < _RUN_UP_S or not self._container.format.name.startswith(_SEEKABLE):
            return round(start_s * self.rate_hz)
        origin = self._first_pts()
        if origin is None:
            return round(start_s * self.rate_hz)
        self._origin = origin
        try:
            self._container.seek(
                int(run_up_s / self._stream.time_base) + origin, stream=self._stream
            )
        except self._errors:
            return round(start_s * self.rate_hz)
        return None

    def _first_pts(self) -> int | None:
        """Return the time of the first sample behind what the encoder put in front."""
        with self._another() as again:
            for _ in again._frames():
                return None if again._frame.pts is None else int(again._frame.pts)
        return None

    @contextlib.contextmanager
    def _another(self) -> Iterator[AvRecording]:
        """Open the file once more, from its front; then put it back where FFmpeg left it."""
        place = self._file.tell()
        try:
            with contextlib.closing(AvRecording(self._file, self._words)) as again:
                yield again
        finally:
            self._file.seek(place)

    def _left_to_skip(self, start_s: float) -> int:
        """Return the samples from the first frame after a seek to a time; negative: it is late."""
        frame = self._frame
        if frame.pts is None:
            return -1
        at_s = float((frame.pts - self._origin) * frame.time_base)
        return round((start_s - at_s) * self.rate_hz)

    def _frames(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of each frame; damaged ones are counted in `findings`."""
        damaged, other = 0, 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                frames = next(packets).decode()
            except StopIteration:
                break
            except self._errors as error:
                damaged += 1
                if isinstance(error, EOFError) or damaged > 10_000:
                    break
                continue
            for frame in frames:
                if frame.sample_rate != self.rate_hz or frame.layout.nb_channels != self.channels:
                    other += 1
                    continue
                self._frame = frame
                yield self._samples(frame)
        if damaged:
            words = "1 packet" if damaged == 1 else f"{damaged} packets"
            self.findings.append(("damaged", f"{words} could not be decoded"))
        if other:
            self.findings.append(
                ("unread", f"{other} frames have another sample rate or number of channels")
            )

    def _samples(self, frame: Any) -> NDArray[np.float32]:
        if not self._exact:
            self.tolerance_s = max(self.tolerance_s, frame.samples / self.rate_hz)
        values = frame.to_ndarray()
        # Planar: [channels, samples]; packed: [1, samples x channels].
        values = values.T if frame.format.is_planar else values.reshape(-1, self.channels)
        kind = frame.format.name.removesuffix("p")
        if kind in _INTEGERS:
            offset = 128 if kind == "u8" else 0
            scaled: NDArray[np.float32] = (values.astype(np.float32) - offset) * np.float32(
                1 / _INTEGERS[kind]
            )
            return scaled
        return np.asarray(values, np.float32)


def _has_mp3_length(file: ReadableFile) -> bool:
    place = file.tell()
    file.seek(0)
    head = file.read(10)
    tag = 0
    if head[:3] == b"ID3" and len(head) == 10:  # seven bits of each byte count
        tag = 10 + sum((byte & 127) << 7 * i for i, byte in enumerate(reversed(head[6:])))
    file.seek(tag)
    head = file.read(4096)
    file.seek(place)
    return any(magic in head for magic in _MP3_LENGTHS)


def _import_av(words: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise DecodeError(
            "undecodable",
            f"{words}, which needs PyAV ({first_line(error)}): `pip install av`, or convert the"
            " file: `ffmpeg -i IN OUT.wav`",
        ) from error
    # What FFmpeg says of damage is counted in notices; on stderr it would name no file.
    av.logging.set_level(None)
    return av
