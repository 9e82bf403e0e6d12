"""prepare and synthesize: labelled audio, from recordings or from a seed."""

from typing import TYPE_CHECKING, Any

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import common
from vipann_tf.cli.printing.directories import print_dataset, print_plan
from vipann_tf.cli.printing.notices import print_notices
from vipann_tf.errors import UserError

if TYPE_CHECKING:
    from vipann_tf.audio.channels import Channel
    from vipann_tf.records.clip_reading import Crop


class _Prepare(Command):
    """The command whose help lists the datasets."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the datasets below the options, then the example."""
        from vipann_tf.datasets import DATASETS

        with formatter.section("Datasets"):
            formatter.write_dl(
                [
                    (item.name, f"{item.summary}. {self._source(item.layout)}")
                    for item in DATASETS.values()
                ]
            )
        super().format_epilog(context, formatter)

    @staticmethod
    def _source(layout: str) -> str:
        return f"SOURCE: {layout}" if layout else "No SOURCE."


@click.command(
    cls=_Prepare,
    context_settings={"ignore_unknown_options": True},
    example="vipann-tf prepare folder recordings data/mine --seconds 5",
)
@click.argument("dataset")
@click.argument("paths", nargs=-1, required=True, metavar="[SOURCE] OUT [BEAM OPTIONS]")
@click.option(
    "--seconds",
    type=float,
    metavar="S",
    help="Clip length; clips are cut or padded to it. All times are those of the recordings.",
)
@click.option("--workers", type=int, metavar="N", help="Processes; by default all cores.")
@click.option(
    "--runner",
    metavar="NAME",
    help="Prepare on a cluster by Apache Beam: dask, or another of its runners, to which all "
    "options go that are not listed here.",
)
@click.option("--subset", help="esc50: esc10 for the subset of ten classes.")
@click.option("--task", help="folder, csv: multiclass or multilabel. synthetic: also ood.")
@click.option(
    "--windows",
    type=float,
    metavar="S",
    help="folder, csv, raven: cut recordings into windows of S seconds, which are the clips "
    "(raven: by default 5). The last one ends with the recording.",
)
@click.option(
    "--hop",
    type=float,
    metavar="S",
    help="With --windows: time between their begins; by default the length of a window.",
)
@click.option(
    "--holdout",
    type=float,
    metavar="SHARE",
    help="folder, csv, raven: make the splits train and test, with this share of the clips in "
    "test, such as 0.2. Labels are balanced, and no recording (or group) is in both.",
)
@click.option(
    "--folds",
    type=int,
    metavar="K",
    help="folder, csv, raven: make K folds in the same way. synthetic: number of folds of the "
    "multiclass task.",
)
@click.option("--seed", type=int, help="--holdout, --folds: seed. synthetic: seed of all sounds.")
@click.option(
    "--annotation-column",
    metavar="NAME",
    help="raven: column of the labels; by default Annotation, Species, Label ...",
)
@click.option(
    "--min-overlap",
    metavar="X",
    help="raven: what a window must hold of an annotation to carry its label: a share of it (or of "
    "the window, if that is shorter), or seconds, such as 0.25s; by default 50%.",
)
@click.option(
    "--unlabelled",
    type=click.Choice(["keep", "drop"]),
    help="raven: whether windows without a label are clips where none is true (keep, the default), "
    "or are left out, since the recordings are annotated only in part.",
)
@click.option(
    "--ignore-columns", metavar="NAME,...", help="csv: columns of the table to leave out."
)
@click.option("--clips", type=int, help="synthetic: number of clips.")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be written; decode and write nothing."
)
@click.option(
    "--crop",
    type=click.Choice(["first", "center", "loudest"]),
    default="first",
    show_default=True,
    help="Which part of a recording that is longer than a clip becomes the clip.",
)
@click.option(
    "--time-expansion",
    type=float,
    default=1.0,
    metavar="F",
    help="Slow recordings down F times, 10 for bats: 40 kHz becomes 4 kHz, and clips of 0.5 s last "
    "5 s.",
)
@common("channel", "strict", "overwrite")
def prepare(
    dataset: str,
    paths: tuple[str, ...],
    seconds: float | None,
    workers: int | None,
    runner: str | None,
    dry_run: bool,
    crop: "Crop",
    time_expansion: float,
    channel: "Channel",
    strict: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Turn labelled audio into a dataset directory of TFRecords."""
    from vipann_tf import datasets
    from vipann_tf.cli.printing import terminal
    from vipann_tf.face.preparation import list_source

    first = next((i for i, path in enumerate(paths) if path.startswith("--")), len(paths))
    paths, beam_options = paths[:first], paths[first:]
    needs_source = datasets.find(dataset).needs_source
    if len(paths) != 1 + needs_source:
        wanted = "SOURCE OUT" if needs_source else "OUT"
        raise UserError(f"prepare {dataset} takes {wanted}, but {len(paths)} paths were given")
    source = list_source(
        dataset, paths[0] if needs_source else None, seconds=seconds, channel=channel, **options
    )
    if source.counted:
        click.echo(source.counted)
    if dry_run:
        recorded_s = source.clip_seconds if seconds is None else seconds
        print_plan(source, paths[-1], recorded_s * time_expansion)
        return

    from vipann_tf.records.clip_reading import ClipReading
    from vipann_tf.records.prepare import prepare as run
    from vipann_tf.records.summary import read_notices

    with terminal.progress("Preparing") as show:
        info = run(
            source,
            paths[-1],
            seconds=seconds,
            workers=workers,
            overwrite=overwrite,
            strict=strict,
            reading=ClipReading(channel, time_expansion, crop),
            runner=runner,
            beam_options=beam_options,
            on_progress=show,
        )
    print_notices(read_notices(paths[-1]), file=f"{paths[-1]}/notices.csv")
    print_dataset(paths[-1], info)


@click.command(
    cls=Command,
    example="vipann-tf synthesize clip.wav --task multiclass --seed 7",
)
@click.argument("out", metavar="FILE.wav")
@click.option(
    "--task",
    type=click.Choice(["multilabel", "multiclass", "ood"]),
    default="multiclass",
    show_default=True,
    help="Kind of labels; ood: sounds that no label fits.",
)
@click.option(
    "--index", type=click.IntRange(0), default=0, show_default=True, help="Number of the clip."
)
@click.option(
    "--seconds", type=float, default=5.0, show_default=True, metavar="S", help="Clip length."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all sounds."
)
def synthesize(out: str, task: str, index: int, seconds: float, seed: int) -> None:
    """Write one clip of the synthetic dataset as a WAV file."""
    from vipann_tf.datasets import synthetic

    clip = synthetic.write_wav(out, task, index, seconds=seconds, seed=seed)
    click.echo(f"Wrote {out}: {', '.join(clip.labels)}")


COMMANDS = (prepare, synthesize)
