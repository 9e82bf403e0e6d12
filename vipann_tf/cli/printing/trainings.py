"""What pretrain and transfer show."""

import os
from collections.abc import Callable

import click

from vipann_tf.cli.printing import terminal
from vipann_tf.training.progress import Progress


def training_note(show: Callable[..., None], prefix: str = "") -> Callable[[Progress], None]:
    """Return a function that shows the progress of a training as one line.

    Args:
      show: Function of `terminal.progress`.
      prefix: Beginning of the line.
    """

    def on_progress(progress: Progress) -> None:
        note = (
            f"{prefix}loss {progress.loss:.3f} = NLL {progress.nll:.3f} "
            f"+ KL {progress.kl_term:.3f}, {progress.steps_per_s:.2g} steps/s, "
            f"{progress.clips_per_s:.0f} clips/s"
        )
        if progress.scores:
            name, value = next(iter(progress.scores.items()))
            note += f", validation {name} {value:.3f}"
        show(progress.step, progress.steps, note)

    return on_progress


def print_cross_validation(out: str, summary: dict) -> None:
    """Print the table of a cross-validation.

    Args:
      out: Directory of the cross-validation.
      summary: Result of `cross_validate`.
    """
    numbers = summary["metrics"] | {
        f"mean {name} (nats)": value for name, value in summary["uncertainty"].items()
    }
    columns = {"metric": "left", "mean": "right", "95 % from": "right", "to": "right"}
    columns |= dict.fromkeys(summary["folds"], "right")
    rows = [
        (
            name,
            *(terminal.number(value[key]) for key in ("mean", "low", "high")),
            *(terminal.number(x) for x in value["values"]),
        )
        for name, value in numbers.items()
    ]
    terminal.table(columns, rows, f"{summary['dataset']}, {len(summary['folds'])} folds")
    click.echo(f"Wrote {os.path.join(out, 'cross_validation.json')}")
