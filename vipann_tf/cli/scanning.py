"""scan: a model's answers for many long recordings, and what became of them."""

import datetime
import sys
import time
from typing import TYPE_CHECKING

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import ThresholdChoice, common
from vipann_tf.cli.printing import terminal
from vipann_tf.cli.printing.notices import print_notices

if TYPE_CHECKING:  # these import NumPy
    from vipann_tf.audio.channels import Channel
    from vipann_tf.face.scanning import Format
    from vipann_tf.saved_model.thresholds import Threshold
    from vipann_tf.scans.clips import Choice
    from vipann_tf.scans.planning import Scan
    from vipann_tf.scans.summary import ScanResult


@click.command(
    cls=Command,
    context_settings={"ignore_unknown_options": True},
    example="vipann-tf scan models/mine recordings/ --out scans/may --workers 2",
)
@click.argument("model")
@click.argument("recordings", nargs=-1, required=True, metavar="RECORDINGS... [BEAM OPTIONS]")
@click.option("--out", required=True, metavar="DIR", help="Directory to make, or to go on with.")
@click.option(
    "--window",
    type=float,
    metavar="S",
    help="Length of a window; by default that of the clips that the model was trained on.",
)
@click.option(
    "--hop", type=float, metavar="S", help="Time between windows; by default half a window."
)
@click.option(
    "--threshold",
    type=ThresholdChoice(),
    default="0.5",
    show_default=True,
    metavar="P|calibrated",
    help="Least probability of a detection; calibrated: that of each label, from calibrate.",
)
@click.option(
    "--format",
    "styles",
    type=click.Choice(["raven", "audacity", "csv"]),
    multiple=True,
    help="Write the detections as tables, too; may be repeated.",
)
@click.option(
    "--extract",
    type=click.IntRange(1),
    metavar="N",
    help="Cut N detections of each label out as clips to verify; prepare csv reads their list.",
)
@click.option(
    "--extract-by",
    type=click.Choice(["best", "random", "uncertain"]),
    default="best",
    show_default=True,
    help="Which detections are cut out.",
)
@click.option(
    "--start", default="", metavar="TIME", help="When the one recording began: 2023-05-01T05:00:00."
)
@click.option(
    "--timezone",
    default="",
    metavar="ZONE",
    help="Zone of recorders' times without an offset: UTC, +02:00, Europe/Berlin.",
)
@click.option(
    "--labels",
    multiple=True,
    metavar="NAME",
    help="A label to keep; may be repeated. Default: all.",
)
@click.option("--embeddings", is_flag=True, help="Store the embedding of each window, too.")
@click.option(
    "--keep-draws",
    "draws",
    is_flag=True,
    help="Store the probabilities of every draw, too: for presence.",
)
@click.option(
    "--workers",
    type=int,
    metavar="N",
    help="Processes, by default 1; each loads the model, and they share the cores.",
)
@click.option(
    "--runner",
    metavar="NAME",
    help="Scan on a cluster by Apache Beam: dask, or another of its runners, to which all options "
    "go that are not listed here.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would be scanned, and how long it would take; write nothing.",
)
@common("num_draws", "seed", "channel", "trust", "server", "deadline")
@click.option("--overwrite", is_flag=True, help="Start anew, if --out holds a scan.")
def scan(
    model: str,
    recordings: tuple[str, ...],
    out: str,
    window: float | None,
    hop: float | None,
    threshold: "Threshold",
    styles: "tuple[Format, ...]",
    extract: int | None,
    extract_by: "Choice",
    start: str,
    timezone: str,
    labels: tuple[str, ...],
    embeddings: bool,
    draws: bool,
    workers: int | None,
    runner: str | None,
    dry_run: bool,
    num_draws: int | None,
    seed: int | None,
    channel: "Channel",
    trust: bool,
    server: str | None,
    deadline: float,
    overwrite: bool,
) -> None:
    """Answer every window of many recordings, into Parquet files.

    RECORDINGS are audio files, folders, patterns, or CSV files with a column filename. The same
    command goes on where it was stopped.
    """
    from vipann_tf.face.scanning import carry_out
    from vipann_tf.scans.estimate import estimate_seconds
    from vipann_tf.scans.planning import plan_scan

    first = next((i for i, word in enumerate(recordings) if word.startswith("--")), len(recordings))
    recordings, beam_options = recordings[:first], recordings[first:]
    planned = plan_scan(
        model,
        recordings,
        window_s=window,
        hop_s=hop,
        threshold=threshold,
        num_draws=num_draws,
        seed=seed,
        channel=channel,
        labels=labels,
        embeddings=embeddings,
        draws=draws,
        start=start,
        timezone=timezone,
    )
    if dry_run:
        _print_plan(planned, out)
        if planned.units and runner is None:
            seconds = estimate_seconds(
                model, planned, server=server, deadline_s=deadline, trust=trust
            )
            took = datetime.timedelta(seconds=max(1, round(seconds)))
            click.echo(f"Estimated time, from one batch on this machine: {took}")
        return
    began, before = time.monotonic(), None
    hop_s = planned.settings.hop_s

    with terminal.progress("Scanning") as show:

        def on_progress(done: int, total: int, detected: int) -> None:
            nonlocal before
            before = done if before is None else before  # of an earlier run
            speed = (done - before) * hop_s / max(time.monotonic() - began, 1e-3)
            show(
                done,
                total,
                f"windows, {done * hop_s / 3600:.2f} h, {speed:.0f} times real time,"
                f" {detected} with detections",
            )

        result = carry_out(
            model,
            planned,
            out,
            formats=styles,
            extract=extract,
            extract_by=extract_by,
            workers=workers,
            runner=runner,
            beam_options=beam_options,
            server=server,
            deadline_s=deadline,
            trust=trust,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    _print_result(result, out)
    for table in result.tables:
        click.echo(f"Wrote {table}")
    if extract is not None:
        click.echo(f"Wrote {result.clips} clips: {out}/clips/clips.csv")
    for path, error in result.errors:
        click.echo(f"Error: {path}: {error}", err=True)
    if result.errors:
        sys.exit(1)


def _print_plan(planned: "Scan", out: str) -> None:
    usable = [recording for recording in planned.recordings if not recording.error]
    click.echo(
        f"{out} would hold {planned.windows} windows of {planned.settings.window_s:g} s, every"
        f" {planned.settings.hop_s:g} s, of {len(usable)} recordings"
        f" ({planned.seconds / 3600:.2f} h), in {len(planned.units)} parts"
    )
    print_notices(planned.notices)
    for recording in planned.recordings:
        if recording.error:
            click.echo(f"Error: {recording.path}: {recording.error}", err=True)


def _print_result(result: "ScanResult", out: str) -> None:
    print_notices(result.notices, file=f"{out}/notices.csv")
    heard = datetime.timedelta(seconds=round(result.heard_s))
    click.echo(f"{out}: {result.recordings} recordings, {heard} heard, {result.windows} windows")
    rows = [(label, str(count)) for label, count in result.detections.items()]
    if rows:
        terminal.table({"label": "left", "detections": "right"}, rows)
    else:
        click.echo("No label reached the threshold.")


COMMANDS = (scan,)
