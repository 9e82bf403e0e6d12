"""The pages of an Ogg file: whether it is one stream, undamaged, and whether it has its end.

libsndfile reads the first of several streams that lie one behind the other, repeats what lies
before damage, and takes the last page that there is for the end.
"""

from __future__ import annotations

import dataclasses
import zlib

from vipann_tf.files.storage import ReadableFile

__all__ = ["OggPages", "read_ogg_pages"]

_HEAD = 27  # bytes of a page before its table of segments
_FIRST, _LAST = 2, 4  # flags of a page
# Each byte with its bits in the other order.
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclasses.dataclass(frozen=True)
class OggPages:
    """What the pages tell.

    Attributes:
      streams: Number of streams that begin, at the front or later.
      ended: Whether the last page is marked as its stream's end.
      damage: Offset of the first page that is missing or has another checksum, or of the first
        bytes that are no page; `None` if there are none.
    """

    streams: int
    ended: bool
    damage: int | None

    @property
    def whole(self) -> bool:
        """Whether it is one stream without damage, which may lack its end."""
        return self.streams <= 1 and self.damage is None

    @property
    def findings(self) -> list[tuple[str, str]]:
        """Kind and detail of what the user should know."""
        found = []
        if self.damage is not None:
            detail = f"bytes are missing or overwritten from byte {self.damage} on"
            found.append(("damaged", detail))
        if not self.ended:
            detail = "its last page is not marked as the end of the stream; it may have been longer"
            found.append(("truncated", detail))
        return found


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
        table = file.read(head[26])
        page = head + table + file.read(sum(table))
        if len(table) < head[26] or len(page) < _HEAD + head[26] + sum(table):
            ended = False  # the last page is cut
            break
        if _checksum(page) != head[22:26] and damage is None:
            damage = place
        place += len(page)
    return OggPages(streams, ended, damage)


def _checksum(page: bytes) -> bytes:
    """Return the checksum of a page (RFC 3533, section 6).

    It is the CRC-32 of `zlib` with all bits in the other order, and without its inversions.
    """
    blank = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return mirrored.to_bytes(4, "big").translate(_MIRRORED)


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
