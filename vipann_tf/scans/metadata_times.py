"""When a recording began, as its recorder wrote it into the WAV file.

- GUANO (chunk `guan`): lines of UTF-8, `Timestamp: 2023-05-01T05:00:00+02:00` (GUANO specification
  1.0).
- WAMD (chunk `wamd`) of Wildlife Acoustics: entries of a number in 16 bits, a length in 32 bits,
  and so many bytes; entry 0 is the version, 1, and entry 5 the time, `2014-04-02 22:59:14-05:00`
  (Wildlife Acoustics, `wa_meta.h`, 2017).
- AudioMoth: a comment in chunk `LIST`, `Recorded at 05:00:00 01/05/2023 (UTC+2) by AudioMoth ...`,
  in the offset from UTC of its configuration, like its name (AudioMoth-Firmware-Basic, `main.c`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from vipann_tf.audio.pcm_header import riff_chunks
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath

__all__ = ["metadata_times"]

# Voice notes and the recorder's state are in these chunks, too, behind the time.
_CHUNK_BYTES = 1 << 20
_WAMD_VERSION, _WAMD_TIME = 0, 5
_COMMENT = re.compile(
    rb"Recorded at (\d\d:\d\d:\d\d(?:\.\d+)?) (\d\d)/(\d\d)/(\d{4})"
    rb" \(UTC(?:([+-])(\d{1,2})(:\d\d)?)?\)"
)


def metadata_times(path: StrPath) -> dict[str, str]:
    """Return the time that each kind of metadata holds, as text, the most reliable first.

    Keys are `guano`, `wamd` and `audiomoth`. A file that can't be read, that is damaged or no WAV
    has those that were found.
    """
    found: dict[str, str] = {}
    try:
        size = storage.size(path) or 0
        with storage.open_read(path) as file:
            head = file.read(12)
            if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
                return {}
            for name, _, length in riff_chunks(file, size, "<"):
                if not all(32 <= byte < 127 for byte in name):
                    break  # damage, or gigabytes of zeros that a recorder reserved
                if name in _READERS:
                    key, read = _READERS[name]
                    text = read(file.read(min(length, _CHUNK_BYTES)))
                    if text is not None:
                        found.setdefault(key, text)
    except (OSError, struct.error):
        pass  # decoding says what is wrong with the file
    return {key: found[key] for key, _ in _READERS.values() if key in found}


def _guano(content: bytes) -> str | None:
    for line in content.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip("\0\ufeff \t") == "Timestamp":
            return value.strip("\0 \t\r") or None
    return None


def _wamd(content: bytes) -> str | None:
    for number, value in _wamd_entries(content):
        if number == _WAMD_VERSION and value[:2] != b"\1\0":
            return None
        if number == _WAMD_TIME:
            return value.decode("ascii", "replace").strip("\0 ") or None
    return None


def _wamd_entries(content: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 6 <= len(content):
        number, length = struct.unpack_from("<HI", content, place)
        place += 6 + length
        if place <= len(content):
            yield number, content[place - length : place]


def _audiomoth(content: bytes) -> str | None:
    match = _COMMENT.search(content)
    if match is None:
        return None
    clock, day, month, year, sign, hours, minutes = (
        x.decode() if x else "" for x in match.groups()
    )
    offset = f"{sign}{hours:>02}{minutes or ':00'}" if sign else "Z"
    return f"{year}-{month}-{day}T{clock}{offset}"


_READERS = {
    b"guan": ("guano", _guano),
    b"wamd": ("wamd", _wamd),
    b"LIST": ("audiomoth", _audiomoth),
}
