"""quickstart: all main steps on synthetic sounds, as the commands that a user would type."""

import shlex
from collections.abc import Iterable
from pathlib import Path

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import common

# Clips are short and the network small: all steps take a few minutes on two cores.
_LENGTH = "--seconds 2"


def commands(out: Path) -> list[tuple[str, list[str]]]:
    """Return (purpose, arguments of `vipann-tf`) of every step, in order."""
    data, models = out / "data", out / "models"
    steps = [
        (
            "Many sounds with several labels each: an AudioSet in miniature",
            ("prepare synthetic", data / "tagging", "--task multilabel --clips 1200", _LENGTH),
        ),
        (
            "A few sounds of other kinds, one label each: your own data",
            ("prepare synthetic", data / "events", "--task multiclass --clips 250", _LENGTH),
        ),
        (
            "Sounds of kinds that no network here is trained on",
            ("prepare synthetic", data / "unheard", "--task ood --clips 50", _LENGTH),
        ),
        (
            "A distribution over networks, by Flipout variational inference",
            (
                "pretrain pretrain/quickstart_flipout",
                "--data",
                data / "tagging",
                "--out",
                models / "flipout",
            ),
        ),
        (
            "Transfer: a shipped network of real sounds, a Bayesian last layer, your own labels; "
            "fold 5 is held out",
            (
                "transfer --strategy det-laplace --base everyday-sounds --data",
                data / "events",
                "--test-fold 5 --recipe transfer/quickstart",
                "--out",
                models / "events",
            ),
        ),
        (
            "How good is it, and does it know when it is not?",
            (
                "evaluate",
                models / "events",
                "--data",
                data / "events",
                "--ood",
                data / "unheard",
                "--out",
                out / "results",
            ),
        ),
        (
            "What the SavedModel answers for one file",
            ("synthesize", out / "known.wav", "--task multiclass --seed 7", _LENGTH),
        ),
        ("", ("predict", models / "events", out / "known.wav")),
    ]
    return [(purpose, _arguments(parts)) for purpose, parts in steps]


def _arguments(parts: Iterable[str | Path]) -> list[str]:
    """Split texts into arguments; a path is one argument."""
    arguments: list[str] = []
    for part in parts:
        arguments += [str(part)] if isinstance(part, Path) else part.split()
    return arguments


def run(cli: click.Group, out: str, *, overwrite: bool) -> None:
    """Run every step in this process, and list the results.

    Args:
      cli: The command group.
      out: Directory to make.
      overwrite: Whether each step replaces results of an earlier run.
    """
    root = Path(out)
    for purpose, arguments in commands(root):
        if purpose:
            click.secho(f"\n# {purpose}", bold=True)
        parameters = cli.commands[arguments[0]].params
        if overwrite and any(parameter.name == "overwrite" for parameter in parameters):
            arguments = [*arguments, "--overwrite"]
        click.echo(f"$ vipann-tf {shlex.join(arguments)}")
        # Outside of the standalone mode click returns the status of a command that exits.
        status = cli.main(arguments, prog_name="vipann-tf", standalone_mode=False)
        if status:
            click.echo(f"quickstart ended at this step, with status {status}", err=True)
            click.get_current_context().exit(status)
    click.secho("\n# Does it know what it does not know?", bold=True)
    _demonstrate(root / "results")
    click.secho("\nMade:", bold=True)
    click.echo(
        f"  {root / 'models'}   two SavedModels, ready for TensorFlow Serving\n"
        f"  {root / 'results'}  report.html to read; metrics.json, predictions.csv,\n"
        "    reliability.png\n"
        f"  {root / 'data'}     three dataset directories\n"
        "Next: your own sounds, one folder per class:\n"
        "  vipann-tf prepare folder SOUNDS data/mine\n"
        "  vipann-tf transfer --strategy drop --recipe transfer/small_finetune \\\n"
        "    --base everyday-sounds --data data/mine --out models/mine\n"
        "To start from published AudioSet weights, see `vipann-tf download --list`."
    )


def _demonstrate(results: Path) -> None:
    from vipann_tf.cli.printing.findings import print_demonstration
    from vipann_tf.evaluation.stored_results import read_results

    print_demonstration(read_results(results))


@click.command(
    cls=Command,
    example="vipann-tf quickstart --out quickstart",
)
@click.option(
    "--out", default="quickstart", show_default=True, metavar="DIR", help="Directory to make."
)
@common("overwrite")
@click.pass_context
def quickstart(context: click.Context, out: str, overwrite: bool) -> None:
    """Run all main steps once, on synthetic sounds.

    Prepare, pretrain, transfer, evaluate and predict, in a few minutes on two cores.
    """
    root = context.find_root().command
    assert isinstance(root, click.Group)
    run(root, out, overwrite=overwrite)


COMMANDS = [quickstart]
