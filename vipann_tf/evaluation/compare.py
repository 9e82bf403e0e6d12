"""Models side by side: every number with its interval, and differences on the same clips.

    compare.csv        a row a number: of a model, or of a model against the first one given
    compare.md         the same as tables
    uncertainty.png    distributions of uncertainty, model by model and set by set

The difference of two models is resampled on the clips that both answered
(`intervals.paired_differences`): clips that are hard for both cancel, so a difference can be beyond
chance where the two intervals overlap.
"""

import csv
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.evaluation.comparison_figure import write_uncertainty_figure
from vipann_tf.evaluation.evaluate import METRICS_JSON, evaluate
from vipann_tf.evaluation.intervals import RESAMPLES, paired_auroc, paired_differences
from vipann_tf.evaluation.results import KINDS
from vipann_tf.evaluation.stored_results import StoredResults, read_results
from vipann_tf.files.staging import staged_directory
from vipann_tf.saved_model.connection import model_name
from vipann_tf.saved_model.metadata import version_directory
from vipann_tf.uncertainty.bootstrap import Interval, interval, resample_weights

__all__ = [
    "Row",
    "compare",
    "compared_rows",
    "difference_rows",
    "evaluated",
    "markdown",
    "model_names",
    "paired_rows",
]

COMPARE_CSV = "compare.csv"
_UNCERTAINTY = "mean {} (nats)"
_AUROC = "{}: AUROC of {}"


@dataclass(frozen=True)
class Row:
    """A number of a model, or its difference to another model's."""

    dataset: str
    split: str
    model: str
    against: str  # "" for the number itself
    clips: int
    metric: str
    found: Interval


