"""The help of the commands, with options as code and with the examples."""

import re
from collections.abc import Mapping
from typing import Any

import click
from sphinx.application import Sphinx


def mark_options(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Have the options in the text of a help as code."""
    for i, line in enumerate(lines):
        if not line.startswith(".. "):
            lines[i] = re.sub(r"(?<![\w`-])(--[a-z][a-z-]*[a-z])", r"``\1``", line)


def add_example(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Show the example that the help of a command ends with."""
    example = getattr(context.command, "example", "")
    lines += [
        "",
        ".. rubric:: Example",
        "",
        ".. code-block:: console",
        "",
        *(f"   {x}" for x in example.splitlines()),
        "",
    ]


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Register what is defined here."""
    app.connect("sphinx-click-process-description", mark_options)
    app.connect("sphinx-click-process-options", mark_options)
    app.connect("sphinx-click-process-epilog", add_example)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
