"""What evaluations, calibrations, comparisons and rankings print, for people or as CSV."""

import csv
import dataclasses
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vipann_tf.cli.printing import terminal

if TYPE_CHECKING:  # they import TensorFlow
    from vipann_tf.evaluation.calibrate import Calibrated
    from vipann_tf.evaluation.comparison_rows import Row
    from vipann_tf.evaluation.rank import Ranked
    from vipann_tf.evaluation.stored_results import StoredResults


def print_evaluation(summary: dict) -> None:
    """Print the headline numbers of an evaluation.

    Args:
      summary: The content of metrics.json.
    """
    from vipann_tf.evaluation.plain_words import few_groups, of_groups

    def row(name: str, interval: dict[str, float | None]) -> tuple[str, ...]:
        return (name, *(terminal.number(interval[key]) for key in ("value", "low", "high")))

    draws = "1 draw" if summary["draws"] == 1 else f"{summary['draws']} draws"
    rows = [row(name, value) for name, value in summary["metrics"].items()]
    rows += [row(f"mean {name} (nats)", value) for name, value in summary["uncertainty"].items()]
    sets = summary["prediction_sets"]
    if sets is not None:
        rows.append(row(f"coverage of sets (wanted {sets['wanted']:g})", sets["coverage"]))
        rows.append(("mean labels per set", terminal.number(sets["mean_size"]), "-", "-"))
    for name, found in summary["ood"].items():
        rows += [
            row(f"{name}: AUROC of {score}", x["auroc"]) for score, x in found["scores"].items()
        ]
    terminal.table(
        {"metric": "left", "value": "right", "95 % from": "right", "to": "right"},
        rows,
        f"{summary['dataset']} {summary['split']}, {summary['clips']} clips{of_groups(summary)}, "
        f"{draws}",
    )
    if words := few_groups(summary):
        print(textwrap.fill(words, width=80))
    if summary["calibrated_here"]:
        print("Calibrated on these same clips: its confidence and sets look better than they are.")


def print_calibration(found: "Calibrated") -> None:
    """Print the effect of a calibration.

    Args:
      found: Result of `calibrate.calibrate`.
    """
    from vipann_tf.evaluation.plain_words import of_groups

    print(
        f"Temperature {found.calibration.temperature:.3f}, fitted on {found.clips} clips"
        f"{of_groups({'groups': found.groups})} of {', '.join(found.calibration.fitted_on)}"
    )
    rows = [
        (name, terminal.number(found.before[name]), terminal.number(found.after[name]))
        for name in ("nll", "brier", "ece")
    ]
    names = {
        "coverage": f"coverage of sets (wanted {found.sets['wanted']:g})",
        "absent_coverage": "coverage of absent labels",
        "mean_size": "mean labels per set",
        "decided": "share of questions decided",
    }
    rows += [
        (name, "", terminal.number(found.sets[key]))
        for key, name in names.items()
        if key in found.sets
    ]
    terminal.table(
        {"metric": "left", "before": "right", "after": "right"},
        rows,
        f"Each {cross_fitted_part(found)}, scored with the fit on the others",
    )
    for when, words in (("Before", found.words_before), ("After", found.words_after)):
        print(textwrap.fill(f"{when}: {words[:1].lower()}{words[1:]}", width=80))


def cross_fitted_part(found: "Calibrated") -> str:
    """Return what each part of a cross-fit is, such as "fifth of the clips".

    Args:
      found: Result of `calibrate.calibrate`.
    """
    if found.groups is None:
        return "fifth of the clips"
    return f"{'fifth' if found.groups >= 5 else 'part'} of the groups"


def print_demonstration(results: "StoredResults") -> None:
    """Print what the uncertainty of a model says about its errors and about unheard sounds.

    Args:
      results: Results of `evaluate` with `--ood`.
    """
    from vipann_tf.evaluation.demonstration import medians, unheard_in_words

    terminal.table(
        {"sounds": "left", "clips": "right", "total": "right", "epistemic": "right"},
        [
            (row.sounds, str(row.clips), terminal.number(row.total), terminal.number(row.epistemic))
            for row in medians(results)
        ],
        "Median uncertainty, in nats",
    )
    for text in unheard_in_words(results):
        print(textwrap.fill(text, width=80))


def print_comparison(rows: Sequence["Row"]) -> None:
    """Print a comparison, dataset by dataset.

    Args:
      rows: Result of `compare.compare`.
    """

    def cells(row: "Row") -> tuple[str, ...]:
        ends = (terminal.number(x) for x in (row.found.value, row.found.low, row.found.high))
        return (row.metric, row.model, *ends)

    columns = {"model": "left", "value": "right", "95 % from": "right", "to": "right"}
    for place in dict.fromkeys((row.dataset, row.split) for row in rows):
        here = [row for row in rows if (row.dataset, row.split) == place]
        # Rows of the same metric are together.
        order = {metric: i for i, metric in enumerate(dict.fromkeys(r.metric for r in here))}
        numbers = sorted((r for r in here if not r.against), key=lambda r: order[r.metric])
        terminal.table(
            {"metric": "left", **columns}, [cells(row) for row in numbers], " ".join(place)
        )
        differences = sorted((r for r in here if r.against), key=lambda r: order[r.metric])
        if differences:
            clips = differences[0].clips
            terminal.table(
                {"difference": "left", **columns, "beyond chance": "left"},
                [(*cells(r), "yes" if r.found.excludes_zero else "") for r in differences],
                f"Against {differences[0].against}, on the same {clips} clips",
            )


def print_ranking(ranked: Sequence["Ranked"], by: str, style: str) -> None:
    """Print clips in the order in which to label them.

    Args:
      ranked: Result of `rank.rank`; at least one clip.
      by: The uncertainty that they were ranked by.
      style: `table`, which fits 80 columns, or `csv`, which has everything.
    """
    if style == "csv":
        rows = [dataclasses.astuple(clip) for clip in ranked]
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(ranked[0])])
        writer.writerows([f"{x:.6g}" if isinstance(x, float) else x for x in row] for row in rows)
        return
    columns = {"clip_id": "left", "answer": "left", "probability": "right", by: "right"}
    cells = [[getattr(clip, name) for name in columns] for clip in ranked]
    terminal.table(
        {"rank": "right", **columns},
        [
            (str(clip.rank), *(x if isinstance(x, str) else terminal.number(x) for x in row))
            for clip, row in zip(ranked, cells, strict=True)
        ],
    )
