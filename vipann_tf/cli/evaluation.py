"""evaluate, compare, calibrate and rank: how good a model is, and what would improve it."""

import os
from typing import TYPE_CHECKING, Any

import click

from vipann_tf.cli.command import Command, typed_command
from vipann_tf.cli.options import common
from vipann_tf.cli.printing.directories import print_model

if TYPE_CHECKING:  # it takes a second to import
    from vipann_tf.uncertainty.conformal import Method

_ood = click.option(
    "--ood",
    multiple=True,
    metavar="DIR",
    help="Dataset directory of sounds that the model was not made for; may be repeated.",
)


@click.command(
    cls=Command,
    example="vipann-tf evaluate models/mine --data data/mine --ood data/other --out results",
)
@click.argument("model")
@click.option("--split", help="Split to score; by default the one held out, or eval.")
@_ood
@common("data", "num_draws", "seed", "out", "overwrite")
def evaluate(
    model: str,
    data: str,
    split: str | None,
    ood: tuple[str, ...],
    num_draws: int | None,
    seed: int | None,
    out: str,
    overwrite: bool,
) -> None:
    """Score a model: accuracy, calibration and uncertainty.

    The results are numbers and a report.
    """
    from vipann_tf.cli.printing import terminal
    from vipann_tf.cli.printing.findings import print_evaluation
    from vipann_tf.evaluation.evaluate import evaluate as run

    with terminal.progress("Evaluating") as show:
        summary = run(
            model,
            data,
            out,
            split=split,
            num_draws=num_draws,
            seed=seed,
            ood=ood,
            command=typed_command(),
            overwrite=overwrite,
            on_progress=show,
        )
    print_evaluation(summary)
    click.echo(f"Wrote {out}: read {os.path.join(out, 'report.html')}")


@click.command(
    cls=Command,
    example="vipann-tf compare results-det results-flip --out comparison",
)
@click.argument("results", nargs=-1, required=True, metavar="RESULTS_OR_MODEL...")
@click.option(
    "--data",
    "datasets",
    multiple=True,
    metavar="DIR",
    help="Dataset directory on which models are evaluated first, with results in OUT-results; may "
    "be repeated.",
)
@_ood
@common("out", "overwrite")
def compare(
    results: tuple[str, ...],
    datasets: tuple[str, ...],
    ood: tuple[str, ...],
    out: str,
    overwrite: bool,
) -> None:
    """Compare models: numbers, and differences on the same clips.

    Takes results of evaluate, and models, which are evaluated on --data first.
    """
    from vipann_tf.cli.printing import terminal
    from vipann_tf.cli.printing.findings import print_comparison
    from vipann_tf.face.evaluation import compare as run

    with terminal.progress("Comparing") as show:
        rows = run(results, out, data=datasets, ood=ood, overwrite=overwrite, on_progress=show)
    print_comparison(rows)
    click.echo(f"Wrote {out}: read {os.path.join(out, 'compare.html')}")


@click.command(
    cls=Command,
    example="vipann-tf calibrate models/mine --data data/mine --out models/calibrated",
)
@click.argument("model")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME",
    help="Split to fit on, not one that trained the model; by default a validation split, else the "
    "ones held out. May be repeated.",
)
@click.option(
    "--coverage",
    type=float,
    default=0.9,
    show_default=True,
    help="Target probability that a prediction set holds the truth.",
)
@click.option(
    "--method",
    type=click.Choice(["aps", "threshold"]),
    default="aps",
    show_default=True,
    help="Multiclass sets: aps grows on hard clips, threshold is smallest on average.",
)
@click.option(
    "--precision",
    type=float,
    metavar="P",
    help="Choose the smallest threshold for each label with which at least this share of its "
    "detections is right, for predict --threshold calibrated.",
)
@click.option(
    "--recall",
    type=float,
    metavar="R",
    help="Choose the largest threshold for each label that finds at least this share of the clips "
    "with the label.",
)
@common("data", "num_draws", "seed", "out")
def calibrate(
    model: str,
    splits: tuple[str, ...],
    coverage: float,
    method: "Method",
    precision: float | None,
    recall: float | None,
    data: str,
    num_draws: int | None,
    seed: int | None,
    out: str,
) -> None:
    """Fit a temperature, prediction sets and thresholds.

    They are stored in a new version of the model, at --out.
    """
    from vipann_tf.cli.printing import terminal
    from vipann_tf.cli.printing.findings import cross_fitted_part, print_calibration
    from vipann_tf.cli.printing.thresholds import print_thresholds
    from vipann_tf.face.evaluation import calibrate as run
    from vipann_tf.saved_model.metadata import read_labels

    with terminal.progress("Calibrating") as show:
        found = run(
            model,
            data,
            out,
            splits=splits,
            num_draws=num_draws,
            seed=seed,
            coverage=coverage,
            method=method,
            precision=precision,
            recall=recall,
            on_progress=show,
        )
    print_calibration(found)
    if found.detection is not None:
        print_thresholds(found.detection, read_labels(out), cross_fitted_part(found))
    print_model(out)


@click.command(
    cls=Command,
    example="vipann-tf rank models/mine --data data/unlabelled --top 50 --diversity",
)
@click.argument("model", metavar="MODEL|SCAN")
@click.option(
    "--by",
    type=click.Choice(["epistemic", "aleatoric", "total"]),
    default="epistemic",
    show_default=True,
    help="Uncertainty to rank by.",
)
@click.option("--top", type=int, default=20, show_default=True, metavar="K", help="Clips to list.")
@click.option("--diversity", is_flag=True, help="Prefer clips unlike those ranked before.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME",
    help="Split to choose from; by default all that the model was not trained on. May be repeated.",
)
@click.option("--data", metavar="DIR", help="Dataset directory whose clips MODEL ranks.")
@click.option("--label", metavar="NAME", help="SCAN: rank by the uncertainty of this label.")
@click.option(
    "--by-recorder", is_flag=True, help="SCAN: K windows of each recorder, which are folders."
)
@click.option(
    "--like", metavar="FILE", help="SCAN with embeddings: rank by likeness to this sound instead."
)
@common("num_draws", "seed")
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "csv"]),
    default="table",
    show_default=True,
    help="How to print the ranking.",
)
def rank(
    model: str,
    by: str,
    top: int,
    diversity: bool,
    splits: tuple[str, ...],
    data: str | None,
    label: str | None,
    by_recorder: bool,
    like: str | None,
    num_draws: int | None,
    seed: int | None,
    style: str,
) -> None:
    """List clips of a dataset, or windows of a scan, to label next.

    These are the ones that the model is most uncertain of: vipann-tf rank scans/may --top 50.
    """
    from vipann_tf.cli.printing import terminal
    from vipann_tf.cli.printing.findings import print_ranking
    from vipann_tf.cli.scan_ranking import print_windows
    from vipann_tf.face.evaluation import rank as run
    from vipann_tf.scans.ranking import is_scan

    options: dict[str, Any] = {
        "by": by,
        "top": top,
        "diversity": diversity,
        "splits": splits,
        "label": label,
        "by_recorder": by_recorder,
        "like": like,
        "num_draws": num_draws,
        "seed": seed,
    }
    if is_scan(model):
        windows: Any = run(model, data, **options)
        print_windows(windows, by if like is None else "likeness", style)
        return
    with terminal.progress("Ranking") as show:
        clips: Any = run(model, data, on_progress=show, **options)
    print_ranking(clips, by, style)


COMMANDS = (evaluate, compare, calibrate, rank)
