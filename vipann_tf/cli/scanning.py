"""scan: a model's answers for many long recordings, and what became of them."""

import datetime
import sys
import time
from typing import TYPE_CHECKING

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import common
from vipann_tf.cli.printing import terminal

if TYPE_CHECKING:  # these import NumPy
    from vipann_tf.audio.channels import Channel
    from vipann_tf.scan.run import Scan
    from vipann_tf.scan.summary import ScanResult


@click.command(
    cls=Command,
    example="vipann-tf scan models/mine recordings/ --out scans/may --workers 2",
)
@click.argument("model")
@click.argument("recordings", nargs=-1, required=True, metavar="RECORDINGS...")
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
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="P",
    help="Least probability of a detection.",
)
@click.option(
    "--labels",
    multiple=True,
    metavar="NAME",
    help="A label to keep; may be repeated. Default: all.",
)
@click.option("--embeddings", is_flag=True, help="Store the embedding of each window, too.")
@click.option(
    "--workers",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="Processes; each loads the model, and they share the cores.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be scanned; answer nothing.")
@common("num_draws", "seed", "channel", "trust", "server", "deadline")
@click.option("--overwrite", is_flag=True, help="Start anew, if --out holds a scan.")
def scan(
    model: str,
    recordings: tuple[str, ...],
    out: str,
    window: float | None,
    hop: float | None,
    threshold: float,
    labels: tuple[str, ...],
    embeddings: bool,
    workers: int,
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
    import numpy as np

    from vipann_tf.scan.run import plan_scan
    from vipann_tf.scan.run import scan as run

    planned = plan_scan(
        model,
        recordings,
        window_s=window,
        hop_s=hop,
        num_draws=num_draws,
        seed=seed,
        channel=channel,
        labels=labels,
        embeddings=embeddings,
    )
    if dry_run:
        _print_plan(planned, out)
        return
    began, before = time.monotonic(), None
    hop_s = planned.settings.hop_s

    with terminal.progress("Scanning") as show:

        def on_progress(done: int, total: int) -> None:
            nonlocal before
            before = done if before is None else before  # of an earlier run
            speed = (done - before) * hop_s / max(time.monotonic() - began, 1e-3)
            show(done, total, f"windows, {done * hop_s / 3600:.2f} h, {speed:.0f} times real time")

        result = run(
            model,
            planned,
            out,
            thresholds=np.full(len(planned.keep), threshold),
            workers=workers,
            server=server,
            deadline_s=deadline,
            trust=trust,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    _print_result(result, out)
    if result.errors:
        sys.exit(1)


def _print_plan(planned: "Scan", out: str) -> None:
    usable = [recording for recording in planned.recordings if not recording.error]
    click.echo(
        f"{out} would hold {planned.windows} windows of {planned.settings.window_s:g} s, every"
        f" {planned.settings.hop_s:g} s, of {len(usable)} recordings"
        f" ({planned.seconds / 3600:.2f} h), in {len(planned.units)} parts"
    )
    for recording in planned.recordings:
        if recording.error:
            click.echo(f"Error: {recording.path}: {recording.error}", err=True)


def _print_result(result: "ScanResult", out: str) -> None:
    from vipann_tf.cli.printing.notices import print_notices

    print_notices(result.notices, file=f"{out}/notices.csv")
    heard = datetime.timedelta(seconds=round(result.heard_s))
    click.echo(f"{out}: {result.recordings} recordings, {heard} heard, {result.windows} windows")
    rows = [(label, str(count)) for label, count in result.detections.items()]
    if rows:
        terminal.table({"label": "left", "detections": "right"}, rows)
    else:
        click.echo("No label reached the threshold.")
    for path, error in result.errors:
        click.echo(f"Error: {path}: {error}", err=True)


COMMANDS = (scan,)
