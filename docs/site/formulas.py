"""Formulas as pictures in the page, which need no script, no font and no network."""

from collections.abc import Mapping
from typing import Any, NoReturn
from xml.etree import ElementTree

import ziamath
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# Of the letters, in the units of the picture.
_SIZE = 16


def drawn_formula(formula: str, inline: bool) -> str:
    """Return a formula as an SVG element of the size and colour of the text around it."""
    drawn = ziamath.Latex(formula, size=_SIZE, color="currentColor", inline=inline)
    picture = drawn.svgxml()
    for side in ("width", "height"):
        picture.set(side, f"{float(picture.get(side, 0)) / _SIZE:.3f}em")
    picture.set("style", f"vertical-align: {drawn.getyofst() / _SIZE:.3f}em")
    picture.set("role", "img")
    picture.set("aria-label", formula)
    return ElementTree.tostring(picture, encoding="unicode")


def write_formula(translator: HTML5Translator, node: nodes.Element) -> NoReturn:
    """Write a formula in a line of text."""
    translator.body.append(drawn_formula(node.astext(), inline=True))
    raise nodes.SkipNode


def write_formula_block(translator: HTML5Translator, node: nodes.Element) -> NoReturn:
    """Write a formula of its own, which scrolls on narrow screens."""
    drawn = drawn_formula(node.astext().strip(), inline=False)
    translator.body.append(f'<p style="overflow-x: auto; white-space: nowrap">{drawn}</p>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Register what is defined here."""
    ziamath.config.svg2 = False  # paths, and no symbols that several pictures of a page would share
    app.add_html_math_renderer("drawn", (write_formula, None), (write_formula_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
