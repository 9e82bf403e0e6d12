"""study.html: the tables and pictures of a study, in one file that works offline."""

from collections.abc import Sequence

import jinja2
from markupsafe import Markup

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
    loader = jinja2.ChoiceLoader(
        [
            jinja2.PackageLoader("vipann_tf.study", "templates"),
            jinja2.PackageLoader("vipann_tf.evaluation", "templates"),
        ]
    )
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("study.html").render(
        title=title,
        style=Markup(loader.get_source(environment, "report.css")[0]),
        tables=tables,
        pictures=pictures,
        charts={x.name: themed_svg(x.figure, x.name, f"{x.title}. {x.note}") for x in pictures},
        finished=finished,
        wanted=wanted,
        hardware=hardware,
    )
