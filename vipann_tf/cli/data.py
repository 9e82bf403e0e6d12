"""prepare and synthesize: labelled audio, from recordings or from a seed."""

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import common
from vipann_tf.cli.printing.directories import print_dataset, print_plan
from vipann_tf.errors import UserError


class _Prepare(Command):
    """Lists the datasets below the options."""

    def format_epilog(self, context, formatter):
        from vipann_tf.datasets import DATASETS

        with formatter.section("Datasets"):
            formatter.write_dl(
                [
                    (item.name, f"{item.summary}. {self._source(item.layout)}")
                    for item in DATASETS.values()
                ]
            )

    @staticmethod
    def _source(layout):
        return f"SOURCE: {layout}" if layout else "No SOURCE."


@click.command(cls=_Prepare, context_settings={"ignore_unknown_options": True})
@click.argument("dataset")
@click.argument("paths", nargs=-1, required=True, metavar="[SOURCE] OUT [BEAM OPTIONS]")
@click.option(
    "--seconds", type=float, metavar="S", help="Clip length; clips are cut or padded to it."
)
@click.option("--workers", type=int, metavar="N", help="Processes; by default all cores.")
@click.option("--subset", help="esc50: esc10 for its ten-class subset.")
@click.option("--task", help="folder, csv: multiclass or multilabel. synthetic: also ood.")
@click.option("--clips", type=int, help="synthetic: number of clips.")
@click.option("--seed", type=int, help="synthetic: seed.")
@click.option("--folds", type=int, help="synthetic: folds of the multiclass task.")
@click.option(
    "--dry-run", is_flag=True, help="Say what would be written; decode and write nothing."
)
@common("overwrite")
def prepare(dataset, paths, seconds, workers, dry_run, overwrite, **options):
    """Turn labelled audio into a dataset directory of TFRecords.

    Options that are not listed go to Apache Beam, such as --runner=FlinkRunner.
    """
    from vipann_tf import datasets
    from vipann_tf.cli.printing import terminal
    from vipann_tf.datasets.remote_tree import source_tree

    first = next((i for i, path in enumerate(paths) if path.startswith("--")), len(paths))
    paths, beam_options = paths[:first], paths[first:]
    needs_source = datasets.find(dataset).needs_source
    if len(paths) != 1 + needs_source:
        wanted = "SOURCE OUT" if needs_source else "OUT"
        raise UserError(f"prepare {dataset} takes {wanted}, but {len(paths)} paths were given")
    if "seconds" in datasets.find(dataset).options:
        options["seconds"] = seconds
    source = datasets.load(dataset, source_tree(paths[0]) if needs_source else None, **options)
    if dry_run:
        print_plan(source, paths[-1], seconds)
        return

    from vipann_tf.records.prepare import prepare as run

    with terminal.progress("Preparing") as show:
        info = run(
            source,
            paths[-1],
            seconds=seconds,
            workers=workers,
            overwrite=overwrite,
            beam_options=beam_options,
            on_progress=show,
        )
    print_dataset(paths[-1], info)


@click.command(cls=Command)
@click.argument("out", metavar="FILE.wav")
@click.option(
    "--task",
    type=click.Choice(["multilabel", "multiclass", "ood"]),
    default="multiclass",
    show_default=True,
)
@click.option(
    "--index", type=click.IntRange(0), default=0, show_default=True, help="Number of the clip."
)
@click.option("--seconds", type=float, default=5.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def synthesize(out, task, index, seconds, seed):
    """Write one clip of the synthetic dataset as a WAV file."""
    from vipann_tf.datasets import synthetic

    clip = synthetic.write_wav(out, task, index, seconds=seconds, seed=seed)
    click.echo(f"Wrote {out}: {', '.join(clip.labels)}")


COMMANDS = (prepare, synthesize)
