"""predict: labels and uncertainty of recordings, short or long."""

import sys
from typing import TYPE_CHECKING

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import ThresholdChoice, common
from vipann_tf.cli.printing import terminal
from vipann_tf.errors import UserError

if TYPE_CHECKING:  # most of these import TensorFlow
    import numpy as np
    from numpy.typing import NDArray

    from vipann_tf.audio.channels import Channel
    from vipann_tf.saved_model.thresholds import Threshold
    from vipann_tf.saved_model.timeline import Listener


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
    type=ThresholdChoice(),
    show_default="0.5",
    metavar="P|calibrated",
    help="With --window: minimum probability of a detected label; calibrated: that of each label, "
    "which calibrate --precision or --recall has stored.",
)
@click.option(
    "--plot",
    metavar="FILE.png|FILE.html",
    help="With --window: draw the timeline, as a picture or as a page that plays the sound.",
)
@click.option(
    "--time-expansion",
    type=float,
    metavar="F",
    help="Slow recordings down F times; by default, and at most, as the model was trained.",
)
@common("channel", "strict", "server", "deadline")
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
    threshold: "Threshold | None",
    plot: str | None,
    time_expansion: float | None,
    channel: "Channel",
    strict: bool,
    server: str | None,
    deadline: float,
) -> None:
    """Label audio files, and show how certain the model is."""
    if window is not None:
        if len(files) != 1:
            raise UserError(f"--window takes one FILE, but {len(files)} were given")
    else:
        for name, given in {"--hop": hop, "--threshold": threshold, "--plot": plot}.items():
            if given is not None:
                raise UserError(
                    f"{name} is for long recordings; give --window too, such as --window 10"
                )
        if style in ("raven", "audacity"):
            raise UserError(f"--format {style} needs --window, such as --window 10")

    if plot is not None:
        from vipann_tf.timelines.file import check_place

        check_place(plot, "--plot")

    from vipann_tf.cli.printing.answers import AnswerPrinter
    from vipann_tf.cli.printing.notices import print_notices
    from vipann_tf.saved_model.connection import connect
    from vipann_tf.saved_model.predict import Predictor, Refusal
    from vipann_tf.saved_model.thresholds import label_thresholds, threshold_notices
    from vipann_tf.saved_model.timeline import Listener

    connection = connect(
        model, num_draws=num_draws, seed=seed, server=server, deadline_s=deadline, trust=trust
    )
    if window is not None:
        listener = Listener(
            connection,
            window_s=window,
            hop_s=window / 4 if hop is None else hop,
            channel=channel,
            time_expansion=time_expansion,
        )
        threshold = 0.5 if threshold is None else threshold
        thresholds = label_thresholds(connection.info, threshold, model)
        heard_s = window * listener.time_expansion
        known = threshold_notices(
            connection.info, threshold, connection.labels, model, window_s=heard_s
        )
        print_notices(known)
        if strict and known:  # before hours of listening
            raise UserError(f"{model}: there are notices, which --strict makes errors")
        _listen(listener, connection.labels, files[0], style, top, thresholds, plot)
        if strict and listener.notices(files[0]):
            raise UserError(f"{files[0]}: there are notices, which --strict makes errors")
        return
    predictor = Predictor(connection, channel=channel, time_expansion=time_expansion)
    conformal = connection.info.calibration.conformal
    printer = AnswerPrinter(connection.labels, top=top, style=style, conformal=conformal)
    refused = False
    with terminal.progress("Listening") as show:
        for done, answer in enumerate(predictor.answers(files), start=1):
            if isinstance(answer, Refusal):
                click.echo(f"Error: {answer.path}: {answer.error}", err=True)
            elif strict and answer.notices:
                first = answer.notices[0]
                click.echo(f"Error: {answer.path}: {first.kind}: {first.detail}", err=True)
            else:
                print_notices(answer.notices)
                printer.print(answer)
            refused |= isinstance(answer, Refusal) or bool(strict and answer.notices)
            show(done, len(files))
    if refused:
        sys.exit(1)


def _listen(
    listener: "Listener",
    labels: list[str],
    path: str,
    style: str,
    top: int,
    thresholds: "NDArray[np.float32]",
    plot: str | None,
) -> None:
    """Print the timeline of a recording."""
    from vipann_tf.audio.decoding import DecodeError, duration_s
    from vipann_tf.audio.recording import open_recording
    from vipann_tf.cli.printing.notices import print_notices
    from vipann_tf.datasets.selection_files import TabledRecording
    from vipann_tf.scans.timeline import heard_by
    from vipann_tf.timelines.file import TimelineFile
    from vipann_tf.timelines.text import timeline

    fault, heard = None, 0
    try:
        seconds = duration_s(path)
        with open_recording(path) as opened:
            recording = TabledRecording(path, opened.rate_hz, seconds, listener.time_expansion)
        shown = timeline(
            style,
            sys.stdout,
            recording,
            labels,
            top=top,
            threshold=thresholds,
            hop_s=listener.hop_s,
        )
        drawn = None
        if plot is not None:
            what, said = heard_by(listener, labels, path, seconds, thresholds)
            print_notices(said)
            drawn = TimelineFile(plot, what)
        with terminal.progress("Listening") as show:
            try:
                for answered in listener.listen(path, show):
                    shown.add(answered)
                    heard += 1
                    if drawn is not None:
                        drawn.add(answered)
            except DecodeError as error:
                if not heard:
                    raise
                fault = error  # what was heard is kept
        shown.close()
        print_notices(listener.notices(path))
        if drawn is not None:
            drawn.write(path)
            click.echo(f"Wrote {plot}", err=True)
    except DecodeError as error:
        raise UserError(f"{path}: {error}") from error
    if fault is not None:
        raise UserError(f"{path}: {fault}; what was heard before is complete") from fault


COMMANDS = (predict,)
