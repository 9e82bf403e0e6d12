"""The outcome of a study, finished or not: tables, pictures and a page, from its cells' files.

OUT/tables/NAME.csv, .md, .tex     each table; `tables.md` has all of them
OUT/plots/NAME.png                 each picture
OUT/study.html                     both, in one file that works offline
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg

from vipann_tf.errors import UserError
from vipann_tf.evaluation.intervals import RESAMPLES
from vipann_tf.files import atomic
from vipann_tf.study.arms import read_arms, read_upstream
from vipann_tf.study.curve_figures import curve_pictures
from vipann_tf.study.curves import curve_tables, read_curves
from vipann_tf.study.differences import (
    difference_table,
    ood_difference_table,
    training_difference_table,
)
from vipann_tf.study.directory import StudyDirectory
from vipann_tf.study.figures import Picture, pictures
from vipann_tf.study.grid import Cell
from vipann_tf.study.page import render_page
from vipann_tf.study.paper_tables import (
    downstream_table,
    ood_table,
    uncertainty_table,
    upstream_table,
)
from vipann_tf.study.table import Table

__all__ = ["write_outcome"]


def write_outcome(
    study: StudyDirectory,
    cells: Sequence[Cell],
    *,
    resamples: int = RESAMPLES,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Table]:
    """Write tables, pictures and page of the finished cells; equal inputs give equal files.

    Args:
      study: The study.
      cells: Its cells, or some of them.
      resamples: Resamples of the intervals of differences of means over clips.
      on_progress: Called with the number of tables made and their total.

    Returns:
      The tables that are not empty.

    Raises:
      UserError: Nothing is finished, or a result can't be read.
    """
    upstream, arms = read_upstream(study), read_arms(study, cells)
    active = read_curves(study, cells)
    if not upstream and not arms and not active:
        raise UserError(f"{study.out} holds no finished part of this study; run it first")
    makers: list[Callable[[], Table]] = [
        lambda: upstream_table(upstream),
        lambda: downstream_table(arms),
        lambda: uncertainty_table(upstream, arms),
        lambda: ood_table(arms),
        lambda: difference_table(arms, resamples),
        lambda: training_difference_table(arms),
        lambda: ood_difference_table(arms, resamples),
    ]
    tables = []
    for done, make in enumerate(makers, start=1):
        tables.append(make())
        if on_progress is not None:
            on_progress(done, len(makers))
    tables += curve_tables(active, study.recipe.active.targets)
    tables = [table for table in tables if table.rows]
    shown = [*pictures(upstream, arms), *curve_pictures(active)]
    _write_tables(study.out / "tables", tables)
    _write_pictures(study.out / "plots", shown)
    page = render_page(
        study.out.resolve().name,
        tables,
        shown,
        finished=sum(len(arm.results) for arm in arms) + sum(arm.finished for arm in active),
        wanted=len(cells),
        hardware=study.recipe.hardware,
    )
    atomic.write_text(study.out / "study.html", page)
    return tables


def _write_pictures(folder: Path, shown: Sequence[Picture]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture in shown:
        # Without matplotlib's version, so that equal studies give equal files.
        FigureCanvasAgg(picture.figure).print_png(
            folder / f"{picture.name}.png", metadata={"Software": None}
        )


def _write_tables(folder: Path, tables: Sequence[Table]) -> None:
    for table in tables:
        atomic.write_text(folder / f"{table.name}.csv", table.csv())
        atomic.write_text(folder / f"{table.name}.md", table.markdown())
        atomic.write_text(folder / f"{table.name}.tex", table.latex())
    atomic.write_text(folder / "tables.md", "\n".join(table.markdown() for table in tables))
