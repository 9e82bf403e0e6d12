"""study: the paper's comparison, from one recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import RecipeName, common

if TYPE_CHECKING:
    from vipann_tf.choices import Devices
    from vipann_tf.study.grid import Cell
    from vipann_tf.study.plan import JobStatus
    from vipann_tf.study.recipe import StudyRecipe
    from vipann_tf.study.run import Outcome


@click.command(
    cls=Command,
    example="vipann-tf study studies/smoke --out study --only 'strategy=det|det-flip' --list",
)
@click.argument("recipe", type=RecipeName("studies"))
@click.option("--list", "list_only", is_flag=True, help="Show the plan with its cost; do nothing.")
@click.option(
    "--tables", "tables_only", is_flag=True, help="Make tables and plots of the finished cells."
)
@click.option(
    "--only",
    multiple=True,
    metavar="KEY=VALUE,...",
    help="Take only cells with these values, e.g. strategy=det|det-flip,mode=fixed; may be "
    "repeated. Keys: downstream, upstream, strategy, mode, variant, fraction, seed, fold.",
)
@click.option("--shard", metavar="i/n", help="Take the i-th of n parts, for one of n machines.")
@common("out", "set", "devices")
def study(
    recipe: str,
    list_only: bool,
    tables_only: bool,
    only: tuple[str, ...],
    shard: str | None,
    out: str,
    settings: tuple[str, ...],
    devices: Devices,
) -> None:
    """Run the comparison that RECIPE (a YAML file) describes.

    A study is a grid of upstream networks, transfer strategies and data sets. Its mode active
    labels clips round by round and says what the choice of clips is worth.

    Finished parts are skipped, so the same command resumes an interrupted study. Failures are
    reported at the end and do not stop the rest. Tables and plots show what is finished.
    """
    from vipann_tf.recipes import load_recipe
    from vipann_tf.study import grid
    from vipann_tf.study.recipe import StudyRecipe

    resolved = load_recipe(StudyRecipe, recipe, settings)
    chosen = grid.shard(grid.select(grid.cells(resolved), only), shard)
    whole = not only and shard is None
    if list_only:
        _print_plan(resolved, out, chosen, whole)
        return

    if tables_only:
        _write_outcome(resolved, out, chosen)
        return

    import logging

    from vipann_tf.cli.printing import terminal
    from vipann_tf.study.run import run_study
    from vipann_tf.training.distribution import make_distribution

    # TensorFlow mistakes the graphs of many networks for retracing of one.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with terminal.progress("Study") as show:
        outcome = run_study(
            resolved,
            out,
            chosen,
            everything=whole,
            distribution=make_distribution(devices),
            on_job=_report_job,
            on_progress=show,
        )
    if any(job.stage != "prepare" for job in outcome.finished):
        _write_outcome(resolved, out, grid.cells(resolved))
    _print_outcome(outcome, out)


def _write_outcome(recipe: StudyRecipe, out: str, cells: Sequence[Cell]) -> None:
    from vipann_tf.cli.printing import terminal
    from vipann_tf.study.directory import open_study
    from vipann_tf.study.outcome import write_outcome

    with terminal.progress("Tables") as show:
        tables = write_outcome(open_study(recipe, out), cells, on_progress=show)
    click.echo(f"Wrote {out}/tables: {', '.join(table.name for table in tables)}")
    click.echo(f"Wrote {out}/plots, {out}/study.html")


def _print_plan(recipe: StudyRecipe, out: str, chosen: Sequence[Cell], whole: bool) -> None:
    from vipann_tf.cli.printing import terminal
    from vipann_tf.study.directory import open_study
    from vipann_tf.study.plan import plan, seconds_left

    statuses = plan(open_study(recipe, out), chosen, everything=whole)
    terminal.table(
        {"job": "left", "name": "left", "state": "left", "cost": "right"},
        [(x.job.stage, x.job.name, x.state, _duration(x.seconds)) for x in statuses],
    )
    left, unknown = seconds_left(statuses)
    done = sum(status.state == "finished" for status in statuses)
    where = f" on {recipe.hardware}" if recipe.hardware else ""
    text = f"{len(statuses)} jobs, {done} finished; the rest takes about {_duration(left)}{where}"
    click.echo(text + (f", and {unknown} jobs of unknown cost" if unknown else ""))


def _report_job(number: int, total: int, status: JobStatus) -> None:
    if status.state == "running":
        return
    text = f"[{number}/{total}] {status.job.stage} {status.job.name}: {status.state}"
    if status.seconds is not None:
        text += f", {_duration(status.seconds)}"
    click.echo(f"{text}: {status.reason}" if status.reason else text)


def _print_outcome(outcome: Outcome, out: str) -> None:
    click.echo(
        f"{len(outcome.finished)} finished, {len(outcome.failed)} failed"
        + (f", {len(outcome.elsewhere)} done by another process" if outcome.elsewhere else "")
    )
    if outcome.failed:
        for name, reason in outcome.failed.items():
            click.echo(f"Failed: {name}: {reason}", err=True)
        click.echo(f"The reasons are in {out}/records; the same command tries again.", err=True)
        raise SystemExit(1)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


COMMANDS = (study,)
