"""A table of numbers with intervals, as CSV, Markdown and LaTeX."""

import csv
import io
from dataclasses import dataclass, field

from vipann_tf.uncertainty.bootstrap import Interval

__all__ = ["Number", "Table"]

_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True)
class Number:
    """A cell that holds a number.

    Attributes:
      found: The number with its interval; `None` if it is not defined.
      signed: Whether it is a difference.
      verdict: `better` or `worse`, if the interval excludes 0.
    """

    found: Interval
    signed: bool = False
    verdict: str = ""

    @property
    def text(self) -> str:
        """The number for people, with three decimals."""
        found, sign = self.found, "+" if self.signed else ""
        if found.value is None:
            return "-"
        text = f"{found.value:{sign}.3f}"
        if found.low is not None:
            text += f" ({found.low:{sign}.3f} to {found.high:{sign}.3f})"
        return text


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
      name: Name of its files.
      title: Line above it.
      note: Explanation of the numbers.
      headings: Headings of the columns.
      rows: Rows of cells, each a text or a number.
      reference: What the rows are compared with, if that is not in a column.
    """

    name: str
    title: str
    note: str
    headings: list[str]
    rows: list[list[str | Number]] = field(default_factory=list)
    reference: str = ""

    def csv(self) -> str:
        """Return the table as CSV.

        A number takes three columns: itself, `... low` and `... high`. A difference also has
        `... verdict`.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        kinds = [self._example(column) for column in range(len(self.headings))]
        heading = []
        for name, example in zip(self.headings, kinds, strict=True):
            heading.append(name)
            if isinstance(example, Number):
                heading += [f"{name} low", f"{name} high"]
                heading += [f"{name} verdict"] if example.signed else []
        writer.writerow(heading)
        for row in self.rows:
            cells = []
            for cell, example in zip(row, kinds, strict=True):
                cells += _csv_cells(cell, example)
            writer.writerow(cells)
        return text.getvalue()

    def markdown(self) -> str:
        """Return the table as Markdown with its title; better and worse are bold."""
        lines = [self.headings, ["---"] * len(self.headings)]
        lines += [[_markdown_cell(cell) for cell in row] for row in self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"## {self.title}\n\n{self.note}\n\n{table}\n"

    def latex(self) -> str:
        """Return the table as a `tabular` with the rules of booktabs."""
        kinds = [self._example(column) for column in range(len(self.headings))]
        columns = "".join("r" if isinstance(kind, Number) else "l" for kind in kinds)
        lines = [f"% {self.title}. {self.note}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
        lines += [_latex_row([_latex(name) for name in self.headings]), r"\midrule"]
        lines += [_latex_row([_latex_cell(cell) for cell in row]) for row in self.rows]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def _example(self, column: int) -> str | Number:
        cells = [row[column] for row in self.rows]
        return next((cell for cell in cells if isinstance(cell, Number)), "")


def _csv_cells(cell: str | Number, example: str | Number) -> list[str]:
    if not isinstance(cell, Number):
        more = 0 if not isinstance(example, Number) else 3 if example.signed else 2
        return [cell] + [""] * more
    found = cell.found
    numbers = ["" if x is None else f"{x:.6g}" for x in (found.value, found.low, found.high)]
    return numbers + ([cell.verdict] if cell.signed else [])


def _markdown_cell(cell: str | Number) -> str:
    if not isinstance(cell, Number):
        return cell.replace("|", "\\|")
    return f"**{cell.text} {cell.verdict}**" if cell.verdict else cell.text


def _latex_cell(cell: str | Number) -> str:
    if not isinstance(cell, Number):
        return _latex(cell)
    if cell.found.value is None:
        return "--"
    value, parenthesis, interval = cell.text.partition(" (")
    text = f"${value}$"
    if parenthesis:
        ends = interval.replace(" to ", r",\ ")  # with the closing parenthesis
        text += rf" {{\scriptsize $({ends}$}}"
    return rf"\textbf{{{text}}} {cell.verdict}" if cell.verdict else text


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex_row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
