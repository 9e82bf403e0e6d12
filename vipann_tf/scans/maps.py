"""Heat maps of a scan: what stands in each cell, of which colour, in words for everyone."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence

__all__ = ["Cell", "Heat", "date_of", "hours", "periods", "rate_map", "share_map", "short_names"]

HOUR_S = 3600
# Columns of a map of days; a longer time is shown by month.
MAP_DAYS = 400
# Share of the most sound: seconds that run over into the next hour make no rate.
ENOUGH_SOUND = 0.05
_EPOCH = datetime.date(1970, 1, 1)


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a heat map.

    Attributes:
      text: What it shows; empty where there is no sound.
      share: Its colour, from 0 to 1; `None` where there is no sound.
      title: All of it, in words.
    """

    text: str
    share: float | None
    title: str


@dataclasses.dataclass(frozen=True)
class Heat:
    """A heat map.

    Attributes:
      columns: Names of the columns.
      sound: Amount of sound in each.
      rows: Name of each row and its cells.
    """

    columns: list[str]
    sound: list[str]
    rows: list[tuple[str, list[Cell]]]


def periods(days: Sequence[int]) -> tuple[list[str], dict[int, int]]:
    """Return the columns of a map of days, and the column of each day.

    All days from the first to the last have one, also those without sound; if these are more than
    `MAP_DAYS`, the months that have sound.

    Args:
      days: Days since 1970.
    """
    if not days:
        return [], {}
    if max(days) - min(days) < MAP_DAYS:
        every = range(min(days), max(days) + 1)
        return [date_of(day) for day in every], {day: day - min(days) for day in every}
    months = {day: date_of(day)[: len("2023-05")] for day in days}
    names = sorted(set(months.values()))
    places = {name: i for i, name in enumerate(names)}
    return names, {day: places[month] for day, month in months.items()}


def rate_map(
    columns: Sequence[str],
    sound_s: Sequence[float],
    rows: Mapping[str, Mapping[int, int]],
    spans: Sequence[str] | None = None,
) -> Heat:
    """Return a map of detections per hour of sound; the greatest rate of a row has full colour.

    That of a column with less than `ENOUGH_SOUND` of the most sound is no measure for the others.

    Args:
      columns: Names of the columns.
      sound_s: Seconds of sound in each.
      rows: Name -> column -> number of detections.
      spans: What the titles call the columns; by default their names.
    """
    found = []
    enough_s = ENOUGH_SOUND * max(sound_s, default=0.0)
    for name, counts in rows.items():
        rates = [
            counts.get(i, 0) * HOUR_S / seconds if seconds > 0 else None
            for i, seconds in enumerate(sound_s)
        ]
        most = _most([rate for i, rate in enumerate(rates) if sound_s[i] >= enough_s])
        cells = []
        for i, (rate, span) in enumerate(zip(rates, spans or columns, strict=True)):
            if rate is None:
                cells.append(_silent(name, span))
            else:
                title = f"{name}, {span}: {counts.get(i, 0)} in {hours(sound_s[i])} of sound"
                cells.append(Cell(_short(rate), min(rate / most, 1.0), title))
        found.append((name, cells))
    sound = [_short(seconds / HOUR_S) if seconds > 0 else "" for seconds in sound_s]
    return Heat(list(columns), sound, found)


def share_map(
    columns: Sequence[str], rows: Sequence[tuple[str, Sequence[int], Sequence[int]]]
) -> Heat:
    """Return a map of shares, in percent; the greatest of all has full colour.

    Args:
      columns: Names of the columns.
      rows: Name, number of windows in each column, and how many of them count.
    """
    shares = [
        [n / of if of else None for of, n in zip(every, some, strict=True)]
        for _, every, some in rows
    ]
    most = _most([share for row in shares for share in row])
    found = []
    for (name, every, some), row in zip(rows, shares, strict=True):
        cells = []
        for i, (share, span) in enumerate(zip(row, columns, strict=True)):
            if share is None:
                cells.append(_silent(name, span))
            else:
                title = f"{name}, {span}: {some[i]} of {every[i]} windows"
                cells.append(Cell(_short(100 * share), share / most, title))
        found.append((name, cells))
    return Heat(list(columns), [], found)


def short_names(folders: Sequence[str]) -> dict[str, str]:
    """Return a name of each folder, without what all of them begin with."""
    parts = {folder: folder.replace("\\", "/").rstrip("/").split("/") for folder in folders}
    common = 0
    for words in list(zip(*parts.values(), strict=False))[:-1]:  # each keeps a word
        if len(set(words)) > 1:
            break
        common += 1
    return {folder: "/".join(words[common:]) or folder for folder, words in parts.items()}


def date_of(day: int) -> str:
    """Return a day since 1970 as 2023-05-01."""
    return str(_EPOCH + datetime.timedelta(days=day))


def hours(seconds: float) -> str:
    """Return a length in the unit that people would use."""
    if seconds < 100:
        return f"{seconds:.0f}\N{NO-BREAK SPACE}s"
    if seconds < 2 * HOUR_S:
        return f"{seconds / 60:.0f}\N{NO-BREAK SPACE}min"
    value = seconds / HOUR_S
    return f"{value:,.{0 if value >= 100 else 1}f}\N{NO-BREAK SPACE}h"


def _silent(name: str, span: str) -> Cell:
    return Cell("", None, f"{name}, {span}: no sound")


def _most(values: Sequence[float | None]) -> float:
    return max((value for value in values if value is not None), default=0.0) or 1.0


def _short(value: float) -> str:
    """Return a number of three characters, where that is possible."""
    if value == 0 or value >= 9.95:
        return f"{value:.0f}"
    return "<.1" if value < 0.05 else f"{value:.1f}"
