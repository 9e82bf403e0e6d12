"""The pages of an Ogg file: whether it is one stream, and whether it has its end.

libsndfile reads the first of several streams that lie one behind the other, and takes the last page
that there is for the end.
"""

from __future__ import annotations

import dataclasses

from vipann_tf.files.storage import ReadableFile

__all__ = ["OggPages", "read_ogg_pages"]

_HEAD = 27  # bytes of a page before its table of segments
_FIRST, _LAST = 2, 4  # flags of a page


@dataclasses.dataclass(frozen=True)
class OggPages:
    """What the pages tell.

    Attributes:
      streams: Number of streams that begin, at the front or later.
      ended: Whether the last page is marked as its stream's end.
      damage: Offset of the first bytes that are not a page, or where a page is missing; `None` if
        there are none.
    """

    streams: int
    ended: bool
    damage: int | None


def read_ogg_pages(file: ReadableFile, size: int) -> OggPages:
    """Read the heads of all pages.

    Args:
      file: The file, positioned anywhere.
      size: Its length in bytes.
    """
    place, streams, ended, damage = 0, 0, False, None
    numbers: dict[bytes, int] = {}
    while place + _HEAD <= size:
        file.seek(place)
        head = file.read(_HEAD)
        if head[:4] != b"OggS":
            damage = place if damage is None else damage
            found = _next_page(file, place)
            if found is None:
                break
            place = found
            continue
        serial, number = head[14:18], int.from_bytes(head[18:22], "little")
        if head[5] & _FIRST:
            streams += 1
        elif number != numbers.get(serial, number - 1) + 1 and damage is None:
            damage = place
        numbers[serial] = number
        ended = bool(head[5] & _LAST)
        place += _HEAD + head[26] + sum(file.read(head[26]))
    return OggPages(streams, ended and place <= size, damage)


def _next_page(file: ReadableFile, place: int) -> int | None:
    """Return the offset of the next page behind a place."""
    file.seek(place + 1)
    place, kept = place + 1, b""
    while block := file.read(65_536):
        found = (kept + block).find(b"OggS")
        if found >= 0:
            return place - len(kept) + found
        place, kept = place + len(block), (kept + block)[-3:]
    return None
