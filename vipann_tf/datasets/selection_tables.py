"""Annotations as people keep them: selection tables of Raven, and label files of Audacity.

- Raven: a heading line, then a row per selection and view, separated by tabs. `Begin Time (s)`
  counts from the begin of all files that were opened together; `File Offset (s)` counts within
  `Begin File` (Raven Pro User's Manual, "Selection tables" and "Measurements").
- Audacity: no heading; begin, end and text, separated by tabs. A line that begins with a backslash
  holds the frequencies of the line before (Audacity Manual, "Importing and Exporting Labels").
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterator, Sequence

from vipann_tf.errors import UserError

__all__ = ["LABEL_COLUMNS", "Selection", "Table", "is_raven", "read_table"]

LABEL_COLUMNS = (
    "Annotation",
    "Species",
    "Label",
    "Common Name",
    "Scientific Name",
    "Class",
    "Type",
)
"""The usual columns of labels, the first ones preferred."""

_BEGIN, _END, _OFFSET = "begin time (s)", "end time (s)", "file offset (s)"
_FILES = ("begin path", "begin file")
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
# `predict --format audacity` ends a label with it.
_PROBABILITY = re.compile(r" \d{1,3} %$", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """One annotated stretch of a recording.

    Attributes:
      file: The recording as the table names it; empty if it names none.
      begin_s: Begin in seconds of that recording.
      end_s: End; equal to the begin for a point.
      label: What was heard, as it is written; empty if nobody wrote it.
      channel: Number of the channel, from 1.
    """

    file: str
    begin_s: float
    end_s: float
    label: str
    channel: int = 1


@dataclasses.dataclass(frozen=True)
class Table:
    """The content of a file of annotations.

    Attributes:
      selections: Every selection once, in the order of the file.
      names_files: Whether it has columns that name recordings.
      notices: Kind and detail of what was guessed.
    """

    selections: tuple[Selection, ...]
    names_files: bool = False
    notices: tuple[tuple[str, str], ...] = ()


def read_table(text: str, where: str, label_column: str | None = None) -> Table | None:
    """Read a selection table of Raven or a label file of Audacity, which the text itself shows.

    Args:
      text: Content of the file. An empty one is a label file without labels.
      where: Its path, for messages.
      label_column: Column of the labels in a selection table; by default the first of
        `LABEL_COLUMNS` that is there.

    Returns:
      The annotations; `None` if the text is neither.

    Raises:
      UserError: A column is missing, or a value is wrong; the message names the line.
    """
    if not text.strip():
        return Table(())
    if separator := _raven_separator(text):
        return _Raven(text, where, separator, label_column).table()
    fields = _first_line(text).split("\t")
    if len(fields) >= 2 and all(_is_number(field) for field in fields[:2]):
        return _audacity(text, where)
    return None


def is_raven(text: str) -> bool:
    """Return whether a text has the heading of a selection table."""
    return _raven_separator(text) is not None


def _raven_separator(text: str) -> str | None:
    for separator in "\t;,":
        heading = [_plain(name) for name in _first_line(text).split(separator)]
        if _BEGIN in heading and _END in heading:
            return separator
    return None


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


class _Raven:
    """A reader of one selection table."""

    def __init__(self, text: str, where: str, separator: str, label_column: str | None):
        self._where = where
        self._rows = _rows(text, where, separator)
        _, heading = next(self._rows)
        self._columns = {_plain(name): place for place, name in reversed(list(enumerate(heading)))}
        self._heading = [name.strip() for name in heading]
        self._files = [name for name in _FILES if name in self._columns]
        self._wanted = label_column

    def table(self) -> Table:
        rows = list(self._rows)
        label_column, notices = self._label_column([row for _, row in rows])
        numbers = _Numbers(self._where)
        found: dict[tuple, Selection] = {}
        for line, row in rows:
            selection = self._selection(line, row, label_column, numbers)
            # One row for each view of a selection.
            found.setdefault((self._value(row, "selection"), selection), selection)
        selections = tuple(found.values())
        files = list(dict.fromkeys(selection.file for selection in selections))
        if _OFFSET not in self._columns and len(files) > 1:
            raise UserError(
                f"{self._where} names {len(files)} recordings ({files[0]}, {files[1]} ...) but has"
                " no column 'File Offset (s)', and Begin Time may count over all of them; add this"
                " measurement in Raven and save the table again"
            )
        return Table(selections, bool(self._files), (*notices, *numbers.notices()))

    def _label_column(self, rows: Sequence[list[str]]) -> tuple[str, list[tuple[str, str]]]:
        """Return the column of the labels, and a notice if others might be meant."""
        if self._wanted is not None:
            if _plain(self._wanted) not in self._columns:
                raise UserError(
                    f"{self._where} has no column {self._wanted!r}; its columns are"
                    f" {', '.join(self._heading)}"
                )
            return _plain(self._wanted), []
        usual = [name for name in LABEL_COLUMNS if _plain(name) in self._columns]
        filled = [name for name in usual if any(self._value(row, _plain(name)) for row in rows)]
        if not usual:
            raise UserError(
                f"{self._where} has none of the columns {', '.join(LABEL_COLUMNS)}; say which holds"
                f" the labels (--annotation-column): {', '.join(self._heading)}"
            )
        chosen = (filled or usual)[0]
        if len(filled) < 2:
            return _plain(chosen), []
        detail = f"labels are taken from {chosen!r}, not from {', '.join(map(repr, filled[1:]))}"
        return _plain(chosen), [("annotation-column", detail)]

    def _selection(
        self, line: int, row: list[str], label_column: str, numbers: _Numbers
    ) -> Selection:
        begin_s = numbers.read(self._value(row, _BEGIN), line, "Begin Time (s)")
        end_s = numbers.read(self._value(row, _END), line, "End Time (s)")
        if end_s < begin_s:
            raise UserError(
                f"{self._where}, line {line}: the selection ends at {end_s:g} s, before it begins"
                f" at {begin_s:g} s"
            )
        if _OFFSET in self._columns:
            offset_s = numbers.read(self._value(row, _OFFSET), line, "File Offset (s)")
            begin_s, end_s = offset_s, offset_s + (end_s - begin_s)
        channel = self._value(row, "channel") or "1"
        if not channel.isdecimal() or not int(channel):
            raise UserError(
                f"{self._where}, line {line}: Channel {channel!r} is no number from 1 on"
            )
        file = next((name for key in self._files if (name := self._value(row, key))), "")
        if self._files and not file:
            raise UserError(f"{self._where}, line {line}: it names no recording in Begin File")
        label = self._value(row, label_column)
        return Selection(file, begin_s, end_s, label, int(channel))

    def _value(self, row: list[str], column: str) -> str:
        place = self._columns.get(column)
        # Editors take off the tabs of empty fields at the end of a line.
        return row[place].strip() if place is not None and place < len(row) else ""


def _audacity(text: str, where: str) -> Table:
    numbers = _Numbers(where)
    found: dict[Selection, None] = {}
    shortened = 0
    for line, fields in enumerate((line.split("\t") for line in text.splitlines()), start=1):
        if not "".join(fields).strip() or fields[0].startswith("\\"):
            continue
        if len(fields) < 2:
            raise UserError(
                f"{where}, line {line}: {fields[0]!r} is not a begin, an end and a text"
            )
        begin_s = numbers.read(fields[0].strip(), line, "begin")
        end_s = numbers.read(fields[1].strip(), line, "end")
        if end_s < begin_s:
            raise UserError(
                f"{where}, line {line}: the label ends at {end_s:g} s, before it begins at"
                f" {begin_s:g} s"
            )
        written = " ".join(fields[2:]).strip()
        label = _PROBABILITY.sub("", written)
        shortened += label != written
        found[Selection("", begin_s, end_s, label)] = None
    notices = [*numbers.notices()]
    if shortened:
        detail = f"labels without the probability at their end, as predict writes it: {shortened}"
        notices.append(("probability-left-out", detail))
    return Table(tuple(found), notices=tuple(notices))


class _Numbers:
    """A reader of times with decimal points or commas, one of them in a whole file."""

    def __init__(self, where: str):
        self._where = where
        self._marks: dict[str, int] = {}

    def read(self, text: str, line: int, column: str) -> float:
        """Return a time in seconds.

        Raises:
          UserError: It is none, negative, or has the other decimal mark.
        """
        if not _is_number(text) or (value := float(text.replace(",", "."))) < 0:
            raise UserError(
                f"{self._where}, line {line}: {column} {text!r} is not a number of seconds, 0 or"
                " more"
            )
        for mark in ",.":
            if mark in text:
                self._marks.setdefault(mark, line)
        if len(self._marks) > 1:
            raise UserError(
                f"{self._where}: line {self._marks[',']} has a decimal comma and line"
                f" {self._marks['.']} a decimal point; write all times alike"
            )
        return value

    def notices(self) -> Iterator[tuple[str, str]]:
        """Yield the notice of decimal commas, if there are any."""
        if "," in self._marks:
            yield "decimal-comma", f"line {self._marks[',']}: commas are read as decimal points"


def _rows(text: str, where: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that is not empty, and its fields: the heading first."""
    # Raven writes a quotation mark as it is; spreadsheets put fields that have one between two.
    plain = separator == "\t"
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
        strict=True,
    )
    width = 0
    try:
        for row in reader:
            if not any(field.strip() for field in row):
                continue
            width = width or len(row)
            if any(field.strip() for field in row[width:]):
                raise UserError(
                    f"{where}, line {reader.line_num}: {len(row)} fields where the heading has"
                    f" {width}"
                )
            yield reader.line_num, [_unquoted(field) for field in row] if plain else row
    except csv.Error as error:
        raise UserError(f"{where}, line {reader.line_num}: {error}") from error


def _unquoted(field: str) -> str:
    quoted = len(field) > 1 and field[0] == field[-1] == '"'
    return field[1:-1].replace('""', '"') if quoted else field


def _plain(name: str) -> str:
    return " ".join(name.strip().strip('"').split()).casefold()


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None
