"""The site of `make docs`: the documents of the repository, where they lie, and the reference.

The source of the site is the repository, so that the links between its documents are the same there
and in the site. README.md is the first page, and the contents below follow it.
"""

import ast
import html
import inspect
import re
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click
from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from sphinx.application import Sphinx
from sphinx.util.inspect import TypeAliasForwardRef, stringify_signature
from sphinx.writers.html5 import HTML5Translator

import vipann_tf
from vipann_tf.cli.quiet_import import quieten_tensorflow

quieten_tensorflow()

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))

# Caption -> its pages, some with another title.
CONTENTS = {
    "Guides": [
        "docs/guides/own-recordings",
        "docs/guides/transfer-and-calibrate",
        "docs/guides/scan-a-season",
        "docs/guides/uncertainties",
        "docs/guides/gpus-and-clusters",
        "docs/guides/serving",
        "docs/guides/python",
        "docs/guides/study",
    ],
    "Notebooks": [f"examples/notebooks/{file.stem}" for file in NOTEBOOKS],
    "Reference": [
        "docs/reference/python",
        "docs/reference/layers",
        "docs/reference/uncertainty",
        "docs/reference/commands",
    ],
    "The project": [
        "docs/design",
        "docs/decisions",
        "docs/results",
        "Benchmarks <benchmarks/RESULTS>",
        "Shipped models <saved_models/README>",
        "deploy/README",
        "examples/sounds/LICENCES",
        "CONTRIBUTING",
        "CHANGELOG",
    ],
}

project = "vipann-tf"
release = version = vipann_tf.__version__
root_doc = "README"
# All pages of docs/, so that one that CONTENTS lacks is an error, and these of other folders.
_PAGES = [page.rpartition("<")[2].strip(">") for pages in CONTENTS.values() for page in pages]
include_patterns = [
    "README.md",
    "docs/**",
    *(f"{page}.*" for page in _PAGES if page[:5] != "docs/"),
]
# Folders that need not be searched.
exclude_patterns = [".*", "build", "data", "models", "runs", "tests", "vipann_tf"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
]

# Markdown as GitHub reads it; notebooks with the outputs that are stored in them.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"
highlight_language = "console"
smartquotes_action = "qe"  # not the dashes of options

# The reference. Types are shown as the code writes them, mostly without a link; those of other
# libraries could not be linked without a network.
default_role = "code"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
napoleon_custom_sections = [("Call arguments", "params_style"), "Input shape", "Output shape"]
nitpicky = True
# Public names must be found; deeper ones are named in types alone.
nitpick_ignore_regex = [("py:.*", r"(?!vipann_tf\.(?:\w+|(?:layers|uncertainty)\..*)$).*")]

html_theme = "furo"
html_title = "vipann-tf"
html_math_renderer = "drawn"
html_copy_source = False
html_show_copyright = False
html_static_path: list[str] = []


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append the contents to the first page, which GitHub shows without them."""
    if docname == root_doc:
        for caption, pages in CONTENTS.items():
            if pages:
                rows = "\n".join(pages)
                source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{rows}\n```\n"


class TypeAsWritten(TypeAliasForwardRef):
    """A type that Sphinx shows as the code writes it, and not as what its aliases stand for."""

    def __init__(self, node: ast.expr) -> None:
        text = node.value if isinstance(node, ast.Constant) else ast.unparse(node)
        super().__init__(str(text))

    def __repr__(self) -> str:
        return self.name


def keep_types(thing: Any) -> None:
    """Have the types of a function's arguments, or of a class's attributes, as they are written."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError, SyntaxError):  # without a source, such as a dataclass's `__init__`
        return
    written: dict[str, ast.expr | None] = {}
    if isinstance(node, ast.FunctionDef):
        written = {x.arg: x.annotation for x in ast.walk(node.args) if isinstance(x, ast.arg)}
        written["return"] = node.returns
    elif isinstance(node, ast.ClassDef):
        fields = [x for x in node.body if isinstance(x, ast.AnnAssign)]
        written = {ast.unparse(x.target): x.annotation for x in fields}
    for name, type_ in written.items():
        if type_ is not None and name in thing.__annotations__:
            thing.__annotations__[name] = TypeAsWritten(type_)


def before_signature(app: Sphinx, thing: Any, bound: bool) -> None:
    """Keep the types of a function."""
    keep_types(thing)


def before_docstring(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Keep the types of a class, and the lines of indented blocks (formulas, tables)."""
    if what == "class":
        keep_types(thing)
    for i in range(len(lines) - 2):
        if lines[i].endswith(":") and not lines[i + 1] and re.match(r" +\S", lines[i + 2]):
            lines[i] += ":"


def process_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, arguments: str, returned: str
) -> tuple[str, str] | None:
    """Give Keras's classes, whose metaclass takes anything, the arguments of their constructor."""
    if what != "class" or arguments != "(*args, **kwargs)":
        return None
    signature = inspect.signature(thing.__init__)
    own = list(signature.parameters.values())[1:]
    return stringify_signature(signature.replace(parameters=own), show_annotation=False), returned


def add_example(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Show the example that the help of a command ends with."""
    example = getattr(context.command, "example", "")
    lines += ["", ".. code-block:: console", "", *(f"   {x}" for x in example.splitlines()), ""]


def drawn_formula(formula: str) -> str:
    """Return a formula as an SVG element of the size and colour of the text around it."""
    style = FontProperties(math_fontfamily="cm")
    drawn = TextPath((0, 0), f"${formula}$", size=100, prop=style)
    box = drawn.get_extents()
    left, right, low, high = box.x0 - 4, box.x1 + 4, min(box.y0, 0) - 4, box.y1 + 4
    upwards = drawn.transformed(Affine2D().scale(1, -1))
    commands = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C"}
    line = "".join(
        commands.get(code, "Z") + (" ".join(f"{x:.0f}" for x in points) if code in commands else "")
        for points, code in upwards.iter_segments(simplify=False)
    )
    return (
        f'<svg role="img" aria-label="{html.escape(formula)}" fill="currentColor"'
        f' viewBox="{left:.0f} {-high:.0f} {right - left:.0f} {high - low:.0f}"'
        f' style="height: {(high - low) / 100:.2f}em; vertical-align: {low / 100:.2f}em;'
        f' max-width: 100%"><path d="{line}"/></svg>'
    )


def write_math(translator: HTML5Translator, node: nodes.Element, around: str) -> NoReturn:
    """Write a formula; `around` is the element to put it into."""
    translator.body.append(f"<{around}>{drawn_formula(node.astext().strip())}</{around}>")
    raise nodes.SkipNode


def copy_first_page(app: Sphinx, error: Exception | None) -> None:
    """Let a folder's address lead to the first page."""
    if error is None and app.builder.name == "html":
        shutil.copyfile(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Register what is defined here."""
    app.connect("source-read", add_contents)
    app.connect("autodoc-before-process-signature", before_signature)
    app.connect("autodoc-process-docstring", before_docstring, priority=400)  # Napoleon has 500
    app.connect("autodoc-process-signature", process_signature)
    app.connect("sphinx-click-process-epilog", add_example)
    app.connect("build-finished", copy_first_page)
    app.add_html_math_renderer(
        "drawn",
        (lambda self, node: write_math(self, node, "span"), None),
        (lambda self, node: write_math(self, node, "p"), None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
