"""Read serialised records from shard files: streamed or cached, and despite damage.

A damaged record stops the reading with an error that names the shard and the offset, or is skipped.
TensorFlow's reader can do neither: its error has an offset but no file, and the rest of the file is
lost. So a shard that ends before its number of records is filled up with elements that name it and
that no parser accepts. To skip damage, `tfrecord_file.scan` reads the file.
(Counting shard by shard inside the graph halved the speed, as every shard then instantiates its own
functions.)
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.records.schema import DatasetInfo, read_dataset_info, shard_name
from vipann_tf.records.tfrecord_file import scan

__all__ = ["OnCorrupt", "ShardReader", "damage_as_user_error", "find_damage", "open_shards"]

OnCorrupt = Literal["stop", "skip"]

# Remote files are read in large pieces. Local files are read fastest in pieces that stay in the
# processor's cache.
REMOTE_BUFFER_BYTES = 8 * 2**20
LOCAL_BUFFER_BYTES = 256 * 2**10
# This marks a record that could not be read. No protocol buffer begins with a "d" (the end of a
# group that was not begun), so parsing it fails, and the error quotes it.
_DAMAGED = b"damaged:"
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Shard:
    """A shard file, with its clips and bytes from dataset.json."""

    path: str
    clips: int
    size_bytes: int


def open_shards(
    directory: StrPath, splits: Sequence[str], on_corrupt: OnCorrupt = "stop"
) -> tuple[DatasetInfo, list[Shard]]:
    """Find the shard files of some splits.

    Raises:
      UserError: The directory or a split is wrong, a file is missing, or (unless damage is skipped)
        its size is not the one that was written.
    """
    if on_corrupt not in ("stop", "skip"):
        raise UserError(f"on_corrupt is {on_corrupt!r}; use stop or skip")
    info = read_dataset_info(directory)
    shards = []
    for name in info.check_splits(splits):
        split = info.splits[name]
        for index, (clips, size) in enumerate(
            zip(split.shard_clips, split.shard_bytes, strict=True)
        ):
            path = storage.join(directory, shard_name(name, index, split.shards))
            found = storage.size(path)
            if (found is None and size) or (found != size and on_corrupt == "stop"):
                what = "is missing" if found is None else f"has {found} bytes"
                raise UserError(
                    f"{path} {what} where dataset.json says {size} bytes; copy or prepare it again"
                )
            if clips:
                shards.append(Shard(path, clips, size))
    return info, shards


class ShardReader:
    """A function from a shard number to a dataset of its serialised records, string [].

    Args:
      shards: The files.
      cache: Whether to keep all records in memory.
      on_corrupt: Whether to stop at a damaged record or to skip it.
      on_damage: Called once with path and offset of each record skipped; `None` logs a warning.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        *,
        cache: bool,
        on_corrupt: OnCorrupt,
        on_damage: Callable[[str, int], None] | None = None,
    ):
        self._shards = list(shards)
        self._on_damage = on_damage or _warn
        self._reported: set[tuple[str, int]] = set()
        remote = any(storage.is_remote(shard.path) for shard in shards)
        self._buffer_bytes = REMOTE_BUFFER_BYTES if remote else LOCAL_BUFFER_BYTES
        self._paths = tf.constant([shard.path for shard in shards])
        self._clips = tf.constant([shard.clips for shard in shards], tf.int64)
        self._read = self._read_strictly if on_corrupt == "stop" else self._read_leniently
        if cache:
            self._load()

    def __call__(self, number: tf.Tensor) -> tf.data.Dataset:
        """Return the records of one shard; `number` is an integer []."""
        return self._read(number)

    def _load(self) -> None:
        shards = [list(self._read(tf.constant(n))) for n in range(len(self._shards))]
        for shard, records in zip(self._shards, shards, strict=True):
            if records and records[-1].numpy().startswith(_DAMAGED):
                raise UserError(_describe(shard.path))
        ends = np.cumsum([len(records) for records in shards])
        starts = np.concatenate([[0], ends[:-1]])
        held = tf.stack([record for records in shards for record in records])
        starts, ends = tf.constant(starts, tf.int64), tf.constant(ends, tf.int64)

        def read_cached(number: tf.Tensor) -> tf.data.Dataset:
            indices = tf.data.Dataset.range(starts[number], ends[number])
            return indices.map(lambda index: held[index])

        self._read = read_cached

    def _read_strictly(self, number: tf.Tensor) -> tf.data.Dataset:
        path, clips = self._paths[number], self._clips[number]
        records = tf.data.TFRecordDataset(path, buffer_size=self._buffer_bytes).ignore_errors()
        stand_in = tf.data.Dataset.from_tensors(tf.strings.join([_DAMAGED, path])).repeat()
        return records.concatenate(stand_in).take(clips)

    def _read_leniently(self, number: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.from_generator(
            self._sound_records,
            output_signature=tf.TensorSpec([], tf.string),
            args=(number,),
        )

    def _sound_records(self, number: int) -> Iterator[bytes]:
        shard = self._shards[int(number)]
        found = 0
        with storage.open_read(shard.path) as file:
            for offset, record in scan(file):
                found += 1
                if record is not None:
                    yield record
                else:
                    self._report(shard.path, offset)
        if found < shard.clips:  # the file ends early, or nothing can be read after the damage
            self._report(shard.path, storage.size(shard.path) or 0)

    def _report(self, path: str, offset: int) -> None:
        if (path, offset) not in self._reported:
            self._reported.add((path, offset))
            self._on_damage(path, offset)


@contextlib.contextmanager
def damage_as_user_error() -> Iterator[None]:
    """Turn the error of a damaged record into one that names its shard and offset.

    Put it around the code that takes batches.

    Raises:
      UserError: It names shard and offset.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        match = re.search(r"damaged:(?P<path>.*?\.tfrecord)", error.message)
        if match is None:
            raise
        raise UserError(_describe(match["path"])) from error


def find_damage(path: str) -> list[int]:
    """Read all of one shard, and return the offsets of its damaged records."""
    with storage.open_read(path) as file:
        return [offset for offset, record in scan(file) if record is None]


def _describe(path: str) -> str:
    damage = find_damage(path)
    where = f"the record at byte {damage[0]}" if damage else "its end"
    return (
        f"{path}: {where} is damaged; copy or prepare it again, or skip the damage with"
        " data.on_corrupt=skip"
    )


def _warn(path: str, offset: int) -> None:
    _log.warning("%s: skipped a damaged record at byte %d", path, offset)
