"""The site of `make docs`: the documents of the repository, where they lie, and the reference.

The source of the site is the repository, so that the links between its documents are the same there
and in the site. README.md is the first page, and the contents below follow it.
"""

import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

import vipann_tf
from vipann_tf.cli.quiet_import import quieten_tensorflow

quieten_tensorflow()

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "site"))
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
    # docs/site
    "command_help",
    "docstrings",
    "formulas",
]

# Markdown as GitHub reads it; notebooks with the outputs that are stored in them.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"
highlight_language = "console"

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
html_static_path = ["static"]
html_css_files = ["site.css"]
pygments_dark_style = "github-dark"


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append the contents to the first page, which GitHub shows without them."""
    if docname == root_doc:
        for caption, pages in CONTENTS.items():
            if pages:
                rows = "\n".join(pages)
                source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{rows}\n```\n"


def copy_first_page(app: Sphinx, error: Exception | None) -> None:
    """Let a folder's address lead to the first page."""
    if error is None and app.builder.name == "html":
        shutil.copyfile(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    """Register what is defined here."""
    app.connect("source-read", add_contents)
    app.connect("build-finished", copy_first_page)
