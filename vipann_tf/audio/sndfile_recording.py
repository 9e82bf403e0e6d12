"""Uncompressed files and Ogg, read by libsndfile, with a header that lies set right."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from vipann_tf.audio.errors import first_line
from vipann_tf.audio.ogg_pages import OggPages
from vipann_tf.audio.pcm_header import PcmHeader, declared_bytes, read_pcm_header
from vipann_tf.audio.recording import BLOCK_SAMPLES
from vipann_tf.audio.signatures import Family
from vipann_tf.files.storage import ReadableFile

__all__ = ["NotForLibsndfile", "SndfileRecording", "open_sndfile"]

_FLOATS = ("FLOAT", "DOUBLE", "VORBIS", "OPUS")
# Samples of a block of Vorbis or Opus, at most: two long ones of Vorbis.
_OGG_FRAME = 8192


class NotForLibsndfile(Exception):
    """An error: another decoder should try the file."""


def open_sndfile(
    path: str | None, file: ReadableFile, size: int, family: Family, pages: OggPages | None
) -> SndfileRecording:
    """Open a file.

    Args:
      path: Its path if it has one; libsndfile reads faster by itself.
      file: The same file, open.
      size: Its length in bytes.
      family: `pcm`, `ogg` or `unknown`.
      pages: Its pages, if it is an Ogg file.

    Raises:
      NotForLibsndfile: libsndfile can't open it, or would not read it in one piece.
    """
    if pages is not None and not pages.whole:
        raise NotForLibsndfile
    header = read_pcm_header(file, size) if family == "pcm" else None
    try:
        if header is not None and header.misleads and header.subtype is not None:
            sound = soundfile.SoundFile(
                _Section(file, header.start, header.present),
                samplerate=header.rate_hz,
                channels=header.channels,
                subtype=header.subtype,
                endian="BIG" if header.big_endian else "LITTLE",
                format="RAW",
            )
        else:
            by_name = path is not None and family != "unknown" and _is_harmless(path)
            sound = soundfile.SoundFile(path if by_name else _Section(file, 0, size))
    except soundfile.SoundFileError as error:
        raise NotForLibsndfile(first_line(error)) from error
    return SndfileRecording(sound, file, size, header, pages)


def _is_harmless(path: str) -> bool:
    """Return whether soundfile can be given a path, and decides nothing by it.

    It takes what is in a file called `.raw` for samples, and encodes names as Unicode.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return not path.lower().endswith(".raw")


class SndfileRecording:
    """A `Recording` that libsndfile reads.

    Args:
      sound: The open file.
      file: The same file, for its header.
      size: Its length in bytes.
      header: Its header, if it is a WAV file.
      pages: Its pages, if it is an Ogg file.
    """

    def __init__(
        self,
        sound: soundfile.SoundFile,
        file: ReadableFile,
        size: int,
        header: PcmHeader | None,
        pages: OggPages | None,
    ):
        self._sound = sound
        self.rate_hz: int = sound.samplerate
        self.channels: int = sound.channels
        self.is_float = sound.subtype in _FLOATS
        self.tolerance_s = (_OGG_FRAME if pages else 1) / self.rate_hz
        self.findings: list[tuple[str, str]] = []
        self.declared_s: float | None = sound.frames / self.rate_hz
        if header is not None:
            self._believe(header)
        elif pages is None:
            self._compare(declared_bytes(file, size))
        if pages is not None:
            self.findings += pages.findings

    def blocks(self, start_s: float) -> Iterator[NDArray[np.float32]]:
        """Yield float32 [samples, channels] from a time on."""
        start = round(start_s * self.rate_hz)
        if start >= self._sound.frames:
            return
        if start:
            self._sound.seek(start)
        frames = max(1, BLOCK_SAMPLES // self.channels)
        while True:
            try:
                block = self._sound.read(frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                self.findings.append(("damaged", f"libsndfile stops: {error.error_string}"))
                return
            yield block
            if len(block) < frames:
                return

    def measure_s(self) -> float:
        """Return the length of what can be decoded."""
        return self._sound.frames / self.rate_hz

    def close(self) -> None:
        """Close the file."""
        self._sound.close()

    def _believe(self, header: PcmHeader) -> None:
        declared = header.declared
        if header.subtype is None:  # compressed: bytes are not samples
            self._compare(None if declared is None else (declared, header.present))
        else:
            self.declared_s = None if declared is None else header.seconds(declared)
        if header.behind:
            self.findings.append(
                ("unread", f"behind its samples is {header.behind}, which is not read")
            )

    def _compare(self, sizes: tuple[int, int] | None) -> None:
        """Take the declared length from bytes of samples declared and present."""
        if sizes is not None and sizes[1]:
            self.declared_s = self._sound.frames / self.rate_hz * max(1.0, sizes[0] / sizes[1])


class _Section(io.RawIOBase):
    """The samples of a file, as a file without a header."""

    def __init__(self, file: ReadableFile, start: int, length: int):
        super().__init__()
        self._file, self._start, self._length = file, start, length
        self._place = 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._length}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        """Return the position."""
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer, and return the number of bytes."""
        view = memoryview(buffer).cast("B")
        self._file.seek(self._start + self._place)
        content = self._file.read(min(len(view), max(0, self._length - self._place)))
        view[: len(content)] = content
        self._place += len(content)
        return len(content)
