"""Formulas as pictures in the page, which need no script, no font and no network."""

import html
from collections.abc import Mapping
from typing import Any, NoReturn

from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def drawn_formula(formula: str) -> str:
    """Return a formula as an SVG element of the size and colour of the text around it."""
    style = FontProperties(math_fontfamily="cm")
    drawn = TextPath((0, 0), f"${formula}$", size=100, prop=style)
    box = drawn.get_extents()
    left, right, low, high = box.x0 - 4, box.x1 + 4, min(box.y0, 0) - 4, box.y1 + 4
    upwards = drawn.transformed(Affine2D().scale(1, -1))
    commands = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    line = "".join(
        commands.get(code, "Z") + (" ".join(f"{x:.0f}" for x in points) if code in commands else "")
        for points, code in upwards.iter_segments(simplify=False)
    )
    return (
        f'<svg role="img" aria-label="{html.escape(formula)}" fill="currentColor"'
        f' viewBox="{left:.0f} {-high:.0f} {right - left:.0f} {high - low:.0f}"'
        f' style="height: {(high - low) / 100:.2f}em; width: {(right - left) / 100:.2f}em;'
        f' vertical-align: {low / 100:.2f}em"><path d="{line}"/></svg>'
    )


def write_formula(translator: HTML5Translator, node: nodes.Element) -> NoReturn:
    """Write a formula in a line of text."""
    translator.body.append(drawn_formula(node.astext()))
    raise nodes.SkipNode


def write_formula_block(translator: HTML5Translator, node: nodes.Element) -> NoReturn:
    """Write a formula of its own, which scrolls on narrow screens."""
    drawn = drawn_formula(node.astext().strip())
    translator.body.append(f'<p style="overflow-x: auto; white-space: nowrap">{drawn}</p>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Register what is defined here."""
    app.add_html_math_renderer("drawn", (write_formula, None), (write_formula_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
