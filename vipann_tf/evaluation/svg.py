"""Matplotlib figures as inline SVG with the page's fonts and colours, and unique ids."""

import io
import re

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from vipann_tf.evaluation.plots import PALETTE

__all__ = ["themed_svg"]

_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_FIRST = re.compile(r"^.*?<svg [^>]*viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)  # it would apply to the whole page
_GROUP_ID = re.compile(r"<g id=\"[^\"]*\"")
_FONT_FAMILY = re.compile(r"font-family: [^;\"]*;?")
_COLOUR = re.compile("|".join(PALETTE.values()))
_VARIABLES = {value: f"var(--{name})" for name, value in PALETTE.items()}


def themed_svg(figure: Figure, name: str, description: str) -> Markup:
    """Return an inline SVG element whose colours are the page's CSS variables.

    Args:
      figure: A figure drawn in the colours of `plots.PALETTE`; each becomes `var(--<its name>)`.
      name: Unique in the page; ids inside derive from it.
      description: What the picture shows, for screen readers.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=_NO_METADATA)
    text = buffer.getvalue()
    opening = _FIRST.match(text)
    assert opening is not None  # Matplotlib's SVG begins with an svg element
    body = _STYLE.sub("", text[opening.end() :])
    body = _GROUP_ID.sub("<g", body)
    body = _FONT_FAMILY.sub("", body)
    body = _COLOUR.sub(lambda match: _VARIABLES[match.group()], body)
    head = Markup('<svg class="chart" viewBox="{}" role="img" aria-label="{}" data-name="{}">')
    return head.format(opening.group(1), description, name) + Markup(body.replace("\n", " "))
