"""Label sets: for each split, every set of labels that occurs, with the number of its clips.

Label counts alone can't balance a multilabel dataset, since repeating the clips of a rare label
also repeats the common labels on them (see `vipann_tf.records.balance`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath

__all__ = ["LABEL_SETS_FILE", "dump_label_sets", "merge_label_sets", "read_label_sets"]

LABEL_SETS_FILE = "label_sets.json"

LabelSets = Mapping[tuple[int, ...], int]


def merge_label_sets(parts: Iterable[Iterable[tuple[list[int], int]]]) -> LabelSets:
    """Add up pairs of (label indices, number of clips)."""
    total: Counter[tuple[int, ...]] = Counter()
    for part in parts:
        for labels, count in part:
            total[tuple(labels)] += count
    return total


def dump_label_sets(splits: Mapping[str, LabelSets]) -> bytes:
    """Return the file's content: one sorted line per split, so that equal data give equal bytes."""
    lines = (
        f"{json.dumps(split)}: {json.dumps(sorted(sets.items()))}" for split, sets in splits.items()
    )
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def read_label_sets(directory: StrPath, splits: Iterable[str]) -> LabelSets:
    """Read the label sets of some splits of a multilabel dataset directory, and add them up."""
    content = json.loads(storage.read_bytes(storage.join(directory, LABEL_SETS_FILE)))
    return merge_label_sets(content[split] for split in splits)
