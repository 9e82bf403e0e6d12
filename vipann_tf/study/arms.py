"""The finished cells of a study, grouped into arms, which are compared with each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vipann_tf.evaluation.stored_results import StoredResults, pooled, read_results
from vipann_tf.study.directory import StudyDirectory, has_results
from vipann_tf.study.grid import ACTIVE, Cell
from vipann_tf.study.recipe import PLAIN

__all__ = ["Arm", "read_arms", "read_upstream"]


@dataclass(frozen=True)
class Arm:
    """The finished trainings that differ only in seed and fold.

    Attributes:
      cell: One of their cells, for the values that they share.
      results: Their evaluations by (seed, fold), in that order.
      wanted: Number of the study's cells in the arm.
    """

    cell: Cell
    results: dict[tuple[int, int | None], StoredResults]
    wanted: int

    @property
    def name(self) -> str:
        """The arm's name without the data set."""
        return self.cell.arm

    @property
    def options(self) -> str:
        """The variant; empty for the plain one."""
        return "" if self.cell.variant == PLAIN else self.cell.variant

    def like(self, **changes: Any) -> Cell:
        """Return the arm's cell without seed and fold, with other values."""
        return replace(self.cell, **{"seed": 0, "fold": None, **changes})

    def pooled(self, keys: Sequence[tuple[int, int | None]] | None = None) -> StoredResults:
        """Pool the answers of all seeds and folds, or of some, as if one model had given them."""
        return pooled([self.results[key] for key in (keys or self.results)])

    def by_fold(self, value: Callable[[StoredResults], float | None]) -> list[float]:
        """Return a number per fold, the mean over its seeds; per seed if there are no folds.

        Args:
          value: Returns the number of an evaluation; `None` if it is not defined.

        Returns:
          Numbers; an empty result if one is not defined.
        """
        units: dict[int, list[float]] = {}
        for (seed, fold), result in self.results.items():
            number = value(result)
            if number is None:
                return []
            units.setdefault(seed if fold is None else fold, []).append(number)
        return [float(np.mean(values)) for values in units.values()]


def read_arms(study: StudyDirectory, cells: Sequence[Cell]) -> list[Arm]:
    """Return the arms that have a finished cell, in the order of the cells."""
    groups: dict[Cell, list[Cell]] = {}
    for cell in cells:
        if cell.mode == ACTIVE:
            continue  # see `curves`
        groups.setdefault(replace(cell, seed=0, fold=None), []).append(cell)
    arms = []
    for members in groups.values():
        members.sort(key=lambda cell: (cell.seed, cell.fold or 0))
        found = {
            (cell.seed, cell.fold): _read(study, cell)
            for cell in members
            if study.is_finished(cell)
        }
        if found:
            arms.append(Arm(members[0], found, len(members)))
    return arms


def _read(study: StudyDirectory, cell: Cell) -> StoredResults:
    """Read a cell's evaluation, with the study's names of out-of-distribution sets."""
    result = read_results(study.cell_evaluation(cell))
    names = study.recipe.downstream[cell.downstream].ood
    # Both lists have the same order; the study may have gained sets since.
    called = dict(zip(result.summary["ood"], names, strict=False))
    return replace(
        result,
        summary={
            **result.summary,
            "ood": {called.get(name, name): x for name, x in result.summary["ood"].items()},
        },
        uncertainty={called.get(name, name): x for name, x in result.uncertainty.items()},
        outside_ids={called.get(name, name): x for name, x in result.outside_ids.items()},
    )


def read_upstream(study: StudyDirectory) -> dict[str, StoredResults]:
    """Read the existing evaluations of upstream networks, by name."""
    return {
        name: read_results(study.upstream_evaluation(name))
        for name in study.recipe.upstream
        if has_results(study.upstream_evaluation(name))
    }
