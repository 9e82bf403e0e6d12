"""An open audio file, whatever its format: blocks of samples, and what its header declares."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.errors import DecodeError, first_line
from vipann_tf.audio.ogg_pages import read_ogg_pages
from vipann_tf.audio.pcm_header import declared_bytes
from vipann_tf.audio.signatures import HEAD_BYTES, Signature, identify
from vipann_tf.files.paths import StrPath
from vipann_tf.files.storage import ReadableFile

__all__ = ["BLOCK_SAMPLES", "HEADERLESS", "HEADERLESS_DETAIL", "Recording", "open_recording"]

# Samples over all channels in one block: 1 MiB of float32.
BLOCK_SAMPLES = 262_144
# Suffixes of samples without a header.
HEADERLESS = frozenset(
    [
        *(".raw", ".pcm", ".sln", ".vox", ".gsm", ".lpc", ".ul", ".ulaw", ".al", ".alaw"),
        *(".s8", ".u8", ".s16", ".s16le", ".s24", ".s24le", ".s32", ".s32le", ".f32", ".f32le"),
    ]
)
HEADERLESS_DETAIL = (
    "headerless audio, which does not say its rate and format; convert it, such as"
    " `ffmpeg -f s16le -ar 48000 -ac 1 -i IN OUT.wav`"
)


class Recording(Protocol):
    """An open audio file.

    Attributes:
      rate_hz: Sample rate.
      channels: Number of channels.
      is_float: Whether its samples are floating-point numbers, which may hold anything.
      declared_s: Length that its header declares; `None` if it declares none.
      tolerance_s: Length of one frame of its coding, by which the two lengths may differ.
      findings: Kind and detail of what the user should know; complete once all blocks were read.
    """

    rate_hz: int
    channels: int
    is_float: bool
    declared_s: float | None
    tolerance_s: float
    findings: list[tuple[str, str]]

    def blocks(self, start_s: float) -> Iterator[NDArray[np.float32]]:
        """Yield float32 [samples, channels] from a time on, as far as the sound goes."""

    def measure_s(self) -> float:
        """Return the length of what can be decoded; nothing is decoded to find it."""

    def close(self) -> None:
        """Close what was opened."""


@contextlib.contextmanager
def open_recording(file: StrPath | ReadableFile) -> Iterator[Recording]:
    """Open a file with the decoder that its first bytes ask for.

    Args:
      file: Path, or a seekable binary file object.

    Raises:
      DecodeError: It is no audio file, or one that nothing here decodes.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(file, (str, os.PathLike)):
            size = _check_path(file)
            opened: ReadableFile = stack.enter_context(open(file, "rb"))
        else:
            opened, size = file, file.seek(0, io.SEEK_END)
            opened.seek(0)
        if size == 0:
            raise DecodeError("empty", "0 bytes")
        signature = identify(opened.read(HEAD_BYTES))
        if signature.family == "refused":
            raise DecodeError("undecodable", signature.words)
        path = os.fspath(file) if isinstance(file, (str, os.PathLike)) else None
        yield stack.enter_context(contextlib.closing(_open(path, opened, size, signature)))


def _open(path: str | None, file: ReadableFile, size: int, signature: Signature) -> Recording:
    pages = read_ogg_pages(file, size) if signature.family == "ogg" else None
    if signature.family != "coded":
        from vipann_tf.audio.sndfile_recording import NotForLibsndfile, open_sndfile

        try:
            return open_sndfile(path, file, size, signature.family, pages)
        except NotForLibsndfile as error:
            if signature.family == "unknown":
                raise DecodeError("undecodable", _unknown_format(path)) from error
    from vipann_tf.audio.av_recording import AvRecording

    sizes = declared_bytes(file, size) if signature.family == "pcm" else None
    recording = AvRecording(file, signature.words)
    if pages is not None:
        recording.findings += pages.findings
    if sizes is not None and sizes[1] < sizes[0]:
        recording.findings.append(
            ("truncated", f"it holds {sizes[1]} of the {sizes[0]} bytes that its header declares")
        )
    return recording


def _unknown_format(path: str | None) -> str:
    """Return the message for a file that no decoder knows."""
    suffix = os.path.splitext(path)[1].lower() if path is not None else ""
    if suffix in HEADERLESS:
        return HEADERLESS_DETAIL
    return "Format not recognised; if it is audio, convert it: `ffmpeg -i IN OUT.wav`"


def _check_path(path: StrPath) -> int:
    """Return a file's size; distinguish the cases for which a decoder says "System error"."""
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        raise DecodeError("missing-file", f"no file at {os.fspath(path)}") from error
    except (OSError, ValueError) as error:  # a component is a file, no permission, NUL in the name
        raise DecodeError("undecodable", first_line(error)) from error
    if os.path.isdir(path):
        raise DecodeError("undecodable", f"a directory; name its files: {os.fspath(path)}/*.wav")
    if not os.path.isfile(path):
        raise DecodeError("undecodable", "a pipe or a device, not a file; write it to a file first")
    return found.st_size
