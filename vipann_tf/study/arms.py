"""The finished cells of a study, grouped into arms, which are compared with each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vipann_tf.evaluation.stored_results import StoredResults, pooled, read_results
from vipann_tf.study.directory import StudyDirectory, has_results
from vipann_tf.study.grid import ACTIVE, Cell
from vipann_tf.study.recipe import PLAIN
from vipann_tf.uncertainty.arrays import FloatArray

__all__ = ["Arm", "by_fold_and_seed", "metric_value", "read_arms", "read_upstream"]


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

    def across(self, value: Callable[[StoredResults], float | None]) -> FloatArray:
        """Return a number of every evaluation; see `by_fold_and_seed`.

        Args:
          value: Returns the number of an evaluation; `None` if it is not defined.
        """
        return by_fold_and_seed({key: value(result) for key, result in self.results.items()})


def by_fold_and_seed(numbers: Mapping[tuple[int, int | None], float | None]) -> FloatArray:
    """Arrange numbers of trainings as `crossed_interval` takes them.

    Args:
      numbers: By (seed, fold); `None` if one is not defined.

    Returns:
      float64 [folds, seeds]; one row if there are no folds. If a seed lacks a fold, the mean of
      each fold over its seeds, [folds, 1]. Empty, [0, 0], if a number is not defined.
    """
    if not numbers or None in numbers.values():
        return np.zeros((0, 0))
    seeds = dict.fromkeys(seed for seed, _ in numbers)
    folds = dict.fromkeys(fold for _, fold in numbers)
    table = np.array(
        [[numbers.get((seed, fold), np.nan) for seed in seeds] for fold in folds], np.float64
    )
    return np.nanmean(table, axis=1, keepdims=True) if np.isnan(table).any() else table


def metric_value(result: StoredResults, name: str) -> float | None:
    """Return a metric of an evaluation; `None` if it has none or its data do not define it."""
    document = result.summary["metrics"].get(name)
    return None if document is None else document["value"]


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
        outside_groups={called.get(name, name): x for name, x in result.outside_groups.items()},
    )


def read_upstream(study: StudyDirectory) -> dict[str, StoredResults]:
    """Read the existing evaluations of upstream networks, by name."""
    return {
        name: read_results(study.upstream_evaluation(name))
        for name in study.recipe.upstream
        if has_results(study.upstream_evaluation(name))
    }
