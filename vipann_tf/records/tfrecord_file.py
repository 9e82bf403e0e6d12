"""TFRecord framing: write a file of records, and find the damage in one.

A record is its length (uint64), the masked CRC-32C of the length, the data, and the masked CRC-32C
of the data, all little-endian
(https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from vipann_tf.files.storage import ReadableFile

__all__ = ["HEADER_BYTES", "OVERHEAD_BYTES", "RecordWriter", "scan"]

HEADER_BYTES = 12
FOOTER_BYTES = 4
OVERHEAD_BYTES = HEADER_BYTES + FOOTER_BYTES

_MASK_DELTA = 0xA282EAD8


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF)


class RecordWriter:
    """A writer of records to an open binary file, which also counts and hashes them.

    Attributes:
      records: Number of records written.
      size_bytes: Number of bytes written.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._digest = hashlib.blake2b(digest_size=16)
        self.records = 0
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append one record."""
        length = struct.pack("<Q", len(data))
        crc = _masked_crc(data)
        self._file.write(length + _masked_crc(length))
        self._file.write(data)
        self._file.write(crc)
        self._digest.update(length + crc)
        self.records += 1
        self.size_bytes += OVERHEAD_BYTES + len(data)

    @property
    def digest(self) -> str:
        """Hash over the length and checksum of every record, in order."""
        return self._digest.hexdigest()


def scan(file: ReadableFile) -> Iterator[tuple[int, bytes | None]]:
    """Yield (offset, data) of every record, data being `None` where the record is damaged.

    A record with a damaged length is the last item, since nothing can be found after it.
    """
    offset = 0
    while header := file.read(HEADER_BYTES):
        if len(header) < HEADER_BYTES or _masked_crc(header[:8]) != header[8:]:
            yield offset, None
            return
        (length,) = struct.unpack("<Q", header[:8])
        data = file.read(length)
        footer = file.read(FOOTER_BYTES)
        whole = len(data) == length and len(footer) == FOOTER_BYTES
        yield offset, data if whole and _masked_crc(data) == footer else None
        offset += OVERHEAD_BYTES + length
