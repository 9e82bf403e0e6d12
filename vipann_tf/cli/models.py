"""import, export and info: model directories from elsewhere, for elsewhere, and explained."""

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import common
from vipann_tf.cli.printing.directories import print_dataset, print_model, print_unfinished


def _signs(help_text):
    return click.option("--signs", type=click.Choice(["channel", "activation"]), help=help_text)


@click.command("import", cls=Command)
@click.argument("checkpoint")
@click.option("--labels", metavar="CSV", help="Label names; by default AudioSet's 527.")
@_signs("Of Flipout layers; by default as the weights were trained.")
@common("out", "overwrite")
def import_(checkpoint, labels, signs, out, overwrite):
    """Turn a published PANNs or VI-PANN checkpoint (.pth) into a model directory."""
    from vipann_tf.published.importing import import_checkpoint

    import_checkpoint(checkpoint, out, labels=labels, signs=signs, overwrite=overwrite)
    print_model(out)


@click.command(cls=Command)
@click.argument("model")
@common("samples", "seed", "out")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    help="What it computes with; its variables stay float32.",
)
@click.option(
    "--draws",
    type=click.Choice(["sampled", "stored"]),
    help="Draw the networks in each request, or keep them in the SavedModel.",
)
@_signs("Where Flipout convolutions draw signs: another spread of the draws, the same weights.")
@click.option("--seconds", type=float, metavar="S", help="Take waveforms of this length only.")
@click.option(
    "--version", type=int, metavar="N", help="Number of the version; by default the next one."
)
@click.option(
    "--metrics",
    multiple=True,
    metavar="FILE",
    help="metrics.json of an evaluation, for the model card; may be repeated.",
)
@click.option("--licence", metavar="TEXT", help="Of the weights, for the model card.")
def export(model, samples, seed, out, precision, draws, signs, seconds, version, metrics, licence):
    """Write a version of a model with other settings of serving, at --out."""
    from vipann_tf.saved_model.reexport import reexport

    folder = reexport(
        model,
        out,
        samples=samples,
        seed=seed,
        precision=precision,
        draws=draws,
        signs=signs,
        fixed_seconds=seconds,
        evaluations=metrics,
        licence=licence,
        version=version,
    )
    print_model(folder)


@click.command(cls=Command)
@click.argument("path")
def info(path):
    """Say what a model or dataset directory is."""
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


COMMANDS = (import_, export, info)
