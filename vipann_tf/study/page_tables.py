"""The tables of a study as a page shows them: short names, groups, and nothing said twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vipann_tf.evaluation.around_zero import draw_around_zero, largest_end
from vipann_tf.study.table import Number, Table

__all__ = ["PageTable", "page_table", "short_names"]

# Columns of text that say what a row is about. All others have values.
_GROUPS = ("set of clips", "data", "mode")
_ARM = ("network", "strategy", "options", "training clips")
_PAIR = ("first", "second")
_COUNTS = ("clips", "folds", "folds x seeds")
_NAMES = ("acquisition", "labels")
# As many rows are shown as columns, if there are more values than rows.
_FEW = 4
_NO_DRAWING = Markup("")
_LONG = 60


@dataclass(frozen=True)
class Cell:
    """What a table holds at one place.

    Attributes:
      text: The number, or a text.
      ends: Ends of its interval, or empty.
      verdict: `better`, `worse` or empty.
      drawing: A difference, drawn around 0.
    """

    text: str
    ends: str = ""
    verdict: str = ""
    drawing: Markup = _NO_DRAWING


@dataclass(frozen=True)
class Group:
    """Rows of a table that have something in common.

    Attributes:
      title: What they have in common; may be empty.
      lines: Name of each row, and its cells.
      reference: What the rows are compared with, if they are differences.
    """

    title: str
    lines: list[tuple[str, list[Cell]]]
    reference: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table of the page.

    Attributes:
      name, title, note: Those of the table.
      common: What all of its rows have in common.
      headings: Headings of the columns, that of the names first.
      groups: Its rows. Of differences, those from the reference.
      others: Other differences, which may be empty.
    """

    name: str
    title: str
    note: str
    common: str
    headings: list[str]
    groups: list[Group]
    others: list[Group]

    @property
    def is_long(self) -> bool:
        """Whether the table is folded, since nobody reads that many rows."""
        return sum(len(group.lines) for group in self.groups) > _LONG


def short_names(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the shortest names by which the arms of rows can be told apart.

    Args:
      rows: Texts of each row by heading.
    """
    shares = {row.get("training clips", "") for row in rows} - {""}
    names = []
    for row in rows:
        share = row.get("training clips", "")
        parts = [row.get("strategy", ""), row.get("options", "")]
        parts.append(
            f"{share} of the clips" if len(shares) > 1 and share not in ("", "100 %") else ""
        )
        names.append(", ".join(filter(None, parts)))
    networks: dict[str, set[str]] = {}
    for name, row in zip(names, rows, strict=True):
        networks.setdefault(name, set()).add(row.get("network", ""))
    return [
        row.get("network", "")
        if not name
        else f"{name} of {row['network']}"
        if len(networks[name]) > 1
        else name
        for name, row in zip(names, rows, strict=True)
    ]


def page_table(table: Table) -> PageTable:
    """Arrange a table for the page.

    Args:
      table: A table with at least one row.
    """
    known = (*_GROUPS, *_ARM, *_PAIR, *_COUNTS, *_NAMES)
    texts = [
        {name: str(cell) for name, cell in _named(table, row) if name in known}
        for row in table.rows
    ]
    varying = [name for name in texts[0] if len({row[name] for row in texts}) > 1]
    kind, named = _names(texts)
    by = [x for x in (*_GROUPS, *_ARM, *_NAMES) if x in varying and x not in named]
    counts = [name for name in _COUNTS if name in varying]
    shown = [name for name in table.headings if name not in known]
    limits = {name: _limit(table, name) for name in shown}
    found: dict[tuple[str, str], list[tuple[str, list[Cell]]]] = {}
    references: dict[str, str] = {}
    for row, text, name in zip(table.rows, texts, kind[1], strict=True):
        cells = dict(_named(table, row))
        title = ", ".join(filter(None, (_said(x, text[x]) for x in by)))
        second = text.get("second", table.reference)
        is_main = references.setdefault(title, second) == second
        place = title, "" if is_main else "other"
        line = [Cell(text[x]) for x in counts]
        line += [_cell(cells[x], limits[x]) for x in shown]
        found.setdefault(place, []).append((name, line))
    groups, others = (
        [
            Group(x, lines, references[x] if main else "")
            for (x, of), lines in found.items()
            if (of == "") == main
        ]
        for main in (True, False)
    )
    headings = [kind[0], *counts, *shown]
    if len(groups) == 1 and not groups[0].reference and not counts:
        headings, groups = _turned(headings, groups[0])
    constant = (
        _said(x, texts[0][x]) for x in texts[0] if x not in (*varying, *_PAIR, *named) and x in text
    )
    return PageTable(
        *(table.name, table.title, table.note),
        common=" · ".join(filter(None, constant)),
        headings=headings,
        groups=groups,
        others=others,
    )


def _names(texts: Sequence[dict[str, str]]) -> tuple[tuple[str, list[str]], tuple[str, ...]]:
    """Return heading and names of the rows, and the columns that are in the names."""
    if "first" in texts[0]:
        names = [f"{row['first']} less {row['second']}" for row in texts]
        return ("strategies", names), _PAIR
    for heading in reversed(_NAMES):
        if heading in texts[0]:
            return (heading, [row[heading] for row in texts]), (heading,)
    heading = "strategy" if "strategy" in texts[0] else "network"
    return (heading, short_names(texts)), _ARM


def _said(heading: str, text: str) -> str:
    """Return a text with its heading, where it would not be understood without it."""
    if heading in _COUNTS or heading in ("network", "training clips"):
        return f"{heading}: {text}" if text else ""
    return text


def _turned(headings: list[str], group: Group) -> tuple[list[str], list[Group]]:
    """Return few rows of many values as columns."""
    if len(group.lines) > _FEW or len(group.lines) >= len(headings) - 1:
        return headings, [group]
    lines = [
        (heading, [cells[i] for _, cells in group.lines]) for i, heading in enumerate(headings[1:])
    ]
    return ["", *(name for name, _ in group.lines)], [Group("", lines)]


def _named(table: Table, row: Sequence[str | Number]) -> list[tuple[str, str | Number]]:
    return list(zip(table.headings, row, strict=True))


def _limit(table: Table, heading: str) -> float:
    cells = [row[table.headings.index(heading)] for row in table.rows]
    return largest_end(cell.found for cell in cells if isinstance(cell, Number))


def _cell(cell: str | Number, limit: float) -> Cell:
    if not isinstance(cell, Number):
        value, _, ends = cell.partition(" (")  # "61 (52 to >120)", see `curves.labels_needed`
        return Cell(value, ends.removesuffix(")"))
    value, _, ends = cell.text.partition(" (")
    drawing = draw_around_zero(cell.found, limit) if cell.signed else _NO_DRAWING
    return Cell(value, ends.removesuffix(")"), cell.verdict, drawing)
