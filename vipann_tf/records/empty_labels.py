"""Labels without a clip: a model can learn nothing about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from vipann_tf.datasets.base import Rejection
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.records.plan import Plan
from vipann_tf.records.schema import DatasetInfo

__all__ = ["check_training_labels", "empty_label_notices", "empty_labels"]

# Labels that a message names; it counts the others.
_NAMED = 5


def empty_label_notices(
    plan: Plan, label_counts: Sequence[int], rejected: Iterable[Rejection]
) -> list[Notice]:
    """Return a notice for each label that no record has.

    Args:
      plan: What was to be written.
      label_counts: Records that carry each label, in label order.
      rejected: What was rejected.
    """
    pairs = zip(plan.source.labels, label_counts, strict=True)
    empty = {label: Counter[str]() for label, count in pairs if not count}
    if not empty:
        return []
    reasons = {row.clip_id: row.reason for row in rejected}
    for shard in plan.shards:
        for clip in shard.clips:
            for label in empty.keys() & set(clip.labels):
                empty[label][reasons.get(clip.clip_id, "")] += 1
    notices = []
    for label, counts in empty.items():
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
        detail = (
            f"label {label!r} has no usable clip ({why or 'none was listed'}); training refuses it,"
            " unless you allow empty labels"
        )
        notices.append(Notice(plan.source.name, "", "empty-label", detail))
    return notices


def empty_labels(info: DatasetInfo, splits: Iterable[str]) -> list[str]:
    """Return the labels that no clip of the splits has, in label order."""
    counts = [info.splits[name].label_counts for name in info.check_splits(splits)]
    pairs = zip(info.labels, zip(*counts, strict=True), strict=True)
    return [label for label, found in pairs if not any(found)]


def check_training_labels(info: DatasetInfo, splits: Iterable[str]) -> None:
    """Raise a `UserError` if a model would have a label that it can't learn.

    A multiclass model shares its certainty among the labels, so each needs a clip to train on. The
    labels of a multilabel model are scored one by one, and rare ones are often missing in a split:
    there, a label needs a clip anywhere.

    Args:
      info: The dataset.
      splits: Names of the splits to train on.
    """
    where = info.check_splits(splits if info.task == "multiclass" else info.splits)
    empty = empty_labels(info, where)
    if empty:
        more = f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
        raise UserError(
            f"dataset {info.name} has no clip for {len(empty)} of {len(info.labels)} labels"
            f" ({', '.join(empty[:_NAMED])}{more}) in {', '.join(where)}; the model would have them"
            " and never answer them: add clips (rejected.csv lists files that could not be used),"
            " prepare without these labels, or train all the same with --allow-empty-labels"
        )
