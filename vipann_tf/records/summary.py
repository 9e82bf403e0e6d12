"""The summary of a preparation: dataset.json, rejected.csv, notices.csv, label_sets.json."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from vipann_tf.datasets.base import Rejection, Source
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import Notice
from vipann_tf.records.label_sets import LABEL_SETS_FILE, dump_label_sets, merge_label_sets
from vipann_tf.records.plan import Plan
from vipann_tf.records.schema import (
    INFO_FILE,
    NOTICES_FILE,
    REJECTED_FILE,
    DatasetInfo,
    SplitInfo,
)
from vipann_tf.records.shards import ShardResult

__all__ = ["none_usable", "read_notices", "summarize", "table_csv", "write_summary"]


def summarize(
    plan: Plan,
    time_expansion: float,
    results: Sequence[ShardResult],
    rejected: Sequence[Rejection],
    notices: Sequence[Notice],
) -> DatasetInfo:
    """Return the content of dataset.json, without splits that hold no record."""
    splits = _by_split(results)
    return DatasetInfo(
        name=plan.source.name,
        task=plan.source.task,
        labels=list(plan.source.labels),
        sample_rate_hz=plan.sample_rate_hz,
        clip_seconds=plan.seconds,
        time_expansion=time_expansion,
        splits={split: _split_info(shards) for split, shards in splits.items()},
        rejected=dict(sorted(Counter(row.reason for row in rejected).items())),
        notices=dict(sorted(Counter(notice.kind for notice in notices).items())),
    )


def write_summary(
    directory: str,
    info: DatasetInfo,
    results: Sequence[ShardResult],
    rejected: Iterable[Rejection],
    notices: Iterable[Notice],
) -> None:
    """Write all files of a dataset directory but the shards, dataset.json last."""
    with storage.open_write(storage.join(directory, REJECTED_FILE)) as file:
        file.write(table_csv(Rejection, rejected))
    with storage.open_write(storage.join(directory, NOTICES_FILE)) as file:
        file.write(table_csv(Notice, notices))
    if info.task == "multilabel":
        sets = {
            split: merge_label_sets(shard.label_sets for shard in shards)
            for split, shards in _by_split(results).items()
        }
        with storage.open_write(storage.join(directory, LABEL_SETS_FILE)) as file:
            file.write(dump_label_sets(sets))
    with storage.open_write(storage.join(directory, INFO_FILE)) as file:
        file.write(info.model_dump_json(indent=1).encode() + b"\n")


def read_notices(directory: StrPath) -> list[Notice]:
    """Read the notices of a dataset directory; older directories have none."""
    try:
        text = storage.read_bytes(storage.join(directory, NOTICES_FILE)).decode()
    except FileNotFoundError:
        return []
    return [Notice(**row) for row in csv.DictReader(io.StringIO(text))]


def none_usable(source: Source, rejected: Sequence[Rejection]) -> str:
    """Return the message for a source that gives no record."""
    if not rejected:
        return f"dataset {source.name} lists no clips; check the source directory"
    reasons = Counter(row.reason for row in rejected)
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    first = rejected[0]
    return (
        f"none of {len(rejected)} clips of dataset {source.name} is usable ({counts}), for example"
        f" {first.path}: {first.reason} {first.detail}".rstrip()
    )


def _by_split(results: Sequence[ShardResult]) -> dict[str, list[ShardResult]]:
    splits: dict[str, list[ShardResult]] = {}
    for result in results:
        splits.setdefault(result.split, []).append(result)
    return {
        split: shards for split, shards in splits.items() if any(shard.clips for shard in shards)
    }


def _split_info(shards: Sequence[ShardResult]) -> SplitInfo:
    digests = "".join(shard.digest for shard in shards)
    return SplitInfo(
        clips=sum(shard.clips for shard in shards),
        shards=len(shards),
        label_counts=[
            sum(counts) for counts in zip(*(shard.label_counts for shard in shards), strict=True)
        ],
        shard_clips=[shard.clips for shard in shards],
        shard_bytes=[shard.size_bytes for shard in shards],
        silent=sum(shard.silent for shard in shards),
        clipped=sum(shard.clipped for shard in shards),
        digest=hashlib.blake2b(digests.encode(), digest_size=16).hexdigest(),
    )


def table_csv(kind: type[Any], rows: Iterable[Any]) -> bytes:
    """Return rows of a dataclass as a CSV file, sorted, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(kind)])
    for row in sorted(rows, key=dataclasses.astuple):
        writer.writerow(dataclasses.astuple(row))
    # File names need not be valid UTF-8.
    return text.getvalue().encode("utf-8", "backslashreplace")
