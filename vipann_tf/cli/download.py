"""download: published data sets and checkpoints, by name."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import common
from vipann_tf.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vipann_tf.downloads import Entry

_UNVERIFIED = {
    "address": "whether this address works is not known",
    "checksum": "no published checksum was found, so only its length is checked",
}


@click.command(
    cls=Command,
    example="vipann-tf download esc50",
)
@click.argument("name", required=False)
@click.option("--list", "list_only", is_flag=True, help="Show the names; fetch nothing.")
@click.option(
    "--out",
    metavar="DIR",
    help="Directory to make; by default NAME in the user's cache, or in the directory that the "
    "environment variable VIPANN_TF_CACHE names.",
)
@click.option(
    "--table",
    metavar="YAML",
    help="Take names and addresses from this file, e.g. those of a mirror.",
)
@common("overwrite")
def download(
    name: str | None, list_only: bool, out: str | None, table: str | None, overwrite: bool
) -> None:
    """Fetch a published data set or checkpoint.

    The same command resumes a transfer that was interrupted. A directory that is complete is not
    fetched again.
    """
    from vipann_tf import downloads
    from vipann_tf.cli.printing import terminal

    entries = downloads.read_table(table)
    if list_only:
        _print_list(entries)
        return
    if name is None:
        raise UserError(f"download needs a name: {', '.join(entries)}; --list describes them")
    entry = downloads.find(name, entries)
    directory = Path(out) if out else downloads.default_directory(name)
    if not overwrite and downloads.is_complete(directory, name):
        click.echo(f"{directory} holds {name} already; --overwrite fetches it again")
    else:
        _print_entry(name, entry, directory)
        with terminal.progress("Downloading") as show:
            downloads.download(
                name,
                entry,
                directory,
                overwrite=overwrite,
                on_progress=show,
                on_notice=lambda text: click.echo(text, err=True),
            )
        click.echo(f"Wrote {directory}")
    if entry.how:
        click.echo(entry.how)
    if entry.then:
        click.echo(f"Next: {entry.then.format(path=shlex.quote(str(directory)))}")


def _print_list(entries: Mapping[str, Entry]) -> None:
    from vipann_tf.cli.printing import terminal

    rows = [
        (name, f"{entry.expected_mb:.0f}" if entry.files else "-", entry.licence, entry.title)
        for name, entry in entries.items()
    ]
    columns = {"name": "left", "MB": "right", "licence": "left", "what": "left"}
    terminal.table(columns, rows)


def _print_entry(name: str, entry: Entry, directory: Path) -> None:
    """Say what will be fetched, from where, and under which licence."""
    click.echo(f"{name}: {entry.title}")
    click.echo(f"source   {entry.page}")
    click.echo(f"licence  {entry.licence}")
    for file in entry.files:
        about = "" if file.size else "about "
        size = f"{file.expected_mb:.0f}" if file.expected_mb > 10 else f"{file.expected_mb:.2g}"
        click.echo(f"file     {file.name}, {about}{size} MB, {file.url}")
        if file.unverified:
            click.echo(f"         unverified: {_UNVERIFIED[file.unverified]}")
    if entry.files:
        click.echo(f"to       {directory}")


COMMANDS = (download,)
