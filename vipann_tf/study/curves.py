"""The learning curves of cells of mode active, and their tables. No TensorFlow in here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vipann_tf.study.directory import StudyDirectory
from vipann_tf.study.grid import ACTIVE, Cell
from vipann_tf.study.recipe import PLAIN
from vipann_tf.study.table import Number, Table
from vipann_tf.uncertainty.bootstrap import Interval
from vipann_tf.uncertainty.confidence_intervals import crossed_interval
from vipann_tf.uncertainty.metric_names import METRIC_NAMES

__all__ = ["ActiveArm", "curve_tables", "labels_needed", "read_curves"]

# The acquisition that the others are compared with.
REFERENCE = "random"
# The score by which labels are counted, and the likelihood, of each task.
SHOWN = {"multiclass": ("accuracy", "nll"), "multilabel": ("map", "nll")}
_NOTE = (
    "Means over folds and seeds with 95 % intervals over both, which are somewhat too narrow, "
    "since folds share training clips."
)
_HEADINGS = ["data", "network", "strategy", "options", "acquisition", "folds x seeds"]


@dataclass(frozen=True)
class ActiveArm:
    """The learning curves that differ only in acquisition, seed and fold.

    Attributes:
      cell: One of their cells.
      task: Task of the data set.
      labels: Number of labelled clips of each training, [trainings].
      scores: By acquisition and metric: float [folds, seeds, trainings]. Only seeds of which every
        fold is finished are in it.
      finished: Number of finished cells.
    """

    cell: Cell
    task: str
    labels: npt.NDArray[np.float64]
    scores: dict[str, dict[str, npt.NDArray[np.float64]]]
    finished: int

    @property
    def name(self) -> str:
        """Data set and arm."""
        return f"{self.cell.downstream}, {self.cell.arm}"

    @property
    def shown(self) -> tuple[str, str]:
        """The metrics to show."""
        return SHOWN[self.task]

    def less_random(self, acquisition: str, metric: str) -> npt.NDArray[np.float64]:
        """Return a metric less that of random in the same cells, [folds, seeds, trainings]."""
        return self.scores[acquisition][metric] - self.scores[REFERENCE][metric]


def read_curves(study: StudyDirectory, cells: Sequence[Cell]) -> list[ActiveArm]:
    """Return the arms of mode active that have a seed of which every fold is finished."""
    groups: dict[Cell, list[Cell]] = {}
    for cell in cells:
        if cell.mode == ACTIVE:
            groups.setdefault(replace(cell, seed=0, fold=None), []).append(cell)
    arms = []
    for members in groups.values():
        finished = [cell for cell in members if study.is_finished(cell)]
        folds = list(dict.fromkeys(cell.fold for cell in members))
        have = {(cell.seed, cell.fold): cell for cell in finished}
        seeds = [
            seed
            for seed in dict.fromkeys(cell.seed for cell in members)
            if all((seed, fold) in have for fold in folds)
        ]
        if seeds:
            grid = [[have[seed, fold] for seed in seeds] for fold in folds]
            arms.append(_arm(study, members[0], grid, len(finished)))
    return arms


def _arm(
    study: StudyDirectory, example: Cell, grid: Sequence[Sequence[Cell]], finished: int
) -> ActiveArm:
    scores: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    task, counts = "", []
    for acquisition in study.recipe.active.acquisitions:
        read = [
            [json.loads(study.curve(cell, acquisition).read_text(encoding="utf-8")) for cell in row]
            for row in grid
        ]
        task = read[0][0]["task"]
        every = [[[x["scores"] for x in curve["rounds"]] for curve in row] for row in read]
        scores[acquisition] = {
            metric: np.array([[[float(x[metric]) for x in c] for c in row] for row in every])
            for metric in SHOWN[task]
        }
        counts += [[x["labels"] for x in curve["rounds"]] for row in read for curve in row]
    # In multilabel data the first clips differ in number.
    return ActiveArm(example, task, np.mean(counts, axis=0), scores, finished)


def curve_tables(arms: Sequence[ActiveArm], targets: Sequence[float]) -> list[Table]:
    """Tabulate what choosing saves, how it compares with chance, and every training."""
    tables = []
    for metrics in dict.fromkeys(arm.shown for arm in arms):
        some = [arm for arm in arms if arm.shown == metrics]
        suffix = "" if metrics == SHOWN["multiclass"] else "_multilabel"
        tables += [
            _needed_table(some, metrics, targets, suffix),
            _difference_table(some, metrics, suffix),
            _every_table(some, metrics, suffix),
        ]
    return tables


def _needed_table(
    arms: Sequence[ActiveArm], metrics: tuple[str, str], targets: Sequence[float], suffix: str
) -> Table:
    names = [METRIC_NAMES[metric].shown for metric in metrics]
    table = Table(
        f"active_labels{suffix}",
        "Active learning: labels needed",
        f"Labels until the mean {names[0]} reaches a value, between trainings by a straight line; "
        "in parentheses, where the ends of its interval do. " + _NOTE,
        [
            *_HEADINGS,
            *(f"labels for {names[0]} {target:g}" for target in targets),
            *(f"{name}, {where}" for where in ("mean of all trainings", "last") for name in names),
        ],
    )
    for arm in arms:
        for acquisition, scores in arm.scores.items():
            needed = [labels_needed(arm.labels, scores[metrics[0]], x) for x in targets]
            means = [Number(crossed(scores[metric].mean(axis=2))) for metric in metrics]
            last = [Number(crossed(scores[metric][..., -1])) for metric in metrics]
            table.rows.append([*_cells(arm, acquisition), *needed, *means, *last])
    return table


def _difference_table(arms: Sequence[ActiveArm], metrics: tuple[str, str], suffix: str) -> Table:
    names = [METRIC_NAMES[metric].shown for metric in metrics]
    table = Table(
        f"active_differences{suffix}",
        "Active learning: differences",
        f"Each acquisition less {REFERENCE} in the same cells, which start from the same clips; "
        "the mean of all trainings after the first, and the last one. Better and worse only where "
        "the interval excludes 0; each is a separate test. " + _NOTE,
        [*_HEADINGS, *(f"{name}, {where}" for where in ("mean", "last") for name in names)],
        reference=REFERENCE,
    )
    for arm in arms:
        for acquisition in arm.scores:
            if acquisition == REFERENCE or REFERENCE not in arm.scores:
                continue
            gaps = {metric: arm.less_random(acquisition, metric) for metric in metrics}
            numbers = [_verdict(gaps[x][..., 1:].mean(axis=2), x) for x in metrics]
            numbers += [_verdict(gaps[x][..., -1], x) for x in metrics]
            table.rows.append([*_cells(arm, acquisition), *numbers])
    return table


def _every_table(arms: Sequence[ActiveArm], metrics: tuple[str, str], suffix: str) -> Table:
    table = Table(
        f"active_curves{suffix}",
        "Active learning: every training",
        _NOTE,
        [*_HEADINGS, "labels", *(METRIC_NAMES[metric].shown for metric in metrics)],
    )
    for arm in arms:
        for acquisition, scores in arm.scores.items():
            for i, labels in enumerate(arm.labels):
                numbers = [Number(crossed(scores[metric][..., i])) for metric in metrics]
                table.rows.append([*_cells(arm, acquisition), f"{labels:g}", *numbers])
    return table


def crossed(values: npt.ArrayLike) -> Interval:
    """Return the mean of values [folds, seeds] with its interval over both."""
    return Interval(*crossed_interval(values))


def labels_needed(labels: npt.ArrayLike, scores: npt.ArrayLike, target: float) -> str:
    """Return how many labels a mean score needs to reach a target, as text.

    Args:
      labels: Number of labels of each training, increasing, [trainings].
      scores: float [folds, seeds, trainings].
      target: The score to reach.

    Returns:
      The number, and in parentheses where the upper and the lower end of the interval reach the
      target: "61 (52 to >120)".
    """
    counts, values = np.asarray(labels, float), np.asarray(scores, float)
    found = [crossed(values[..., i]) for i in range(len(counts))]

    def reached(ends: Sequence[float | None]) -> str:
        curve = np.array([np.nan if end is None else end for end in ends])
        above = np.flatnonzero(curve >= target)
        if not len(above):
            return f">{counts[-1]:g}"
        if (at := above[0]) == 0:
            return f"{counts[0]:g}"
        share = (target - curve[at - 1]) / (curve[at] - curve[at - 1])
        return f"{counts[at - 1] + share * (counts[at] - counts[at - 1]):.0f}"

    middle = reached([x.value for x in found])
    if found[0].low is None:
        return middle
    return f"{middle} ({reached([x.high for x in found])} to {reached([x.low for x in found])})"


def _verdict(values: npt.ArrayLike, metric: str) -> Number:
    found = crossed(values)
    verdict = ""
    if found.value is not None and found.excludes_zero:
        verdict = "better" if (found.value > 0) == METRIC_NAMES[metric].more_is_better else "worse"
    return Number(found, signed=True, verdict=verdict)


def _cells(arm: ActiveArm, acquisition: str) -> list[str]:
    cell = arm.cell
    folds, seeds, _ = arm.scores[acquisition][arm.shown[0]].shape
    options = "" if cell.variant == PLAIN else cell.variant
    return [
        cell.downstream, cell.upstream, cell.strategy, options, acquisition, f"{folds} x {seeds}"
    ]  # fmt: skip
