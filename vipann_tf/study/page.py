"""study.html: what a study says, its tables and pictures, in one file that works offline."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from vipann_tf.evaluation.page_templates import page_environment
from vipann_tf.evaluation.svg import themed_svg
from vipann_tf.study.figures import Picture
from vipann_tf.study.page_tables import page_table
from vipann_tf.study.table import Table
from vipann_tf.study.verdicts import number_of_tests, verdicts

__all__ = ["render_page"]


def render_page(
    title: str,
    tables: Sequence[Table],
    pictures: Sequence[Picture],
    *,
    finished: int,
    wanted: int,
    hardware: str = "",
) -> str:
    """Return the page as HTML, in the style of an evaluation's report.

    Args:
      title: Name of the study.
      tables: Its tables.
      pictures: Its pictures.
      finished: Number of finished cells.
      wanted: Number of all cells.
      hardware: Hardware on which it ran.
    """
    shown = [page_table(table) for table in tables]
    environment = page_environment("vipann_tf.study")
    return environment.get_template("study.html").render(
        title=title,
        verdicts=verdicts(shown),
        tests=number_of_tests(shown),
        tables=shown,
        pictures=[
            (x, themed_svg(x.figure, x.name, f"{x.title}. {x.note}"), round(_width_px(x.figure)))
            for x in pictures
        ],
        finished=finished,
        wanted=wanted,
        hardware=hardware,
    )


def _width_px(figure: Figure) -> float:
    """Return the width at which the texts of a figure have their size in points."""
    return figure.get_figwidth() * 96
