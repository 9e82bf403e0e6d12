"""Notices on stderr, so that stdout holds answers alone."""

from collections import Counter
from collections.abc import Iterable

import click

from vipann_tf.notices import Notice

__all__ = ["NoticePrinter"]

# Notices of one kind that are printed; the others are counted.
SHOWN = 5


class NoticePrinter:
    """A printer of notices as they come: the first of each kind in full, at the end a count.

    Args:
      file: Where all of them are found; `None` if they are not in a file.
    """

    def __init__(self, file: str | None = None):
        self._file = file
        self.counts: Counter[str] = Counter()

    def add(self, notices: Iterable[Notice]) -> None:
        """Print or count notices."""
        for notice in notices:
            self.counts[notice.kind] += 1
            if self.counts[notice.kind] <= SHOWN:
                where = notice.path
                if notice.clip_id and notice.clip_id not in notice.path:
                    where = f"{notice.path} ({notice.clip_id})"
                click.echo(f"Notice: {where}: {notice.kind}: {notice.detail}", err=True)

    def close(self) -> None:
        """Print what was counted alone."""
        more = {kind: count - SHOWN for kind, count in self.counts.items() if count > SHOWN}
        if more:
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(more.items()))
            where = f" (see {self._file})" if self._file else ""
            click.echo(f"Notice: more of the same: {counts}{where}", err=True)
