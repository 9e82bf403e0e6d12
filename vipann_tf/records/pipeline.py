"""Read dataset directories as `tf.data` batches.

The training stream depends only on (seed, position): every random choice is keyed by the seed, the
epoch and the index in it, and every stage keeps its order. A stream that starts again after the
position of the last batch continues with the same batches.

Records are parsed one by one, then batched. (Parsing whole batches took twice the processor time,
as their buffers leave the cache between operations.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.records.balance import balanced, log_factors
from vipann_tf.records.label_sets import read_label_sets
from vipann_tf.records.reading import OnCorrupt, ShardReader, open_shards
from vipann_tf.records.schema import DatasetInfo, parse_record
from vipann_tf.records.subset import keep_only

__all__ = ["EPOCH", "INDEX", "evaluation_batches", "training_batches"]

# Keys that a training batch has besides those of a record.
EPOCH = "epoch"
INDEX = "index"

# The shuffle buffer holds serialised records; shards are random samples already (see plan.py).
SHUFFLE_BUFFER_BYTES = 256 * 2**20
# Smaller sets are read once and kept in memory.
CACHE_BYTES = 512 * 2**20
READ_SHARDS_AT_ONCE = 8
# Keys that keep random streams apart.
_SHARD_KEY, _RECORD_KEY, _BALANCE_KEY = 1, 2, 3
_LAST_EPOCH = 2**31


def training_batches(
    directory: StrPath,
    splits: Sequence[str],
    *,
    batch_size: int,
    seed: int,
    position: tuple[int, int] = (0, 0),
    shuffle_buffer: int | None = None,
    balance: bool = False,
    cache: bool | None = None,
    shard: tuple[int, int] = (0, 1),
    only: Sequence[bytes] | None = None,
    waveform: bool = True,
    on_corrupt: OnCorrupt = "stop",
    on_damage: Callable[[str, int], None] | None = None,
) -> tf.data.Dataset:
    """Return an endless stream of shuffled batches over epochs.

    Epochs follow each other without a gap, so a batch may hold the end of one and the beginning of
    the next, and a set smaller than a batch works.

    Args:
      directory: A dataset directory.
      splits: Names of the splits to read.
      batch_size: Clips per batch, over all replicas.
      seed: Seed of the order.
      position: (epoch, index) of the first clip; the index counts the clips of that epoch. After a
        batch, a training resumes one past the batch's last `epoch` and `index`.
      shuffle_buffer: Size of the shuffle buffer in records; `None` takes what fits 256 MiB.
      balance: Whether to repeat and drop clips at random so that labels are about equally frequent.
      cache: Whether to keep the serialised records in memory; `None` does so up to 512 MiB. The
        order does not depend on it.
      shard: (index, count) of this process among those that train together: it gets its part of
        every batch, and decodes no other clip. The batches are the same for any count.
      only: Ids of the clips to take (`subset.choose`), at least one of them in the splits; `None`
        takes all. Balance factors are those of all clips.
      waveform: Whether batches hold waveforms; if not, none is decoded.
      on_corrupt: Whether to stop at a damaged record or to skip it. The error names the
        record if batches are taken inside `reading.damage_as_user_error`.
      on_damage: Called with path and offset of each record skipped; `None` logs a warning.

    Returns:
      Dataset of dicts: `waveform` float32 [batch, samples] in [-1, 1), `labels` float32
      [batch, labels] multi-hot, `clip_id` string [batch], `epoch` int64 [batch], `index` int64
      [batch], with batch = batch_size / count. `tf.distribute` may split it further.

    Raises:
      UserError: The directory, a split or an argument is wrong.
    """
    info, shards = open_shards(directory, splits, on_corrupt)
    _check_batch(batch_size, shard)
    epoch, start = position
    if not 0 <= epoch < _LAST_EPOCH or start < 0:
        raise UserError(f"position is {tuple(position)}; both numbers must be 0 or more")
    if shuffle_buffer is not None and shuffle_buffer < 1:
        raise UserError(f"shuffle_buffer is {shuffle_buffer}; use 1 (no shuffling) or more")
    total = info.count(splits)
    if shuffle_buffer is None:
        shuffle_buffer = max(1, min(total, SHUFFLE_BUFFER_BYTES // (2 * info.samples)))
    if cache is None:
        cache = sum(file.size_bytes for file in shards) <= CACHE_BYTES
    read = ShardReader(shards, cache=cache, on_corrupt=on_corrupt, on_damage=on_damage)
    factors = _balance_factors(directory, info, splits) if balance else None
    keep = keep_only(only) if only is not None else lambda records: records
    remote = storage.is_remote(directory)

    def epoch_records(current: tf.Tensor) -> tf.data.Dataset:
        current = tf.cast(current, tf.int64)
        order = _shuffled_range(len(shards), _key(seed, current, _SHARD_KEY))
        # Reads are parallel if they wait for a network; for local files that costs more than it
        # gains.
        parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True} if remote else {}
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            read, cycle_length=READ_SHARDS_AT_ONCE, block_length=1, **parallel
        )
        records = keep(records)
        if factors is not None:
            records = balanced(records, *factors, _key(seed, current, _BALANCE_KEY))
        if shuffle_buffer > 1:
            # tf.data mixes the seed of the function being traced into its own. Fixing the former
            # makes the order independent of tf.random.set_seed. (With 0, tf.data would compare the
            # tensor seed with 0 in Python, which a graph can't do.)
            tf.compat.v1.set_random_seed(1)
            shuffle_key = tf.cast(_key(seed, current, _RECORD_KEY)[0], tf.int64)
            records = records.shuffle(
                shuffle_buffer, seed=shuffle_key, reshuffle_each_iteration=False
            )
        first = tf.where(current == epoch, tf.constant(start, tf.int64), tf.constant(0, tf.int64))
        indexed = records.enumerate().skip(first)
        return tf.data.Dataset.zip((indexed, tf.data.Dataset.from_tensors(current).repeat()))

    def parse(indexed: tuple[tf.Tensor, tf.Tensor], current: tf.Tensor) -> dict[str, tf.Tensor]:
        index, record = indexed
        clip = parse_record(record, info.samples, len(info.labels), waveform=waveform)
        return {**clip, EPOCH: current, INDEX: index}

    stream = tf.data.Dataset.range(epoch, _LAST_EPOCH).flat_map(epoch_records)
    if shard[1] > 1:
        stream = _part_of_each_batch(stream, batch_size, shard)
    clips = stream.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = clips.batch(batch_size // shard[1], drop_remainder=True)
    return _finished(batches, sharded=shard[1] > 1)


def _part_of_each_batch(
    stream: tf.data.Dataset, batch_size: int, shard: tuple[int, int]
) -> tf.data.Dataset:
    part = batch_size // shard[1]

    def is_ours(index: tf.Tensor, _: object) -> tf.Tensor:
        return tf.equal(index % batch_size // part, shard[0])

    return stream.enumerate().filter(is_ours).map(lambda _, item: item)


def evaluation_batches(
    directory: StrPath,
    splits: Sequence[str],
    batch_size: int,
    *,
    only: Sequence[bytes] | None = None,
    group: bool = False,
    on_corrupt: OnCorrupt = "stop",
    on_damage: Callable[[str, int], None] | None = None,
) -> tf.data.Dataset:
    """Return every clip of the splits once, in shard order; the last batch may be smaller.

    Args:
      directory: A dataset directory.
      splits: Names of the splits to read.
      batch_size: Clips per batch.
      only: As for `training_batches`.
      group: Whether batches have `group` string [batch], too: what a clip shares with others, such
        as its recording, or its own id.
      on_corrupt: As for `training_batches`.
      on_damage: As for `training_batches`.

    Returns:
      Dataset of dicts as `training_batches` gives, without `epoch` and `index`.

    Raises:
      UserError: The directory, a split or an argument is wrong.
    """
    info, shards = open_shards(directory, splits, on_corrupt)
    _check_batch(batch_size, (0, 1))
    read = ShardReader(shards, cache=False, on_corrupt=on_corrupt, on_damage=on_damage)
    records = tf.data.Dataset.range(len(shards)).flat_map(read)
    if only is not None:
        records = keep_only(only)(records)

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        return parse_record(record, info.samples, len(info.labels), group=group)

    clips = records.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = clips.batch(batch_size)
    return _finished(batches, sharded=False)


def _key(seed: int, epoch: tf.Tensor, purpose: int) -> tf.Tensor:
    """Return well-mixed bits, int32 [2]: the key of one random stream of one epoch."""
    words = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF]
    base = tf.constant([np.uint32(word).view(np.int32) for word in words], tf.int32)
    keyed = tf.random.experimental.stateless_fold_in(base, epoch)
    return tf.random.experimental.stateless_fold_in(keyed, purpose)


def _shuffled_range(count: int, key: tf.Tensor) -> tf.Tensor:
    """Return 0 ... count - 1 in random order, int64 [count]."""
    return tf.argsort(tf.random.stateless_uniform([count], key))


def _balance_factors(
    directory: StrPath, info: DatasetInfo, splits: Sequence[str]
) -> tuple[np.ndarray, float]:
    if info.task == "multilabel":
        label_sets = read_label_sets(directory, info.check_splits(splits))
    else:
        counts = np.sum([info.splits[name].label_counts for name in info.check_splits(splits)], 0)
        label_sets = {(label,): int(count) for label, count in enumerate(counts) if count}
    return log_factors(label_sets, len(info.labels))


def _check_batch(batch_size: int, shard: tuple[int, int]) -> None:
    index, count = shard
    if not 0 <= index < count:
        raise UserError(f"shard is {tuple(shard)}; use (index, count) with 0 <= index < count")
    if batch_size < 1 or batch_size % count:
        raise UserError(f"batch_size is {batch_size}; use a multiple of {count}, the shard count")


def _finished(dataset: tf.data.Dataset, *, sharded: bool) -> tf.data.Dataset:
    policy = tf.data.experimental.AutoShardPolicy
    options = tf.data.Options()
    options.deterministic = True
    # Workers must not share out the files, or the order of records would depend on their number.
    options.experimental_distribute.auto_shard_policy = policy.OFF if sharded else policy.DATA
    return dataset.with_options(options).prefetch(2)
