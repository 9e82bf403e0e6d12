"""The presence of labels as a map, from the table that `presence` wrote."""

from __future__ import annotations

import csv
import dataclasses
import os

from vipann_tf.scans import store
from vipann_tf.scans.maps import MAP_DAYS, Cell, Heat, short_names
from vipann_tf.scans.presence import PRESENCE_FILE

__all__ = ["PresenceMap", "read_presence_map"]


@dataclasses.dataclass(frozen=True)
class PresenceMap:
    """What the summary shows of the presence.

    Attributes:
      heat: A row for each label, or each label at a recorder, most probable first; `None` if there
        is no table.
      left_out: Number of rows and of periods that are not in it.
      problem: Why there is a table and no map; may be empty.
    """

    heat: Heat | None = None
    left_out: tuple[int, int] = (0, 0)
    problem: str = ""


def read_presence_map(scan: str, most_rows: int) -> PresenceMap:
    """Read the presence of a scan, if `presence` has written it beside its files.

    Args:
      scan: Directory of the scan.
      most_rows: Greatest number of rows.
    """
    path = os.path.join(scan, PRESENCE_FILE)
    if not os.path.isfile(path):
        return PresenceMap()
    if os.stat(path).st_mtime_ns < os.stat(os.path.join(scan, store.SCAN_FILE)).st_mtime_ns:
        return PresenceMap(problem="is older than the scan")
    found: dict[tuple[str, str], dict[str, tuple[float, str]]] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                value, low, high = (float(row[x]) for x in ("probability", "low", "high"))
                words = (
                    f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f} %) from "
                    f"{row['windows']} windows"
                )
                place = found.setdefault((row["recorder"], row["label"]), {})
                place[row["period"]] = value, words
    except (KeyError, TypeError, ValueError) as error:  # people edit tables
        return PresenceMap(problem=f"can't be read ({error!r})")
    if not found:
        return PresenceMap(problem="is empty")
    periods = sorted({period for cells in found.values() for period in cells})
    shown = periods[:MAP_DAYS]
    recorders = short_names(sorted({recorder for recorder, _ in found}))
    rows = []
    for (recorder, label), cells in found.items():
        name = label if len(recorders) == 1 else f"{label}, {recorders[recorder]}"
        rows.append((max(value for value, _ in cells.values()), name, cells))
    rows.sort(key=lambda row: (-row[0], row[1]))
    heat = Heat(
        [period or "all" for period in shown],
        [],
        [(name, [_cell(name, x, cells) for x in shown]) for _, name, cells in rows[:most_rows]],
    )
    return PresenceMap(heat, (len(rows[most_rows:]), len(periods[MAP_DAYS:])))


def _cell(name: str, period: str, cells: dict[str, tuple[float, str]]) -> Cell:
    if period not in cells:
        return Cell("", None, f"{name}, {period or 'all'}: no sound")
    value, words = cells[period]
    return Cell(f"{100 * value:.0f}", value, f"{name}, {period or 'all'}: {words}")
