"""Tables that people save from a spreadsheet: separators, decimal commas, rows and their lines."""

from __future__ import annotations

import csv
import dataclasses
import difflib
import io
import re
from collections.abc import Collection, Sequence
from decimal import Decimal

from vipann_tf.errors import UserError
from vipann_tf.notices import Notice

__all__ = ["Row", "Table", "read_table"]

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# Columns that nobody means to be read.
_REMARKS = frozenset(["note", "notes", "comment", "comments", "remark", "remarks"])
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
      values: Column -> value, stripped.
      where: The file and the line on which the row begins, as an editor counts.
      line: That line.
    """

    values: dict[str, str]
    where: str
    line: int

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
      path: The file.
      columns: Its columns, of those that were asked for.
      rows: Its rows, without empty ones.
      notices: What was guessed and left out.
      decimal: What stands between the digits of numbers: `.` or `,`.
    """

    path: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notices: tuple[Notice, ...]
    decimal: str

    def number(self, row: Row, column: str) -> Decimal | None:
        """Return the number in a cell; `None` for an empty one.

        Raises:
          UserError: It is not a number.
        """
        text = row[column]
        if not text:
            return None
        if not _NUMBER.fullmatch(text):
            raise UserError(f"{row.where}: {column} {text!r} is not a number, such as 2.5")
        other = "." if self.decimal == "," else ","
        if other in text:
            raise UserError(f"{row.where}: {column} {text!r} is ambiguous: {self._point(other)}")
        return Decimal(text.replace(",", "."))

    def _point(self, other: str) -> str:
        if other == ",":
            return "in a table that is separated by commas, write decimals with a point"
        return "other numbers of the table have decimal commas; write all in one way"


def read_table(
    path: str,
    text: str,
    *,
    known: Sequence[str],
    numbers: Collection[str] = (),
    ignored: Collection[str] = (),
) -> Table:
    """Read a table with a header.

    The separator is the one that finds the most known columns in the header; a first line such as
    `sep=;`, which Excel writes and reads, names it. Columns for remarks (`notes`, `comment` ...)
    and columns without a name are left out.

    Args:
      path: The file, for messages.
      text: Its content.
      known: Columns that may be there.
      numbers: Those that hold numbers.
      ignored: Other columns of the file, which are left out.

    Raises:
      UserError: A column is unknown or there twice, an ignored one is missing, or a row has more or
        fewer fields than the header.
    """
    separator, skipped = _separator(text, known)
    file = io.StringIO(text, newline="")
    for _ in range(skipped):
        file.readline()
    # Strict: a quote that is never closed would take the rest of the file as one field.
    reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = skipped + 1  # on which a row begins; a field may have several lines
    try:
        for fields in reader:
            fields = [field.strip() for field in fields]
            if any(fields):
                rows.append((line, fields))
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {line}: {error}; check the quotes") from error
    if not rows:
        raise UserError(f"{path} is empty; its first line names the columns: {', '.join(known)}")
    (header_line, header), rows = rows[0], rows[1:]
    columns = _columns(f"{path}, line {header_line}", header, known, ignored)
    found = [
        Row(_values(f"{path}, line {line}", fields, header, columns), f"{path}, line {line}", line)
        for line, fields in rows
    ]
    notices = []
    nameless = [place for place, name in enumerate(header) if not name]
    if any(fields[place] for _, fields in rows for place in nameless):
        detail = f"columns without a name were left out: {len(nameless)}"
        notices.append(Notice(path, "", "nameless-column", detail))
    commas = any("," in row[column] for row in found for column in numbers)
    decimal = "," if commas and separator != "," else "."
    if separator != "," or skipped:
        detail = f"read as a table separated by {_SEPARATORS.get(separator, repr(separator))}"
        detail += ", with decimal commas" if decimal == "," else ""
        notices.append(Notice(path, "", "table-format", detail))
    names = tuple(columns[place] for place in sorted(columns))
    return Table(path, names, tuple(found), tuple(notices), decimal)


def _separator(text: str, known: Sequence[str]) -> tuple[str, int]:
    """Return the separator, and the number of lines before the header that tell it."""
    first = text.split("\n", 1)[0].strip("\r")
    if match := re.fullmatch(r'"?sep=([^\w "\']|\t)"?[,;\t]*', first, re.IGNORECASE):
        return match[1], 1
    line = next((line for line in text.splitlines() if line.strip(" ,;\t|\"'")), "")

    def score(separator: str) -> tuple[int, int]:
        fields = [field.strip().lower() for field in next(csv.reader([line], delimiter=separator))]
        return len(set(fields) & set(known)), len(fields)

    return max(_SEPARATORS, key=score), 0


def _columns(
    where: str, header: list[str], known: Sequence[str], ignored: Collection[str]
) -> dict[int, str]:
    """Return place -> column of the columns to read."""
    names = [name.lower() for name in header]
    left_out = {name.lower() for name in ignored}
    if missing := sorted(left_out - set(names)):
        raise UserError(
            f"{where}: there is no column {missing[0]!r} to ignore{_nearest(missing[0], names)};"
            f" the columns are {', '.join(header)}"
        )
    left_out |= {"", *_REMARKS.difference(known)}
    if unknown := [name for name in header if name.lower() not in {*left_out, *known}]:
        nearest = _nearest(unknown[0].lower(), known)
        raise UserError(
            f"{where}: column {unknown[0]!r} is unknown{nearest}; this line names columns, which"
            f" may be {', '.join(known)}; to leave out the others: --ignore-columns"
            f" {','.join(unknown)}"
        )
    columns: dict[int, str] = {}
    for place, name in enumerate(names):
        if name in left_out:
            continue
        if name in columns.values():
            raise UserError(f"{where}: column {name!r} is there twice; keep one")
        columns[place] = name
    return columns


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _values(
    where: str, fields: list[str], header: list[str], columns: dict[int, str]
) -> dict[str, str]:
    surplus = fields[len(header) :]
    if any(surplus) or len(fields) < len(header):
        raise UserError(
            f"{where}: {len(fields)} fields, but the header has {len(header)}"
            f" ({', '.join(header)}); put a field that holds a separator into quotes, and leave no"
            " separator out"
        )
    return {column: fields[place] for place, column in columns.items()}
