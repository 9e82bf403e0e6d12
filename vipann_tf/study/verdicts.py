"""What the differences of a study say, in plain words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vipann_tf.study.page_tables import Cell, PageTable

__all__ = ["Score", "Verdict", "number_of_tests", "verdicts"]


@dataclass(frozen=True)
class Score:
    """What is better and worse than the reference by one score.

    Attributes:
      name: The score.
      better, worse: Names with their differences.
      unclear: Names whose interval holds 0, or that have none.
    """

    name: str
    better: list[tuple[str, str]]
    worse: list[tuple[str, str]]
    unclear: list[tuple[str, str]]


@dataclass(frozen=True)
class Verdict:
    """The scores of one group of rows of one table.

    Attributes:
      about: What the rows are about.
      reference: What they are compared with.
      scores: What is said by each score.
    """

    about: str
    reference: str
    scores: list[Score]


def verdicts(tables: Iterable[PageTable]) -> list[Verdict]:
    """Say for each group of differences what is better and worse than its reference.

    Args:
      tables: The page's tables; those without differences are skipped.
    """
    return [
        Verdict(
            ": ".join(filter(None, (table.title, group.title or table.common))),
            group.reference,
            [
                _score(heading, [(name, cells[i]) for name, cells in group.lines])
                for i, heading in enumerate(table.headings[1:])
                if any(cells[i].drawing for _, cells in group.lines)
            ],
        )
        for table in tables
        for group in table.groups
        if group.reference
    ]


def number_of_tests(tables: Iterable[PageTable]) -> int:
    """Return how many differences the tables have."""
    return sum(bool(cell.drawing) for table in tables for cell in _cells(table))


def _cells(table: PageTable) -> Iterator[Cell]:
    for group in (*table.groups, *table.others):
        for _, cells in group.lines:
            yield from cells


def _score(heading: str, cells: list[tuple[str, Cell]]) -> Score:
    found: dict[str, list[tuple[str, str]]] = {"better": [], "worse": [], "": []}
    for name, cell in cells:
        if cell.drawing:
            found[cell.verdict].append((name.partition(" less ")[0], cell.text))
    return Score(heading, found["better"], found["worse"], found[""])
