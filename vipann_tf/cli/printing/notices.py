"""Notices on stderr, so that stdout holds answers alone."""

from collections import Counter
from collections.abc import Iterable

import click

from vipann_tf.notices import Notice

__all__ = ["print_notices"]

# Notices of one kind that are printed where all of them are in a file; the others are counted.
SHOWN = 5


def print_notices(notices: Iterable[Notice], *, file: str | None = None) -> None:
    """Print notices: all of them, or the first of each kind where a file holds them all.

    Args:
      notices: What to print.
      file: The file with all of them.
    """
    counts: Counter[str] = Counter()
    for notice in notices:
        counts[notice.kind] += 1
        if file is None or counts[notice.kind] <= SHOWN:
            where = notice.path
            if notice.clip_id and notice.clip_id not in notice.path:
                where = f"{notice.path} ({notice.clip_id})"
            click.echo(f"Notice: {where}: {notice.kind}: {notice.detail}", err=True)
    more = {kind: count - SHOWN for kind, count in counts.items() if count > SHOWN}
    if file is not None and more:
        text = ", ".join(f"{count} {kind}" for kind, count in sorted(more.items()))
        click.echo(f"Notice: more of the same: {text} (see {file})", err=True)
