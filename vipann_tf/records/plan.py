"""The plan of a preparation: which clip goes into which shard, before anything is decoded.

The plan depends on the source alone and never on workers, so shards are reproducible.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter

from vipann_tf.datasets.base import Clip, Rejection, Source, check_split
from vipann_tf.datasets.groups import group_names
from vipann_tf.errors import UserError
from vipann_tf.records.schema import clip_samples, encode_id, shard_name
from vipann_tf.records.tfrecord_file import OVERHEAD_BYTES

__all__ = ["Plan", "ShardPlan", "plan_shards"]

MIN_SECONDS = 0.1
MAX_SECONDS = 600.0
# Large enough to stream well from a bucket, small enough to spread two million clips over workers.
TARGET_SHARD_BYTES = 256 * 2**20
# A small split also gets several shards, so that several readers (and workers) can share it.
MIN_SHARDS = 8
MAX_SHARDS = 99_999
# tf.train.Example's own bytes beside waveform and clip id, roughly.
_EXAMPLE_BYTES = 60


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """One output file and its clips, in the order they are written.

    The group of a clip is that of its record: `datasets.groups.group_names`.
    """

    name: str
    split: str
    clips: tuple[Clip, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What will be written.

    Attributes:
      source: The listed dataset.
      seconds: Clip length.
      sample_rate_hz: Sample rate.
      shards: The output files, split by split.
      rejected: Clips that are rejected before decoding, including those found while listing.
    """

    source: Source
    seconds: float
    sample_rate_hz: int
    shards: tuple[ShardPlan, ...]
    rejected: tuple[Rejection, ...]

    @property
    def clips(self) -> int:
        """Number of clips to decode."""
        return sum(len(shard.clips) for shard in self.shards)

    @property
    def inputs(self) -> int:
        """Number of items in the source: clips to decode and those already rejected."""
        return self.clips + len(self.rejected)

    @property
    def hours(self) -> float:
        """Length of all records if every clip decodes, in hours."""
        return self.clips * self.seconds / 3600

    @property
    def size_bytes(self) -> int:
        """Size of all records if every clip decodes, to within 1 %."""
        fixed = (
            2 * clip_samples(self.seconds, self.sample_rate_hz) + OVERHEAD_BYTES + _EXAMPLE_BYTES
        )
        return sum(fixed + len(clip.clip_id) for shard in self.shards for clip in shard.clips)

    @property
    def splits(self) -> dict[str, int]:
        """Number of clips in each split."""
        counts: Counter[str] = Counter()
        for shard in self.shards:
            counts[shard.split] += len(shard.clips)
        return dict(counts)

    @property
    def label_counts(self) -> dict[str, int]:
        """Number of clips that carry each label, in label order."""
        counts = Counter(
            label for shard in self.shards for clip in shard.clips for label in clip.labels
        )
        return {label: counts[label] for label in self.source.labels}


def plan_shards(
    source: Source,
    *,
    seconds: float | None = None,
    sample_rate_hz: int = 32_000,
    shards: int | None = None,
) -> Plan:
    """Check a source's clips and assign them to shards.

    Within a split, clips are ordered by a hash of their id and assigned to the shards in turn. A
    shard is then a random sample of the split, so that a small shuffle buffer also mixes classes.

    Args:
      source: The listed dataset.
      seconds: Clip length; `None` takes the source's own.
      sample_rate_hz: Sample rate of the records.
      shards: Shard files per split; `None` chooses by size. A split has at most one per clip.

    Raises:
      UserError: An argument is out of range or the source has no clips.
    """
    seconds = source.clip_seconds if seconds is None else seconds
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise UserError(f"seconds is {seconds}; use a length from {MIN_SECONDS} to {MAX_SECONDS:g}")
    if not 1_000 <= sample_rate_hz <= 192_000:
        raise UserError(
            f"sample_rate_hz is {sample_rate_hz}; use a sample rate from 1000 to 192000"
        )
    if shards is not None and not 1 <= shards <= MAX_SHARDS:
        raise UserError(f"shards is {shards}; use 1 to {MAX_SHARDS}")
    accepted, rejected = _check_clips(source)
    clip_bytes = 2 * clip_samples(seconds, sample_rate_hz)
    planned = []
    for split, clips in accepted.items():
        clips.sort(key=lambda clip: (_order(clip.clip_id), clip.clip_id))
        by_size = max(MIN_SHARDS, math.ceil(len(clips) * clip_bytes / TARGET_SHARD_BYTES))
        count = min(len(clips), MAX_SHARDS, by_size if shards is None else shards)
        planned += [
            ShardPlan(shard_name(split, index, count), split, tuple(clips[index::count]))
            for index in range(count)
        ]
    return Plan(source, seconds, sample_rate_hz, tuple(planned), tuple(rejected))


def _check_clips(source: Source) -> tuple[dict[str, list[Clip]], list[Rejection]]:
    """Sort clips by split; reject those that contradict the source's own description."""
    rejected = list(source.rejected)
    accepted: dict[str, list[Clip]] = {}
    known = set(source.labels)
    seen: set[str] = set()
    kept: list[Clip] = []
    for clip in source.clips:
        fault = _fault(source, clip, known, seen)
        if fault is not None:
            rejected.append(Rejection(clip.path, clip.clip_id, *fault))
            continue
        seen.add(clip.clip_id)
        kept.append(clip)
    groups = group_names(kept, by_file=source.decode is None)
    for clip, group in zip(kept, groups, strict=True):
        if clip.split not in accepted:
            check_split(clip.split, f"dataset {source.name}")
            accepted[clip.split] = []
        accepted[clip.split].append(dataclasses.replace(clip, group=group))
    return dict(sorted(accepted.items())), rejected


def _fault(source: Source, clip: Clip, known: set[str], seen: set[str]) -> tuple[str, str] | None:
    if clip.clip_id in seen:
        return "duplicate-id", "an earlier clip has this id"
    unknown = [label for label in clip.labels if label not in known]
    if unknown:
        return "unknown-label", f"{unknown[0]!r} is not in the label list"
    if source.task == "multiclass" and len(clip.labels) != 1:
        return "label-count", f"{len(clip.labels)} labels where the task needs exactly one"
    return None


def _order(clip_id: str) -> bytes:
    return hashlib.blake2b(encode_id(clip_id), digest_size=8).digest()
