"""Whether a label was present at all in a period, from a scan with the draws of its windows."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from vipann_tf.errors import UserError
from vipann_tf.files.atomic import write_text
from vipann_tf.files.paths import StrPath
from vipann_tf.records.summary import table_csv
from vipann_tf.scans import store
from vipann_tf.scans.finished import (
    dictionary,
    list_rows,
    read_batches,
    read_state,
    recorder_of,
    row_times_s,
)
from vipann_tf.uncertainty.presence import log_absence, presence

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PERIODS", "Period", "PresenceRow", "measure_presence", "write_presence"]

PRESENCE_FILE = "presence.csv"
Period = Literal["hour", "day", "all"]
# Period -> NumPy's unit of time.
PERIODS: dict[Period, str] = {"hour": "h", "day": "D", "all": ""}
# Rounding of the ends of windows.
_TOUCHING_S = 1e-6


@dataclasses.dataclass(frozen=True)
class PresenceRow:
    """The presence of one label at one recorder in one period.

    Attributes:
      recorder: Folder of the recordings.
      period: Beginning of the period, as 2023-05-01 or 2023-05-01T05, local where the local time is
        known; empty for all of the recorder's sound, and for recordings whose time is not known.
      label: The label.
      windows: Number of windows that share no sound.
      heard_s: Seconds of sound in them.
      probability: Probability that the label was present.
      low, high: The interval over draws, see `uncertainty.presence`.
    """

    recorder: str
    period: str
    label: str
    windows: int
    heard_s: float
    probability: float
    low: float
    high: float


class _Sum:
    """What is added up over the windows of a recorder and a period."""

    def __init__(self, shape: tuple[int, int]):
        self.windows, self.heard_s = 0, 0.0
        self.log_absent = np.zeros(shape)


def measure_presence(
    scan: StrPath, *, period: Period = "day", level: float = 0.9
) -> list[PresenceRow]:
    """Compute the presence of each label, at each recorder, in each period that has sound.

    Windows that overlap one before are left out, since the same sound must not count twice. A
    window belongs to the period in which it begins. Memory does not grow with the windows.

    Args:
      scan: Directory of a finished scan with `--keep-draws`.
      period: "hour", "day" or "all".
      level: Share of the draws within the interval.

    Returns:
      Rows in order of recorder, period and label.

    Raises:
      UserError: An argument is wrong, or the scan is unfinished or has no draws.
    """
    scan = os.fspath(scan)
    state = read_state(scan)
    if period not in PERIODS:
        raise UserError(f"period is {period!r}; use one of {', '.join(PERIODS)}")
    if not state["settings"].get("draws"):
        raise UserError(f"{scan} has no draws; scan again with --keep-draws")
    labels: list[str] = state["settings"]["labels"]
    sums: dict[tuple[str, str], _Sum] = {}
    for recorder, start, table in _apart(scan, labels, period):
        draws = np.stack([list_rows(table, store.column(store.DRAWS, x)) for x in labels], axis=2)
        found = sums.setdefault((recorder, start), _Sum(draws.shape[1:]))
        found.windows += table.num_rows
        found.heard_s += float(np.sum(table["end_s"].to_numpy() - table["start_s"].to_numpy()))
        found.log_absent += log_absence(draws)
    rows = []
    for (recorder, start), found in sorted(sums.items()):
        result = presence(found.log_absent, level=level)
        for label, *values in zip(labels, result.probability, result.low, result.high, strict=True):
            numbers = map(float, values)
            rows.append(PresenceRow(recorder, start, label, found.windows, found.heard_s, *numbers))
    return rows


def write_presence(
    scan: StrPath,
    out: StrPath | None = None,
    *,
    period: Period = "day",
    level: float = 0.9,
) -> tuple[str, list[PresenceRow]]:
    """Write the presence as a CSV file; the arguments are those of `measure_presence`.

    Returns:
      The path of the file, by default `presence.csv` in the directory of the scan, and its rows.
    """
    rows = measure_presence(scan, period=period, level=level)
    path = os.path.join(scan, PRESENCE_FILE) if out is None else os.fspath(out)
    write_text(Path(path), table_csv(PresenceRow, rows).decode())
    return path, rows


def _apart(scan: str, labels: list[str], period: Period) -> Iterator[tuple[str, str, pa.Table]]:
    """Yield the recorder, the period and its windows that share no sound, part by part."""
    columns = ["recording", "start_s", "end_s", "time_utc", "time_local"]
    columns += [store.column(store.DRAWS, label) for label in labels]
    last, reached_s = "", 0.0
    for table in read_batches(scan, store.WINDOWS, columns):
        numbers, paths = dictionary(table, "recording")
        starts, ends = table["start_s"].to_numpy(), table["end_s"].to_numpy()
        kept = []
        for row, number in enumerate(numbers.tolist()):
            if paths[number] != last:
                last, reached_s = paths[number], 0.0
            if starts[row] >= reached_s - _TOUCHING_S:
                kept.append(row)
                reached_s = float(ends[row])
        recorders = [recorder_of(paths[numbers[row]]) for row in kept]
        begins = _begins(row_times_s(table)[kept], period)
        groups: dict[tuple[str, str], list[int]] = {}
        for row, key in zip(kept, zip(recorders, begins, strict=True), strict=True):
            groups.setdefault(key, []).append(row)
        for (recorder, begin), rows in groups.items():
            yield recorder, begin, table.take(rows)


def _begins(times_s: NDArray[np.float64], period: Period) -> list[str]:
    """Return the beginning of the period of each time, in words."""
    unit = PERIODS[period]
    if not unit:
        return [""] * len(times_s)
    known = ~np.isnan(times_s)
    whole = np.where(known, times_s, 0.0).astype("datetime64[s]").astype(f"datetime64[{unit}]")
    return np.where(known, np.datetime_as_string(whole), "").tolist()
