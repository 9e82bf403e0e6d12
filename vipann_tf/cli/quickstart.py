"""The main job on the embedded default, as the commands that a user would type."""

import shlex
from pathlib import Path

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import common

# What a newcomer waits for: a small network, short clips, a few minutes on two cores.
_SECONDS = "2"


def commands(out: Path) -> list[tuple[str, list[str]]]:
    """(what it is for, arguments of `vipann-tf`) of every step, in order."""
    data, models = out / "data", out / "models"
    pretrain = ["--data", str(data / "tagging")]
    return [
        (
            "Many sounds with several labels each: an AudioSet in miniature",
            [
                "prepare",
                "synthetic",
                str(data / "tagging"),
                "--task",
                "multilabel",
                "--clips",
                "1200",
                "--seconds",
                _SECONDS,
            ],
        ),
        (
            "A few sounds of other kinds, one label each: your own data",
            [
                "prepare",
                "synthetic",
                str(data / "events"),
                "--task",
                "multiclass",
                "--clips",
                "250",
                "--seconds",
                _SECONDS,
            ],
        ),
        (
            "A distribution over networks, by Flipout variational inference",
            [
                "pretrain",
                "pretrain/quickstart_flipout",
                *pretrain,
                "--out",
                str(models / "flipout"),
            ],
        ),
        (
            "A plain network of the same shape",
            [
                "pretrain",
                "pretrain/quickstart_deterministic",
                *pretrain,
                "--out",
                str(models / "deterministic"),
            ],
        ),
        (
            "Transfer: the plain trunk, a Bayesian head, your own labels; fold 5 is held out",
            [
                "transfer",
                "--strategy",
                "det-flip",
                "--base",
                str(models / "deterministic"),
                "--data",
                str(data / "events"),
                "--test-fold",
                "5",
                "--recipe",
                "transfer/quickstart",
                "--out",
                str(models / "events"),
            ],
        ),
        (
            "How good is it, and does it know when it is not?",
            [
                "evaluate",
                str(models / "events"),
                "--data",
                str(data / "events"),
                "--out",
                str(out / "results"),
            ],
        ),
        (
            "A sound that it was trained on the like of, and one of a kind that it never heard",
            [
                "synthesize",
                str(out / "known.wav"),
                "--task",
                "multiclass",
                "--seed",
                "7",
                "--seconds",
                _SECONDS,
            ],
        ),
        (
            "",
            [
                "synthesize",
                str(out / "unknown.wav"),
                "--task",
                "ood",
                "--seed",
                "7",
                "--seconds",
                _SECONDS,
            ],
        ),
        (
            "What the SavedModel answers",
            ["predict", str(models / "events"), str(out / "known.wav"), str(out / "unknown.wav")],
        ),
    ]


def run(cli: click.Group, out: str, *, overwrite: bool) -> None:
    """Runs every step in this process and says what was made.

    Args:
      cli: The command group.
      out: Directory to make.
      overwrite: Whether each step replaces what an earlier run left.
    """
    place = Path(out)
    for purpose, arguments in commands(place):
        if purpose:
            click.secho(f"\n# {purpose}", bold=True)
        parameters = cli.commands[arguments[0]].params
        if overwrite and any(parameter.name == "overwrite" for parameter in parameters):
            arguments = [*arguments, "--overwrite"]
        click.echo(f"$ vipann-tf {shlex.join(arguments)}")
        cli.main(arguments, prog_name="vipann-tf", standalone_mode=False)
    click.secho("\nMade:", bold=True)
    click.echo(
        f"  {place / 'models'}   three SavedModels; TensorFlow Serving takes each as it is\n"
        f"  {place / 'results'}  report.html to read; metrics.json, predictions.csv, reliability.png\n"
        f"  {place / 'data'}     two dataset directories\n"
        "Next: your own sounds, one folder a class:\n"
        "  vipann-tf prepare folder SOUNDS data/mine\n"
        "  vipann-tf transfer --strategy det-flip --base "
        f"{place / 'models' / 'deterministic'} --data data/mine --out models/mine\n"
        "The same from published AudioSet weights: see README.md, vipann-tf import."
    )


@click.command(cls=Command)
@click.option(
    "--out", default="quickstart", show_default=True, metavar="DIR", help="Directory to make."
)
@common("overwrite")
@click.pass_context
def quickstart(context, out, overwrite):
    """Do the main job once, on synthetic sounds: prepare, pretrain, transfer, evaluate, predict."""
    run(context.find_root().command, out, overwrite=overwrite)


COMMANDS = [quickstart]