def compare(
    directories: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    resamples: int = RESAMPLES,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Compare what `evaluate` wrote and writes a directory.

    Args:
      directories: Results directories. On each dataset and split, the first is what the others are
        compared with.
      out: Directory to make.
      resamples: Of the intervals of the differences.
      overwrite: Whether to replace an earlier comparison.
      on_progress: Called with the results directories done and their number.

    Returns:
      The rows of compare.csv: first the numbers, then the differences.

    Raises:
      UserError: If a directory holds no results, or two disagree on what is true.
    """
    results = [read_results(path) for path in directories]
    names = model_names(results)
    with staged_directory(out, mark=COMPARE_CSV, overwrite=overwrite) as stage:
        rows = compared_rows(results, names)
        for done, row in enumerate(difference_rows(results, names, resamples), start=1):
            rows += row
            if on_progress is not None:
                on_progress(done, len(results))
        _write_csv(rows, Path(stage) / COMPARE_CSV)
        (Path(stage) / "compare.md").write_text(markdown(rows), encoding="utf-8")
        write_uncertainty_figure(results, names, Path(stage) / "uncertainty.png")
    return rows


def evaluated(
    places: Sequence[str | os.PathLike],
    datasets: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    ood: Sequence[str | os.PathLike] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Results directories of everything named: models are evaluated.

    Args:
      places: Results directories and model directories.
      datasets: Dataset directories on which each of the models is evaluated.
      out: Directory whose `<model>-<dataset>` hold what the models gave, with a number where that is
        taken by another of these models; those of earlier calls are replaced.
      ood: Dataset directories of sounds that the models were not made for.
      on_progress: Called as `evaluate` does, model by model.

    Raises:
      UserError: A place is neither, or there is a model and no dataset, or datasets and no model.
    """
    models = [path for path in places if not (Path(path) / METRICS_JSON).exists()]
    for model in models:
        try:
            version_directory(model)
        except UserError as error:
            raise UserError(f"{model} holds neither results nor a model: {error}") from error
    if models and not datasets:
        raise UserError(f"{models[0]} is a model; say on which data to evaluate it (--data DIR)")
    if datasets and not models:
        raise UserError(
            f"data {datasets[0]} was given, but no model to evaluate on it: every argument holds "
            "results already"
        )
    found = []
    for place in places:
        if place not in models:
            found.append(str(place))
            continue
        for data in datasets:
            folder = _vacant(f"{out}/{model_name(place)}-{Path(data).resolve().name}", found)
            evaluate(place, data, folder, ood=ood, overwrite=True, on_progress=on_progress)
            found.append(folder)
    return found


def _vacant(folder: str, taken: Sequence[str]) -> str:
    """The folder, or the first of folder-2, folder-3, ... that is not taken: folds share a name."""
    names = itertools.chain([folder], (f"{folder}-{n}" for n in itertools.count(2)))
    return next(name for name in names if name not in taken)


def model_names(results: Sequence[StoredResults]) -> list[str]:
    """What to call each model: the last part of its path, or of the results' where that is taken."""
    last = [Path(result.summary["model"]).name for result in results]
    seen = [(*result.place, name) for result, name in zip(results, last, strict=True)]
    twice = {key[2] for key in seen if seen.count(key) > 1}
    return [
        result.path if name in twice else name for result, name in zip(results, last, strict=True)
    ]


def compared_rows(results: Sequence[StoredResults], names: Sequence[str]) -> list[Row]:
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
        rows += [
            Row(*result.place, name, "", summary["clips"], metric, Interval(**values))
            for metric, values in found.items()
        ]
    return rows


def difference_rows(results: Sequence[StoredResults], names: Sequence[str], resamples: int):
    """Yields, for each result, its differences to the first one of the same place; that one's none.

    Raises:
      UserError: If two results of a place have other labels or another truth, or no clip in common.
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
    """Return the differences of one model to another on the clips that both answered.

    Args:
      result, base: Their results, perhaps of several folds (`stored_results.pooled`).
      name, against: What to call them.
      resamples: Of the intervals.

    Raises:
      UserError: If they have other labels or another truth, or no clip in common.
    """
    labels, task = result.summary["labels"], result.summary["task"]
    if labels != base.summary["labels"] or task != base.summary["task"]:
        raise UserError(
            f"{result.path} and {base.path} answer other labels on {', '.join(result.place)}; "
            "compare models of the same labels"
        )
    common = _common(result.clip_ids, base.clip_ids)
    mine, theirs = [i for i, _ in common], [i for _, i in common]
    if not mine:
        raise UserError(
            f"{result.path} and {base.path} have no clip in common; evaluate both on one dataset "
            "directory"
        )
    truth = result.truth[mine]
    if not np.array_equal(truth, base.truth[theirs]):
        differs = result.clip_ids[mine[int((truth != base.truth[theirs]).any(axis=1).argmax())]]
        raise UserError(
            f"{result.path} and {base.path} disagree on what is true of clip {differs}; evaluate "
            "both on one dataset directory"
        )
    groups = None if result.groups is None else np.array(result.groups)[mine]
    found = paired_differences(
        result.probs[mine], base.probs[theirs], truth, task, resamples=resamples, groups=groups
    )
    weights = resample_weights(len(mine), resamples, seed=0, groups=groups)
    for kind in KINDS:
        gap = (
            result.uncertainty[result.place[1]][kind][mine]
            - base.uncertainty[base.place[1]][kind][theirs]
        )
        found[_UNCERTAINTY.format(kind)] = interval(gap.mean(), weights @ gap / weights.sum(axis=1))
    return [
        Row(*result.place, name, against, len(mine), metric, value)
        for metric, value in found.items()
    ]


def _unfamiliar_rows(result, base, name: str, against: str, resamples: int) -> list[Row]:
    """Differences in telling out-of-distribution clips, on the sets that both were asked about."""
    rows = []
    inside = _common(result.clip_ids, base.clip_ids)
    for outside in (x for x in result.outside_ids if x in base.outside_ids):
        others = _common(result.outside_ids[outside], base.outside_ids[outside])
        if not others:
            continue
        ids = (
            [[result.clip_ids[i] for i, _ in inside]],
            [[result.outside_ids[outside][i] for i, _ in others]],
        )
        for kind in KINDS:
            scores = [
                [
                    one.uncertainty[key][kind][[pair[which] for pair in pairs]]
                    for key, pairs in ((one.place[1], inside), (outside, others))
                ]
                for which, one in enumerate((result, base))
            ]
            found = paired_auroc([scores], *ids, resamples=resamples)
            rows.append(
                Row(
                    *result.place,
                    name,
                    against,
                    len(inside),
                    _AUROC.format(outside, kind),
                    found,
                )
            )
    return rows


def _common(mine: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """Places, in both, of the ids that both have."""
    place = {clip: i for i, clip in enumerate(theirs)}
    return [(i, place[clip]) for i, clip in enumerate(mine) if clip in place]


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as tables: models by metrics, and below it the differences."""
    parts = [
        "# Comparison",
        "Values with 95 % bootstrap intervals over clips.",
        _table(rows, False),
    ]
    if any(row.against for row in rows):
        parts += [
            "## Differences",
            "To the model named, on the clips that both answered, resampled in pairs. **Bold** where "
            "the 95 % interval excludes 0.",
            _table(rows, True),
        ]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row], differences: bool) -> str:
    rows = [row for row in rows if bool(row.against) == differences]
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines: dict[tuple, dict[str, str]] = {}
    for row in rows:
        key = (f"{row.dataset} {row.split}", row.model, row.against, str(row.clips))
        lines.setdefault(key, {})[row.metric] = _cell(row, differences)
    heading = ["data", "model", *(["against"] if differences else []), "clips", *metrics]
    text = [heading, ["---"] * len(heading)]
    for (data, model, against, clips), cells in lines.items():
        start = [data, model, *([against] if differences else []), clips]
        text.append(start + [cells.get(metric, "") for metric in metrics])
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in text
    )


def _cell(row: Row, signed: bool) -> str:
    found, sign = row.found, "+" if signed else ""
    if found.value is None:
        return "-"
    text = f"{found.value:{sign}.3f}"
    if found.low is not None:
        text += f" ({found.low:{sign}.3f} to {found.high:{sign}.3f})"
    return f"**{text}**" if signed and found.excludes_zero else text


def _write_csv(rows: Sequence[Row], path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["dataset", "split", "model", "against", "clips", "metric", "value", "low", "high"]
        )
        for row in rows:
            found = row.found
            numbers = [
                "" if x is None else f"{x:.6g}" for x in (found.value, found.low, found.high)
            ]
            start = [row.dataset, row.split, row.model, row.against, row.clips, row.metric]
            writer.writerow(start + numbers)
