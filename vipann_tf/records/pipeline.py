"""Dataset directories to `tf.data` batches.

The training stream is a pure function of (seed, position): every random choice is keyed by the
seed, the epoch and the place in it, and every stage keeps its order. Stop anywhere, start again at
the position that the last batch carried, and the same batches come.

Records are batched serialised and parsed a batch at a time: the waveforms are then copied once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.records import storage
from vipann_tf.records.schema import LABELS, DatasetInfo, parse_batch, read_info, shard_name

__all__ = ["EPOCH", "INDEX", "evaluation_batches", "training_batches"]

# Keys that a training batch has beside those of a record.
EPOCH = "epoch"
INDEX = "index"

# The shuffle buffer holds serialised records; shards are random samples already (see plan.py).
SHUFFLE_BUFFER_BYTES = 256 * 2**20
# Small sets are kept in memory, read once.
CACHE_BYTES = 512 * 2**20
READ_SHARDS_AT_ONCE = 8
READ_BUFFER_BYTES = 4 * 2**20
# Keys that keep random streams apart.
_SHARD_KEY, _RECORD_KEY, _BALANCE_KEY = 1, 2, 3
_LAST_EPOCH = 2**31


def training_batches(
    directory: str | os.PathLike,
    splits: Sequence[str],
    *,
    batch_size: int,
    seed: int,
    position: tuple[int, int] = (0, 0),
    shuffle_buffer: int | None = None,
    balance: bool = False,
    cache: bool | None = None,
) -> tf.data.Dataset:
    """An endless stream of shuffled batches over epochs.

    Epochs follow each other without a gap, so a batch may hold the end of one and the beginning of
    the next, and a set smaller than a batch works.

    Args:
      directory: A dataset directory.
      splits: Names of the splits to read.
      batch_size: Clips a batch, over all replicas.
      seed: Keys the order.
      position: (epoch, index) of the first clip: index counts the clips of that epoch. A training
        that has seen a batch resumes one past the batch's last `epoch` and `index`.
      shuffle_buffer: Records to shuffle among; `None` takes as many as fit 256 MiB.
      balance: Repeat and drop clips at random so that labels come about equally often.
      cache: Keep the serialised records in memory; `None` does so up to 512 MiB. It does not
        change the order.

    Returns:
      Dataset of dicts: `waveform` float32 [batch, samples] in [-1, 1), `labels` float32
      [batch, labels] multi-hot, `clip_id` string [batch], `epoch` int64 [batch], `index` int64
      [batch]. Sharding over workers is off: distribute it, and each replica gets its part.

    Raises:
      UserError: Where the directory, a split or an argument is wrong.
    """
    info, shards = _open(directory, splits, batch_size)
    epoch, start = position
    if not 0 <= epoch < _LAST_EPOCH or start < 0:
        raise UserError(f"position is {tuple(position)}; both numbers must be 0 or more")
    if shuffle_buffer is not None and shuffle_buffer < 1:
        raise UserError(f"shuffle_buffer is {shuffle_buffer}; use 1 (no shuffling) or more")
    total = info.count(splits)
    if shuffle_buffer is None:
        shuffle_buffer = max(1, min(total, SHUFFLE_BUFFER_BYTES // (2 * info.samples)))
    if cache is None:
        cache = sum(shard.bytes for shard in shards) <= CACHE_BYTES
    read = _CachedShards(shards) if cache else _StreamedShards(shards)
    factors = repeat_factors(_label_counts(info, splits)) if balance else None

    def epoch_records(current):
        current = tf.cast(current, tf.int64)
        order = _shuffled_range(len(shards), _key(seed, current, _SHARD_KEY))
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            read,
            cycle_length=READ_SHARDS_AT_ONCE,
            block_length=1,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        if factors is not None:
            records = _balanced(records, factors, _key(seed, current, _BALANCE_KEY))
        if shuffle_buffer > 1:
            # tf.data mixes the seed of the function being traced into its own; fixing that one
            # keeps the order independent of tf.random.set_seed. (0 would have it compare the
            # tensor seed with 0 in Python, which a graph can't.)
            tf.compat.v1.set_random_seed(1)
            shuffle_key = tf.cast(_key(seed, current, _RECORD_KEY)[0], tf.int64)
            records = records.shuffle(
                shuffle_buffer, seed=shuffle_key, reshuffle_each_iteration=False
            )
        records = records.enumerate()
        first = tf.where(current == epoch, tf.constant(start, tf.int64), tf.constant(0, tf.int64))
        return records.skip(first).map(lambda index, record: (record, current, index))

    def parse(records, epochs, indices):
        batch = parse_batch(records, info.samples, len(info.labels))
        return {**batch, EPOCH: epochs, INDEX: indices}

    stream = tf.data.Dataset.range(epoch, _LAST_EPOCH).flat_map(epoch_records)
    stream = stream.batch(batch_size, drop_remainder=True)
    return _finished(stream.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True))


def evaluation_batches(
    directory: str | os.PathLike, splits: Sequence[str], batch_size: int
) -> tf.data.Dataset:
    """Every clip of the splits once, in the order of the shards; the last batch may be smaller.

    Args:
      directory: A dataset directory.
      splits: Names of the splits to read.
      batch_size: Clips a batch.

    Returns:
      Dataset of dicts as `training_batches` gives, without `epoch` and `index`.

    Raises:
      UserError: Where the directory, a split or an argument is wrong.
    """
    info, shards = _open(directory, splits, batch_size)
    records = tf.data.TFRecordDataset(
        [shard.path for shard in shards], buffer_size=READ_BUFFER_BYTES
    )

    def parse(batch):
        return parse_batch(batch, info.samples, len(info.labels))

    batches = records.batch(batch_size)
    return _finished(batches.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True))


class _Shard:
    """A shard file and what dataset.json says of it."""

    def __init__(self, path: str, clips: int, size: int):
        self.path = path
        self.clips = clips
        self.bytes = size


def _open(directory, splits, batch_size: int) -> tuple[DatasetInfo, list[_Shard]]:
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}; use 1 or more")
    info = read_info(directory)
    shards = []
    for name in info.check_splits(splits):
        split = info.splits[name]
        for index, (clips, size) in enumerate(zip(split.shard_clips, split.shard_bytes)):
            path = storage.join(directory, shard_name(name, index, split.shards))
            _check_size(path, size)
            shards.append(_Shard(path, clips, size))
    return info, shards


def _check_size(path: str, expected: int) -> None:
    """A copy that stopped early is noticed before the training, not in its third hour."""
    found = storage.size(path)
    if found != expected:
        what = "is missing" if found is None else f"has {found} bytes"
        raise UserError(
            f"{path} {what} where dataset.json says {expected} bytes; copy or prepare it again"
        )


class _StreamedShards:
    """Shard number -> its records, read from the file."""

    def __init__(self, shards: list[_Shard]):
        self._paths = tf.constant([shard.path for shard in shards])

    def __call__(self, number):
        return tf.data.TFRecordDataset(self._paths[number], buffer_size=READ_BUFFER_BYTES)


class _CachedShards:
    """Shard number -> its records, from memory."""

    def __init__(self, shards: list[_Shard]):
        paths = [shard.path for shard in shards]
        records = list(tf.data.TFRecordDataset(paths, buffer_size=READ_BUFFER_BYTES))
        ends = np.cumsum([shard.clips for shard in shards])
        self._records = tf.stack(records)
        self._ends = tf.constant(ends, tf.int64)
        self._starts = tf.constant(ends - [shard.clips for shard in shards], tf.int64)

    def __call__(self, number):
        places = tf.data.Dataset.range(self._starts[number], self._ends[number])
        return places.map(lambda place: self._records[place])


def _key(seed: int, epoch, purpose: int):
    """int32 [2] of well-mixed bits: the key of one random stream of one epoch."""
    words = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF]
    base = tf.constant([np.uint32(word).view(np.int32) for word in words], tf.int32)
    keyed = tf.random.experimental.stateless_fold_in(base, epoch)
    return tf.random.experimental.stateless_fold_in(keyed, purpose)


def _shuffled_range(count: int, key):
    """int64 [count]: 0 ... count - 1 in random order."""
    return tf.argsort(tf.random.stateless_uniform([count], key))


def _label_counts(info: DatasetInfo, splits) -> np.ndarray:
    return np.sum([info.splits[name].label_counts for name in info.check_splits(splits)], axis=0)


def repeat_factors(label_counts: np.ndarray) -> np.ndarray:
    """How often a clip comes for each of its labels: float32 [labels], inverse to their counts."""
    counts = np.maximum(np.asarray(label_counts, np.float64), 1)
    present = np.asarray(label_counts) > 0
    factors = np.where(present, counts[present].mean() / counts, 0) if present.any() else counts * 0
    return factors.astype(np.float32)


def _balanced(records, factors: np.ndarray, key):
    """Repeats each record as often as its rarest label asks; a fraction is a chance."""
    weights = tf.constant(factors)

    def copies(index, record):
        labels = tf.io.parse_single_example(record, {LABELS: tf.io.RaggedFeature(tf.int64)})[LABELS]
        # A clip without labels counts as the commonest.
        factor = tf.reduce_max(tf.concat([tf.gather(weights, labels), [tf.reduce_min(weights)]], 0))
        draw = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(key, index))
        count = tf.cast(tf.floor(factor + draw), tf.int64)
        return tf.data.Dataset.from_tensors(record).repeat(count)

    return records.enumerate().flat_map(copies)


def _finished(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options).prefetch(2)
