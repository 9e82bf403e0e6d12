"""Where the samples of an uncompressed file are, by its header and by its size.

Headers lie: a recorder that crashed never wrote the length, a pipe could not, and 32 bits end at
4 GiB. libsndfile believes them, and drops what is behind.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator

from vipann_tf.files.storage import ReadableFile

__all__ = ["PcmHeader", "declared_bytes", "read_pcm_header", "riff_chunks"]

# Pipes write the greatest size of 31 or 32 bits, some less the header before the samples.
_PIPE_SIZES = tuple(range(top - 4096, top + 1) for top in (0x7FFFFFFF, 0xFFFFFFFF))
# Formats of a WAV file that are samples one after another: (tag, bits) -> libsndfile's subtype.
_RAW_SUBTYPES = {
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
    (6, 8): "ALAW",
    (7, 8): "ULAW",
}
_EXTENSIBLE = 0xFFFE
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_ZEROS_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class _Form:
    rate_hz: int
    channels: int
    frame_bytes: int
    subtype: str | None
    big_endian: bool


@dataclasses.dataclass(frozen=True)
class PcmHeader(_Form):
    """The samples of a WAV, RF64 or W64 file.

    Attributes:
      rate_hz: Sample rate.
      channels: Number of channels.
      frame_bytes: Bytes of one sample of all channels.
      subtype: libsndfile's name of the samples' format; `None` if they are compressed.
      big_endian: Whether the samples' most significant byte is first.
      start: Offset of the first sample in the file, in bytes.
      declared: Bytes of samples that the header declares; `None` if it says that it does not know.
      present: Bytes of samples in the file.
      behind: What is behind the samples and can't be a part of the file, in words; empty if
        nothing is.
    """

    start: int
    declared: int | None
    present: int
    behind: str

    @property
    def misleads(self) -> bool:
        """Whether a reader that believes the header would leave samples out, or refuse the file."""
        return self.declared is None or self.declared < self.present or bool(self.behind)

    def seconds(self, size: int) -> float:
        """Return the length of so many bytes of samples, in seconds."""
        return size // self.frame_bytes / self.rate_hz


def read_pcm_header(file: ReadableFile, size: int) -> PcmHeader | None:
    """Read the header of a WAV, RF64 or W64 file.

    Args:
      file: The file, positioned anywhere.
      size: Its length in bytes.

    Returns:
      `None` if it has another format, or no chunks of format and data.
    """
    file.seek(0)
    magic = file.read(12)
    order = ">" if magic[:4] == b"RIFX" else "<"
    if magic[:4] == b"riff":
        chunks = _w64_chunks(file, size)
    elif magic[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and magic[8:] == b"WAVE":
        chunks = riff_chunks(file, size, order)
    else:
        return None
    form = None
    for name, start, length in chunks:
        if name == b"fmt ":
            form = _read_form(file.read(min(length, 40)), order)
        elif name == b"data":
            return None if form is None else _compare(file, size, form, start, length)
    return None


def riff_chunks(file: ReadableFile, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of each chunk, with the file positioned at its start.

    Args:
      file: A RIFF, RF64 or AIFF file, whose first chunk is at byte 12.
      size: Its length in bytes; a chunk may declare more.
      order: Order of bytes, `<` or `>`.
    """
    place, long = 12, None
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack(order + "4sI", file.read(8))
        if name == b"ds64":  # the length of the samples in 64 bits
            long = int.from_bytes(file.read(16)[8:], "little")
            file.seek(place + 8)
        elif name == b"data" and long is not None:
            length = long
        yield name, place + 8, length
        place += 8 + length + length % 2


def _w64_chunks(file: ReadableFile, size: int) -> Iterator[tuple[bytes, int, int]]:
    place = 40
    while place + 24 <= size:
        file.seek(place)
        name, tail, length = struct.unpack("<4s12sQ", file.read(24))
        if tail != _W64_TAIL or length < 24:
            return
        yield name, place + 24, length - 24
        place += length + -length % 8


def _read_form(content: bytes, order: str) -> _Form | None:
    if len(content) < 16:
        return None
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack(order + "HHIIHH", content[:16])
    if tag == _EXTENSIBLE and len(content) >= 26:
        tag = struct.unpack(order + "H", content[24:26])[0]
    if not (channels and rate_hz and frame_bytes):
        return None
    if tag in (1, 3):  # 20 bits lie in three bytes
        bits = 8 * frame_bytes // channels
    return _Form(rate_hz, channels, frame_bytes, _RAW_SUBTYPES.get((tag, bits)), order == ">")


def _compare(file: ReadableFile, size: int, form: _Form, start: int, length: int) -> PcmHeader:
    """Compare the length that a header declares with the bytes that there are."""
    present, behind = max(0, size - start), ""
    if length < present:
        # Some writers leave the padding byte of an odd length out.
        places = sorted({start + length + length % 2, start + length}, reverse=True)
        found = [_behind(file, size, place) for place in places]
        behind = next((what for what in found if what != "samples"), "samples")
        if behind != "samples":
            present = length
    unknown = any(length in sizes for sizes in _PIPE_SIZES)
    return PcmHeader(
        **dataclasses.asdict(form),
        start=start,
        declared=None if unknown and length != present else length,
        present=present,
        behind=behind if behind.startswith("another") else "",
    )


def _behind(file: ReadableFile, size: int, place: int) -> str:
    """Say what is behind the samples: chunks, padding, another file, or more samples."""
    if size - place < 8:
        return "chunks"
    file.seek(place)
    head = file.read(8)
    if head[:4] in (b"RIFF", b"RF64"):
        return f"another file of {size - place} bytes"
    if not head.strip(b"\0"):
        # Recorders reserve room in advance, gigabytes of it.
        zeros = not file.read(_ZEROS_BLOCK).strip(b"\0")
        file.seek(max(place, size - _ZEROS_BLOCK))
        return "padding" if zeros and not file.read(_ZEROS_BLOCK).strip(b"\0") else "samples"
    while place + 8 <= size:
        file.seek(place)
        head = file.read(8)
        if not all(32 <= byte < 127 for byte in head[:4]):
            return "samples"
        length = int.from_bytes(head[4:], "little")
        place += 8 + length + length % 2
    return "chunks" if place <= size + 1 else "samples"


def declared_bytes(file: ReadableFile, size: int) -> tuple[int, int] | None:
    """Return the bytes of samples that an AIFF, AU or CAF file declares, and those that it has.

    Args:
      file: The file, positioned anywhere.
      size: Its length in bytes.

    Returns:
      `None` if it has another format, or does not declare them.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"FORM":
        for name, start, length in riff_chunks(file, size, ">"):
            if name == b"SSND":
                return length - 8, min(length, size - start) - 8
    elif head[:4] in (b".snd", b"dns."):
        start, length = struct.unpack((">" if head[:1] == b"." else "<") + "II", head[4:])
        if length != 0xFFFFFFFF:
            return length, min(length, size - start)
    elif head[:4] == b"caff":
        place = 8
        while place + 12 <= size:
            file.seek(place)
            name, length = struct.unpack(">4sq", file.read(12))
            place += 12
            if name == b"data":
                return None if length < 0 else (length, min(length, size - place))
            place += max(0, length)
    return None
