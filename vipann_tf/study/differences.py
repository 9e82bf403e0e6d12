"""Paired differences between arms: which is better, on other clips, and in other trainings?"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from vipann_tf.evaluation.comparison_rows import paired_rows
from vipann_tf.evaluation.intervals import RESAMPLES, paired_auroc
from vipann_tf.evaluation.results import KINDS
from vipann_tf.evaluation.stored_results import StoredResults
from vipann_tf.study.arms import Arm, by_fold_and_seed, metric_value
from vipann_tf.study.table import Number, Table
from vipann_tf.uncertainty.bootstrap import Interval
from vipann_tf.uncertainty.confidence_intervals import crossed_interval
from vipann_tf.uncertainty.metric_names import METRIC_NAMES

__all__ = ["difference_table", "ood_difference_table", "pairs", "training_difference_table"]

_SHARED = ("downstream", "mode", "fraction")
_SHOWN = ("accuracy", "map", "nll", "ece", "brier")
_NOTE = (
    "First minus second, on the clips that both answered, each by the model not trained on it, "
    "with 95 % intervals over clips; better and worse only where they exclude 0. Each "
    "row is a separate test: of twenty without a difference, one interval excludes 0. The "
    "intervals do not include the variation between trainings."
)
_TRAININGS_NOTE = (
    "First minus second in the same folds and seeds, the mean over both, with 95 % intervals for "
    "other folds and seeds (Student's t with the degrees of freedom of two variances); better and "
    "worse only where they exclude 0. Of pairs with at least two seeds. A difference in both this "
    "table and that over clips is hardly luck of the clips or of the trainings."
)
_HEADINGS = ["data", "mode", "training clips", "first", "second"]


def pairs(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """List the pairs of arms that are worth comparing.

    Strategies are compared with each other at equal mode, options and share of the clips, and
    options with none, of the same strategy and of det. The second of a pair is the reference.
    """
    found = []
    for second, first in combinations(arms, 2):
        one, other = first.cell, second.cell
        if any(getattr(one, key) != getattr(other, key) for key in _SHARED):
            continue
        by_strategy = one.variant == other.variant and one.strategy != other.strategy
        is_reference = not second.options and other.strategy in (one.strategy, "det")
        by_options = bool(first.options) and is_reference
        by_network = (one.strategy, one.variant) == (other.strategy, other.variant)
        if by_strategy or by_options or by_network:
            found.append((first, second))
    return found


def difference_table(arms: Sequence[Arm], resamples: int = RESAMPLES) -> Table:
    """Tabulate the differences of the metrics of each pair."""
    rows = []
    for first, second in pairs(arms):
        keys = [key for key in first.results if key in second.results]
        if keys:
            found = paired_rows(
                first.pooled(keys), second.pooled(keys), first.name, second.name, resamples
            )
            gaps = {row.metric: row.found for row in found}
            rows.append((first, second, str(found[0].clips), gaps))
    return _metric_table("differences", "Differences", _NOTE, "clips", rows)


def training_difference_table(arms: Sequence[Arm]) -> Table:
    """Tabulate the differences of the metrics of each pair over trainings, of two seeds or more."""
    rows = []
    for first, second in pairs(arms):
        keys = [key for key in first.results if key in second.results]
        found = {
            name: by_fold_and_seed(
                {key: _gap(first.results[key], second.results[key], name) for key in keys}
            )
            for name in _SHOWN
        }
        found = {name: values for name, values in found.items() if values.shape[-1] > 1}
        if found:
            folds, seeds = next(iter(found.values())).shape
            gaps = {name: Interval(*crossed_interval(values)) for name, values in found.items()}
            rows.append((first, second, f"{folds} x {seeds}", gaps))
    title = "Differences between trainings"
    return _metric_table("training_differences", title, _TRAININGS_NOTE, "folds x seeds", rows)


def _metric_table(
    name: str,
    title: str,
    note: str,
    count: str,
    rows: Sequence[tuple[Arm, Arm, str, Mapping[str, Interval]]],
) -> Table:
    """Return a table of pairs, what is counted of each, and its differences by metric."""
    shown = [metric for metric in _SHOWN if any(metric in gaps for *_, gaps in rows)]
    headings = [*_HEADINGS, count, *(METRIC_NAMES[metric].shown for metric in shown)]
    table = Table(name, title, note, headings)
    for first, second, counted, gaps in rows:
        numbers = [
            _with_verdict(gaps.get(metric, Interval(None)), METRIC_NAMES[metric].more_is_better)
            for metric in shown
        ]
        table.rows.append([*_pair_cells(first, second), counted, *numbers])
    return table


def _gap(first: StoredResults, second: StoredResults, name: str) -> float | None:
    values = metric_value(first, name), metric_value(second, name)
    return None if values[0] is None or values[1] is None else values[0] - values[1]


def ood_difference_table(arms: Sequence[Arm], resamples: int = RESAMPLES) -> Table:
    """Tabulate the differences of out-of-distribution AUROCs of each pair, averaged over folds."""
    table = Table(
        "ood_differences",
        "Differences out of distribution",
        "AUROC, averaged over folds; clips of both sets are resampled. " + _NOTE,
        ["set of clips", *_HEADINGS, "clips", *KINDS],
    )
    for first, second in pairs(arms):
        keys = [key for key in first.results if key in second.results]
        if not keys:
            continue
        for name in first.results[keys[0]].outside_ids:
            if all(name in arm.results[key].outside_ids for arm in (first, second) for key in keys):
                table.rows.append(_ood_row(first, second, keys, name, resamples))
    return table


def _ood_row(
    first: Arm,
    second: Arm,
    keys: Sequence[tuple[int, int | None]],
    name: str,
    resamples: int,
) -> list[str | Number]:
    parts = [_common(first.results[key], second.results[key], name) for key in keys]
    numbers = []
    for kind in KINDS:
        found = paired_auroc(
            [
                [
                    (x.uncertainty[x.place[1]][kind][inside], x.uncertainty[name][kind][outside])
                    for x, inside, outside in part
                ]
                for part in parts
            ],
            [np.array(part[0][0].group_ids)[part[0][1]].tolist() for part in parts],
            [np.array(part[0][0].outside_groups[name])[part[0][2]].tolist() for part in parts],
            resamples=resamples,
        )
        numbers.append(_with_verdict(found, more_is_better=True))
    clips = sum(len(part[0][1]) for part in parts)
    return [name, *_pair_cells(first, second), str(clips), *numbers]


def _common(
    first: StoredResults, second: StoredResults, name: str
) -> list[tuple[StoredResults, list[int], list[int]]]:
    """Return each result with the indices of the clips that both results answer.

    The indices are for clips inside and for clips outside, in the order of the first result.
    """
    inside, outside = (
        _common_indices(one, other)
        for one, other in (
            (first.clip_ids, second.clip_ids),
            (first.outside_ids[name], second.outside_ids[name]),
        )
    )
    return [(first, inside[0], outside[0]), (second, inside[1], outside[1])]


def _common_indices(first: Sequence[str], second: Sequence[str]) -> tuple[list[int], list[int]]:
    index = {clip: i for i, clip in enumerate(second)}
    common = [i for i, clip in enumerate(first) if clip in index]
    return common, [index[first[i]] for i in common]


def _pair_cells(first: Arm, second: Arm) -> list[str]:
    cell = first.cell
    share = f"{100 * cell.fraction:g} %"
    return [cell.downstream, cell.mode, share, _label(first, second), _label(second, first)]


def _label(arm: Arm, other: Arm) -> str:
    name = f"{arm.cell.strategy}, {arm.options}" if arm.options else arm.cell.strategy
    same = (arm.cell.strategy, arm.options) == (other.cell.strategy, other.options)
    return f"{name} of {arm.cell.upstream}" if same else name


def _with_verdict(found: Interval, more_is_better: bool) -> Number:
    verdict = ""
    if found.value is not None and found.excludes_zero:
        verdict = "better" if (found.value > 0) == more_is_better else "worse"
    return Number(found, signed=True, verdict=verdict)
