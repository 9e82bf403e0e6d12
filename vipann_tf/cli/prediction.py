"""predict: labels and uncertainty of recordings, short or long."""

import sys
from typing import TYPE_CHECKING

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import common
from vipann_tf.errors import UserError

if TYPE_CHECKING:  # it imports TensorFlow
    from vipann_tf.saved_model.connection import Connection


@click.command(
    cls=Command,
    example="vipann-tf predict models/mine clip.wav other.flac --top 5",
)
@click.argument("model")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common("num_draws", "seed", "trust")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="K",
    help="Number of labels to show per file.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "csv", "raven", "audacity"]),
    default="table",
    show_default=True,
    help="With --window: csv and json hold every window; table, raven and audacity hold the "
    "detections.",
)
@click.option(
    "--window",
    type=float,
    metavar="S",
    help="Split one long FILE into windows of this length; memory does not grow with its length.",
)
@click.option(
    "--hop",
    type=float,
    metavar="S",
    help="With --window: step between windows; by default a quarter of a window.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="P",
    help="With --window: minimum probability of a detected label.",
)
@click.option("--plot", metavar="FILE.png", help="With --window: draw the timeline.")
@click.option(
    "--server",
    metavar="HOST:PORT",
    help="Ask a running TensorFlow Serving (gRPC) that serves MODEL; HOST:PORT/NAME if it serves "
    "it under another name.",
)
@click.option(
    "--deadline",
    type=float,
    default=60.0,
    show_default=True,
    metavar="S",
    help="With --server: time limit per request.",
)
def predict(
    model: str,
    files: tuple[str, ...],
    num_draws: int | None,
    seed: int | None,
    trust: bool,
    top: int,
    style: str,
    window: float | None,
    hop: float | None,
    threshold: float,
    plot: str | None,
    server: str | None,
    deadline: float,
) -> None:
    """Label audio files, and show how certain the model is."""
    if window is not None:
        if len(files) != 1:
            raise UserError(f"--window takes one FILE, but {len(files)} were given")
    else:
        for name, given in {"--hop": hop, "--plot": plot}.items():
            if given is not None:
                raise UserError(
                    f"{name} is for long recordings; give --window too, such as --window 10"
                )
        if style in ("raven", "audacity"):
            raise UserError(f"--format {style} needs --window, such as --window 10")

    from vipann_tf.cli.printing.answers import print_answers
    from vipann_tf.saved_model.connection import connect
    from vipann_tf.saved_model.predict import Answer, Predictor, Refusal

    connection = connect(
        model, num_draws=num_draws, seed=seed, server=server, deadline_s=deadline, trust=trust
    )
    if window is not None:
        hop = window / 4 if hop is None else hop
        _listen(connection, files[0], window, hop, style, top, threshold, plot)
        return
    found = Predictor(connection).answer(files)
    answers = [answer for answer in found if isinstance(answer, Answer)]
    conformal = connection.info.calibration.conformal
    print_answers(answers, connection.labels, top=top, style=style, conformal=conformal)
    refusals = [answer for answer in found if isinstance(answer, Refusal)]
    for refusal in refusals:
        click.echo(f"Error: {refusal.path}: {refusal.error}", err=True)
    if refusals:
        sys.exit(1)


def _listen(
    connection: "Connection",
    path: str,
    window: float,
    hop: float,
    style: str,
    top: int,
    threshold: float,
    plot: str | None,
) -> None:
    """Print the timeline of a recording."""
    from vipann_tf.audio.decoding import DecodeError, duration_s
    from vipann_tf.cli.printing import terminal
    from vipann_tf.evaluation.timeline_figure import TimelineFigure
    from vipann_tf.evaluation.timeline_files import timeline
    from vipann_tf.saved_model.timeline import Listener

    listener = Listener(connection, window_s=window, hop_s=hop)
    try:
        seconds = duration_s(path)
        shown = timeline(style, sys.stdout, path, connection.labels, top=top, threshold=threshold)
        figure = TimelineFigure(connection.labels, seconds) if plot else None
        with terminal.progress("Listening") as show:
            for answered in listener.listen(path, show):
                shown.add(answered)
                if figure is not None:
                    figure.add(answered)
    except DecodeError as error:
        raise UserError(f"{path}: {error}") from error
    shown.close()
    if figure is not None and plot is not None:
        figure.write(plot)
        click.echo(f"Wrote {plot}", err=True)


COMMANDS = (predict,)
