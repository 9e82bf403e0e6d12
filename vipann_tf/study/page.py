"""study.html: the tables and pictures of a study, in one file that works offline."""

from collections.abc import Sequence

from vipann_tf.evaluation.page_templates import page_environment
from vipann_tf.evaluation.svg import themed_svg
from vipann_tf.study.figures import Picture
from vipann_tf.study.table import Table

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
    environment = page_environment("vipann_tf.study")
    return environment.get_template("study.html").render(
        title=title,
        tables=tables,
        pictures=pictures,
        charts={x.name: themed_svg(x.figure, x.name, f"{x.title}. {x.note}") for x in pictures},
        finished=finished,
        wanted=wanted,
        hardware=hardware,
    )
