"""import, export and info: make and describe model directories."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import common
from vipann_tf.cli.printing.directories import print_dataset, print_model, print_unfinished
from vipann_tf.errors import UserError

if TYPE_CHECKING:
    from vipann_tf.models.architecture import Signs
    from vipann_tf.saved_model.metadata import DrawStorage, Precision


def _signs(help_text: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    return click.option("--signs", type=click.Choice(["channel", "activation"]), help=help_text)


@click.command(
    "import",
    cls=Command,
    example="vipann-tf import ResNet54.pth --out models/audioset",
)
@click.argument("checkpoint")
@click.option("--labels", metavar="CSV", help="Label names; by default AudioSet's 527.")
@_signs("Signs of Flipout layers; by default those that the weights were trained with.")
@common("out", "overwrite")
def import_(
    checkpoint: str, labels: str | None, signs: Signs | None, out: str, overwrite: bool
) -> None:
    """Import a published PANNs or VI-PANN checkpoint (.pth)."""
    from vipann_tf.published.importing import import_checkpoint

    import_checkpoint(checkpoint, out, labels=labels, signs=signs, overwrite=overwrite)
    print_model(out)


@click.command(
    cls=Command,
    example="vipann-tf export models/mine --out models/fast --num-draws 10 --precision bfloat16",
)
@click.argument("model")
@common("num_draws", "seed", "out")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    help="Precision of the computations; variables stay float32.",
)
@click.option(
    "--draw-storage",
    type=click.Choice(["sampled", "stored"]),
    help="Draw the networks in each request, or keep them in the SavedModel.",
)
@_signs(
    "Where Flipout convolutions draw signs; it changes the spread of the draws, not the weights."
)
@click.option(
    "--dropout",
    type=click.Choice(["on", "off"]),
    help="Whether dropout stays active in the draws: one set of weights is a deterministic network "
    "or, by Monte Carlo dropout, a Bayesian one.",
)
@click.option(
    "--statistics-data",
    metavar="DIR",
    help="Estimate the BatchNorm statistics of each draw on this dataset (the clips that the model "
    "was trained on), and keep them in the SavedModel: better calibrated draws of a random trunk.",
)
@click.option("--seconds", type=float, metavar="S", help="Accept waveforms of this length only.")
@click.option(
    "--version", type=int, metavar="N", help="Number of the version; by default the next one."
)
@click.option(
    "--metrics",
    multiple=True,
    metavar="FILE",
    help="metrics.json of an evaluation, for the model card; may be repeated.",
)
@click.option("--licence", metavar="TEXT", help="Licence of the weights, for the model card.")
def export(
    model: str,
    num_draws: int | None,
    seed: int | None,
    out: str,
    precision: Precision | None,
    draw_storage: DrawStorage | None,
    signs: Signs | None,
    dropout: str | None,
    statistics_data: str | None,
    seconds: float | None,
    version: int | None,
    metrics: tuple[str, ...],
    licence: str | None,
) -> None:
    """Write a version of a model with other serving settings."""
    from vipann_tf.face.exporting import export as run

    folder = run(
        model,
        out,
        num_draws=num_draws,
        seed=seed,
        precision=precision,
        draw_storage=draw_storage,
        signs=signs,
        dropout=None if dropout is None else dropout == "on",
        statistics_data=statistics_data,
        seconds=seconds,
        version=version,
        metrics=metrics,
        licence=licence,
    )
    print_model(folder)


@click.command(
    cls=Command,
    example="vipann-tf ensemble models/seed0 models/seed1 models/seed2 --out models/mine",
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@common("num_draws", "seed", "out", "overwrite")
@click.option(
    "--weights",
    metavar="N,N,...",
    help="How often each model draws per round, in their order; by default once.",
)
def ensemble(
    models: tuple[str, ...],
    num_draws: int | None,
    seed: int | None,
    out: str,
    overwrite: bool,
    weights: str | None,
) -> None:
    """Make one model whose draws go round several models."""
    numbers = None
    if weights is not None:
        try:
            numbers = [int(weight) for weight in weights.split(",")]
        except ValueError:
            raise UserError(f"--weights is {weights!r}; give whole numbers such as 2,1,1") from None
    from vipann_tf.saved_model.ensembling import ensemble as make

    make(models, out, weights=numbers, num_draws=num_draws, seed=seed, overwrite=overwrite)
    print_model(out)


@click.command(
    cls=Command,
    example="vipann-tf info models/mine",
)
@click.argument("path")
def info(path: str) -> None:
    """Describe a model or dataset directory."""
    from vipann_tf.files.storage import join, size
    from vipann_tf.records import schema

    if size(join(path, schema.INFO_FILE)) is not None:
        print_dataset(path, schema.read_dataset_info(path))
        return
    from vipann_tf.saved_model.versions import finished_versions
    from vipann_tf.training.run import unfinished

    run = unfinished(path)
    if run:
        print_unfinished(path, run)
    if not run or finished_versions(path):
        print_model(path)


COMMANDS = (import_, export, ensemble, info)
