"""The numbers of a comparison: of each model, and its differences from another model.

The difference of two models is resampled on the clips that both answered
(`intervals.paired_differences`): clips that are hard for both cancel, so a difference can be beyond
chance where the two intervals overlap.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.evaluation.intervals import (
    RESAMPLES,
    mean_interval,
    paired_auroc,
    paired_differences,
)
from vipann_tf.evaluation.results import KINDS
from vipann_tf.evaluation.stored_results import StoredResults
from vipann_tf.uncertainty.bootstrap import Interval

__all__ = ["Row", "difference_rows", "number_rows", "paired_rows"]

_UNCERTAINTY = "mean {} (nats)"
_AUROC = "{}: AUROC of {}"


@dataclass(frozen=True)
class Row:
    """A number of a model, or its difference from another model's."""

    dataset: str
    split: str
    model: str
    against: str  # "" for the number itself
    clips: int
    metric: str
    found: Interval


def number_rows(results: Sequence[StoredResults], names: Sequence[str]) -> list[Row]:
    """Return every number of every model, with the intervals of metrics.json."""
    rows = []
    for result, name in zip(results, names, strict=True):
        summary = result.summary
        found = dict(summary["metrics"])
        found.update({_UNCERTAINTY.format(k): summary["uncertainty"][k] for k in KINDS})
        for outside, document in summary["ood"].items():
            for score, values in document["scores"].items():
                found[_AUROC.format(outside, score)] = values["auroc"]
        if summary.get("prediction_sets"):
            found["coverage of sets"] = summary["prediction_sets"]["coverage"]
        intervals = {metric: Interval(**values) for metric, values in found.items()}
        rows += _rows(result, name, "", summary["clips"], intervals)
    return rows


def difference_rows(
    results: Sequence[StoredResults], names: Sequence[str], resamples: int
) -> Iterator[list[Row]]:
    """Yield the differences of each result from the first one on the same dataset and split.

    They are empty for that first one.

    Args:
      results: Results of one or more models and datasets.
      names: Name of the model of each.
      resamples: Number of resamples of the intervals.

    Raises:
      UserError: If two results of one dataset and split differ in labels or truth, or share no
        clip.
    """
    first: dict[tuple[str, str], int] = {}
    for i, result in enumerate(results):
        base = first.setdefault(result.place, i)
        if base == i:
            yield []
            continue
        pair = (result, results[base], names[i], names[base], resamples)
        yield paired_rows(*pair) + _unfamiliar_rows(*pair)


def paired_rows(
    result: StoredResults,
    base: StoredResults,
    name: str,
    against: str,
    resamples: int = RESAMPLES,
) -> list[Row]:
    """Return the differences of one model from another on the clips that both answered.

    Args:
      result: Results of the model, perhaps of several folds (`stored_results.pooled`).
      base: Results of the reference model.
      name: Name of the model.
      against: Name of the reference model.
      resamples: Number of resamples of the intervals.

    Raises:
      UserError: If they differ in labels or truth, or share no clip.
    """
    mine, theirs = _common_clips(result, base)
    groups = None
    # One may be from before records had groups.
    for known, places in ((result.groups, mine), (base.groups, theirs)):
        if groups is None and known is not None:
            groups = np.array(known)[places]
    found = paired_differences(
        result.probs[mine],
        base.probs[theirs],
        result.truth[mine],
        result.summary["task"],
        resamples=resamples,
        groups=groups,
    )
    ours, others = result.uncertainty[result.place[1]], base.uncertainty[base.place[1]]
    for kind in KINDS:
        gap = ours[kind][mine] - others[kind][theirs]
        found[_UNCERTAINTY.format(kind)] = mean_interval(gap, resamples=resamples, groups=groups)
    return _rows(result, name, against, len(mine), found)


def _unfamiliar_rows(
    result: StoredResults, base: StoredResults, name: str, against: str, resamples: int
) -> list[Row]:
    """Return the differences in distinguishing out-of-distribution clips, on the common sets."""
    found = {}
    mine, theirs = _common(result.clip_ids, base.clip_ids)
    familiar = [result.group_ids[i] for i in mine]
    for outside in (x for x in result.outside_ids if x in base.outside_ids):
        ids = result.outside_ids[outside]
        my_others, their_others = _common(ids, base.outside_ids[outside])
        if not my_others:
            continue
        unfamiliar = [result.outside_groups[outside][i] for i in my_others]
        pair = ((result, mine, my_others), (base, theirs, their_others))
        for kind in KINDS:
            scores = [
                (
                    one.uncertainty[one.place[1]][kind][inside],
                    one.uncertainty[outside][kind][others],
                )
                for one, inside, others in pair
            ]
            found[_AUROC.format(outside, kind)] = paired_auroc(
                [scores], [familiar], [unfamiliar], resamples=resamples
            )
    return _rows(result, name, against, len(mine), found)


def _rows(
    result: StoredResults, name: str, against: str, clips: int, found: Mapping[str, Interval]
) -> list[Row]:
    """Return one row per metric."""
    dataset, split = result.place
    return [
        Row(dataset, split, name, against, clips, metric, value) for metric, value in found.items()
    ]


def _common_clips(result: StoredResults, base: StoredResults) -> tuple[list[int], list[int]]:
    """Return the indices, in each result, of the clips that both answered.

    Raises:
      UserError: If they differ in labels or truth, or share no clip.
    """
    if any(result.summary[key] != base.summary[key] for key in ("labels", "task")):
        raise UserError(
            f"{result.path} and {base.path} have different labels on {', '.join(result.place)}; "
            "compare models of the same labels"
        )
    mine, theirs = _common(result.clip_ids, base.clip_ids)
    if not mine:
        raise UserError(
            f"{result.path} and {base.path} have no clip in common; evaluate both on one dataset "
            "directory"
        )
    differs = (result.truth[mine] != base.truth[theirs]).any(axis=1)
    if differs.any():
        raise UserError(
            f"{result.path} and {base.path} disagree on the truth of clip "
            f"{result.clip_ids[mine[int(differs.argmax())]]}; evaluate both on one dataset "
            "directory"
        )
    return mine, theirs


def _common(mine: Sequence[str], theirs: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the indices, in each list, of the ids that both have."""
    place = {clip: i for i, clip in enumerate(theirs)}
    common = [i for i, clip in enumerate(mine) if clip in place]
    return common, [place[mine[i]] for i in common]
