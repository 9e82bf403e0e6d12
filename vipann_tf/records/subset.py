"""Choose a share of a dataset's clips, label by label, to train on fewer clips.

Clips are put in an order that depends on the seed and their ids alone, and the first clips of each
stratum are taken. So a smaller share is part of a larger one of the same seed, and the choice does
not depend on the shards. A clip's stratum is its rarest label (its only one in
multiclass data); clips without labels are one stratum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from vipann_tf.files.paths import StrPath
from vipann_tf.records.reading import OnCorrupt, ShardReader, damage_as_user_error, open_shards
from vipann_tf.records.schema import CLIP_ID, LABELS

__all__ = ["choose", "choose_clips", "keep_only"]


def choose(
    directory: StrPath,
    splits: Sequence[str],
    fraction: float,
    seed: int,
    on_corrupt: OnCorrupt = "stop",
) -> list[bytes]:
    """Choose a share of the clips of some splits of a dataset directory; it reads all of them.

    Args:
      directory: A dataset directory.
      splits: Names of the splits, which are taken together.
      fraction: Share to choose, above 0 and up to 1.
      seed: Seed of the choice.
      on_corrupt: Whether to stop at a damaged record or to leave it out.

    Returns:
      Clip ids as they are stored, sorted.

    Raises:
      UserError: The directory or a split is wrong, or a record is damaged.
    """
    _, shards = open_shards(directory, splits, on_corrupt)
    read = ShardReader(shards, cache=False, on_corrupt=on_corrupt)
    features = {
        CLIP_ID: tf.io.FixedLenFeature([], tf.string),
        LABELS: tf.io.RaggedFeature(tf.int64),
    }
    clips = []
    with damage_as_user_error():
        for record in tf.data.Dataset.range(len(shards)).flat_map(read):
            parsed = tf.io.parse_single_example(record, features)
            clips.append((parsed[CLIP_ID].numpy(), tuple(parsed[LABELS].numpy().tolist())))
    return choose_clips(clips, fraction, seed)


def choose_clips(
    clips: Iterable[tuple[bytes, Sequence[int]]], fraction: float, seed: int
) -> list[bytes]:
    """Choose a share of the clips of each stratum, rounded, but at least one.

    Args:
      clips: Pairs of clip id and label indices.
      fraction: Share to choose, above 0 and up to 1.
      seed: Seed of the choice.

    Returns:
      Clip ids, sorted.
    """
    clips = list(clips)
    counts: dict[int, int] = {}
    for _, labels in clips:
        for label in labels:
            counts[label] = counts.get(label, 0) + 1
    strata: dict[int | None, list[bytes]] = {}
    for clip_id, labels in clips:
        rarest = min(labels, key=lambda label: (counts[label], label), default=None)
        strata.setdefault(rarest, []).append(clip_id)
    chosen = []
    for members in strata.values():
        # Halves are rounded up; Python's `round` would round them to even.
        wanted = max(1, int(fraction * len(members) + 0.5))
        chosen += sorted(members, key=lambda clip_id: _order(clip_id, seed))[:wanted]
    return sorted(chosen)


def keep_only(chosen: Sequence[bytes]) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Return a filter of serialised records that keeps those of the chosen clip ids, in order.

    Make it outside of `tf.data` functions, which can't make a table.
    """
    keys = tf.constant(list(chosen))
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, tf.ones([len(chosen)], tf.int32)), 0
    )

    def is_chosen(record: tf.Tensor) -> tf.Tensor:
        clip_id = tf.io.parse_single_example(
            record, {CLIP_ID: tf.io.FixedLenFeature([], tf.string)}
        )[CLIP_ID]
        return table.lookup(clip_id) > 0

    return lambda records: records.filter(is_chosen)


def _order(clip_id: bytes, seed: int) -> bytes:
    return hashlib.sha256(b"%d:%s" % (seed, clip_id)).digest()
