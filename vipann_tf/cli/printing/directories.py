"""What the commands print about dataset and model directories."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vipann_tf.cli.printing.notices import print_notices

if TYPE_CHECKING:
    from vipann_tf.datasets import Source
    from vipann_tf.records.schema import DatasetInfo


def print_plan(source: Source, out: str, seconds: float | None) -> None:
    """Print what a preparation would write."""
    from vipann_tf.cli.printing import terminal
    from vipann_tf.records.plan import plan_shards

    plan = plan_shards(source, seconds=seconds)
    click.echo(
        f"{out} would hold dataset {source.name}, {source.task}, {len(source.labels)} labels, "
        f"{plan.clips} clips of {plan.seconds:g} s ({plan.hours:.2f} h), "
        f"{plan.size_bytes / 1e9:.2f} GB"
    )
    rows = [(name, str(clips)) for name, clips in plan.splits.items()]
    terminal.table({"split": "left", "clips": "right"}, rows)
    rows = [(name, str(clips)) for name, clips in plan.label_counts.items()]
    terminal.table({"label": "left", "clips": "right"}, rows)
    if plan.rejected:
        click.echo(
            f"{len(plan.rejected)} of {plan.inputs} inputs would be rejected before decoding"
        )
    print_notices(source.notices)


def print_dataset(path: str, info: DatasetInfo) -> None:
    """Print what a dataset directory holds."""
    from vipann_tf.cli.printing import terminal

    hours = info.clips * info.clip_seconds / 3600
    click.echo(
        f"{path}: dataset {info.name}, {info.task}, {len(info.labels)} labels, {info.clips} clips "
        f"of {info.clip_seconds:g} s ({hours:.2f} h) at {info.sample_rate_hz} Hz"
    )
    rows = [(name, str(split.clips), str(split.shards)) for name, split in info.splits.items()]
    terminal.table({"split": "left", "clips": "right", "shards": "right"}, rows)
    if info.rejected:
        reasons = ", ".join(f"{count} {reason}" for reason, count in info.rejected.items())
        click.echo(f"Rejected: {reasons} (see rejected.csv)")
    if info.notices:
        kinds = ", ".join(f"{count} {kind}" for kind, count in info.notices.items())
        click.echo(f"Notices: {kinds} (see notices.csv)")


def print_unfinished(path: str, run: dict[str, Any]) -> None:
    """Print the progress of an unfinished training.

    Args:
      path: The model directory.
      run: As `vipann_tf.training.run.unfinished` returns it.
    """
    recipe = run["description"]["recipe"]
    what = "pretrain"
    if "strategy" in recipe:
        what = f"transfer {recipe['strategy']} ({recipe['mode']})"
    state = "running" if run["running"] else "unfinished"
    written = datetime.timedelta(seconds=round(run["seconds_ago"]))
    click.echo(f"{path}: {state} {what}")
    click.echo(f"step {run['step']} of {run['steps']}, last written {written} ago")
    if run["log"]:
        row = {key: float(value) for key, value in run["log"].items()}
        click.echo(
            f"loss {row['loss']:.4g} = NLL {row['nll']:.4g} "
            f"+ KL {row['kl'] * row['kl_scale']:.4g}, "
            f"learning rate {row['learning_rate']:.3g}, epoch {row['epoch']:.0f}"
        )
    if run["scores"]:
        scores = dict(run["scores"])
        step = scores.pop("step")
        shown = ", ".join(f"{key} {float(value):.4g}" for key, value in scores.items() if value)
        click.echo(f"validation at step {step}: {shown}")
    if not run["running"]:
        start = f"from step {run['checkpoint']}" if run["checkpoint"] else "from the beginning"
        click.echo(f"The same command resumes it {start}.")


def print_model(path: str | Path) -> None:
    """Print what a model directory holds."""
    from vipann_tf.saved_model import metadata

    info = metadata.read_model_info(path)
    network = info.architecture
    click.echo(
        f"{metadata.version_directory(path)}: {network.summary}, {network.task}, "
        f"{network.labels} labels"
    )
    made = info.recipe.get("strategy")
    if info.members:
        click.echo("members: " + "; ".join(_member(member) for member in info.members))
    elif info.data is not None:
        how = f"{info.origin} {made} ({info.recipe['mode']})" if made else info.origin
        held = f", held out {', '.join(info.data.held_out)}" if info.data.held_out else ""
        click.echo(
            f"{how} on {info.data.dataset}: {info.data.clips} clips of "
            f"{', '.join(info.data.splits)}{held}; {info.training['steps']} steps in "
            f"{info.training['seconds']:.0f} s, last loss {info.training['loss']:.3f}"
        )
    if "laplace_precision" in info.training:
        click.echo(
            f"Laplace posterior of the last layer from {info.training['laplace_clips']} clips: "
            f"prior precision {info.training['laplace_precision']:.4g}, log evidence "
            f"{info.training['laplace_log_evidence']:.4g} nats"
        )
    if "laplace_warning" in info.training:
        click.echo(f"warning: {info.training['laplace_warning']}", err=True)
    if empty := info.training.get("empty_labels"):
        click.echo(
            f"warning: {len(empty)} of {network.labels} labels had no clip to train on, and are "
            f"never answered: {', '.join(empty[:5])}{' ...' if len(empty) > 5 else ''}",
            err=True,
        )
    click.echo(
        f"takes waveforms at {info.sample_rate_hz} Hz; serving_default averages "
        f"{len(network.draw_indices(info.num_draws))} draws of seed {info.seed}"
    )
    if info.calibration.detection is not None:
        click.echo(f"calibrated thresholds: {info.calibration.detection.summary}")


def _member(member: dict[str, Any]) -> str:
    """Return a member of an ensemble in words."""
    recipe = member["recipe"]
    words = [member["origin"], recipe.get("strategy"), recipe.get("mode")]
    text = " ".join(word for word in words if word)
    if "training" in recipe:
        text += f" of seed {recipe['training']['seed']}"
    return text
