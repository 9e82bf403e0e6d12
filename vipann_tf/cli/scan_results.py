"""summary, timeline and presence: what a finished scan says about a season, and a recording."""

from typing import TYPE_CHECKING

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.printing import terminal

if TYPE_CHECKING:  # this imports NumPy
    from collections.abc import Mapping

    from vipann_tf.scans.presence import Period, PresenceRow


@click.command(cls=Command, example="vipann-tf summary scans/may")
@click.argument("scan", metavar="SCAN")
@click.option("--out", metavar="FILE.html", help="File to write; by default SCAN/summary.html.")
@click.option(
    "--unknown-above",
    metavar="NATS|RESULTS",
    help="Windows of more epistemic uncertainty are unknown to the model: a number, or the results "
    "of evaluate, whose 95 % quantile it is; by default the 95 % quantile of the scan itself.",
)
def summary(scan: str, out: str | None, unknown_above: str | None) -> None:
    """Write a finished scan's summary: one HTML page that works offline.

    Detections by hour of the day, by day and by recorder, what the model does not know, and the
    extracted clips.
    """
    from vipann_tf.scans.page import write_page

    page = write_page(scan, out, unknown_above=unknown_above)
    click.echo(f"Wrote {page.path} ({page.recordings} recordings, {page.detections} detections)")


@click.command(
    cls=Command,
    example="vipann-tf timeline scans/may 20230501_050000.WAV --out results/may-1.html",
)
@click.argument("scan", metavar="SCAN")
@click.argument("recording", metavar="RECORDING")
@click.option(
    "--out",
    required=True,
    metavar="FILE.html|FILE.png",
    help="File to write: a page that plays the sound, or a picture.",
)
def timeline(scan: str, recording: str, out: str) -> None:
    """Draw what a finished scan heard in one recording.

    Every detected label, over the spectrogram, with bands over the draws if the scan has
    --keep-draws. RECORDING is a path, or the end of one that no other recording has.
    """
    from vipann_tf.scans.timeline import write_timeline

    count = write_timeline(scan, recording, out)
    click.echo(f"Wrote {out} ({count} detection{'s' if count != 1 else ''})")


@click.command(cls=Command, example="vipann-tf presence scans/may --period day")
@click.argument("scan", metavar="SCAN")
@click.option(
    "--period",
    type=click.Choice(["hour", "day", "all"]),
    default="day",
    show_default=True,
    help="Time in which a label is present or not.",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Share of the draws within the interval.",
)
@click.option("--out", metavar="FILE.csv", help="File to write; by default SCAN/presence.csv.")
def presence(scan: str, period: "Period", level: float, out: str | None) -> None:
    """Write how probably each label was present, and when.

    It comes from the probabilities of all windows and draws, and no threshold; so the model should
    be calibrated. The scan needs --keep-draws.
    """
    from vipann_tf.scans.maps import short_names
    from vipann_tf.scans.presence import write_presence

    path, rows = write_presence(scan, out, period=period, level=level)
    names = short_names(sorted({row.recorder for row in rows}))
    terminal.table(
        {"label": "left", "expected": "right", "of": "right", "surest": "left", "where": "left"},
        [_presence_line(label, rows, names) for label in dict.fromkeys(row.label for row in rows)],
    )
    click.echo(f"Wrote {path} ({len(rows)} rows)")


def _presence_line(
    label: str, rows: "list[PresenceRow]", names: "Mapping[str, str]"
) -> tuple[str, ...]:
    mine = [row for row in rows if row.label == label]
    expected = sum(row.probability for row in mine)
    surest = max(mine, key=lambda row: row.probability)
    words = f"{surest.probability:.3f} ({surest.low:.3f} to {surest.high:.3f})"
    place = f"{names[surest.recorder]} {surest.period}".rstrip()
    return label, f"{expected:.1f}", str(len(mine)), words, place


COMMANDS = (summary, timeline, presence)
