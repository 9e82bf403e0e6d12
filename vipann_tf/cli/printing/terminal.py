"""Progress, tables and numbers on the terminal. Results go to stdout, progress to stderr."""

import contextlib
import datetime
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

# Time between lines if a log file takes the place of the terminal.
LOG_INTERVAL_S = 30.0


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[..., None]]:
    """Yield a function of (done, total, note="") that shows the progress of a command."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _log_lines(title)
        return
    columns = (
        TextColumn(title),
        BarColumn(bar_width=None),
        TextColumn("{task.completed}/{task.total} {task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total, note="": bar.update(task, completed=done, total=total, note=note)


def _log_lines(title: str) -> Callable[..., None]:
    last = time.monotonic()
    first = before = None

    def show(done: int, total: int, note: str = "") -> None:
        nonlocal last, first, before
        now = time.monotonic()
        if before is None or done < before[0] or total != before[1]:  # a new task
            first = (done, now)
        before = (done, total)
        if now - last >= LOG_INTERVAL_S:
            last = now
            left = ""
            if done > first[0]:
                seconds = (now - first[1]) * (total - done) / (done - first[0])
                left = f", {datetime.timedelta(seconds=round(seconds))} left"
            print(f"{title} {done}/{total} {note}".rstrip() + left, file=sys.stderr, flush=True)

    return show


def table(
    columns: Mapping[str, str], rows: Iterable[Sequence[str]], title: str | None = None
) -> None:
    """Print rows under headings.

    Args:
      columns: Heading -> `left` or `right`.
      rows: Cells, as text.
      title: Line above the table.
    """
    result = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading, side in columns.items():
        result.add_column(heading, justify="right" if side == "right" else "left", overflow="fold")
    for row in rows:
        result.add_row(*row)
    Console(highlight=False, soft_wrap=not sys.stdout.isatty()).print(result)


def number(value: float | int | None) -> str:
    """Format a number with three decimals; give a dash for `None`."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
