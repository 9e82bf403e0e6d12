"""The notebooks of examples/notebooks: NAME.py is the source, NAME.ipynb has stored outputs.

    python -m tests.helpers.notebooks [NAME ...]

executes them anew and stores what they show (`make notebooks`).
"""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from tests.helpers.paths import ROOT

FOLDER = ROOT / "examples" / "notebooks"
SOURCES = sorted(FOLDER.glob("*.py"))
PARAMETERS = "parameters"  # tag of the cell whose values tests make small
TIMEOUT_S = 600
# Of whoever executed the notebooks last.
ABSOLUTE = r"(?<![\w./<])/(home|root|tmp|Users|var|opt|usr|work)/|\b[A-Z]:\\\\?\w"
QUIET = (
    # As the command line: TensorFlow's start-up notices are not what a notebook shows.
    "--IPKernelApp.exec_lines=from vipann_tf.cli.quiet_import import *; quieten_tensorflow()",
    "--Application.log_level=ERROR",
)


def read_source(source: Path) -> nbformat.NotebookNode:
    """Return the notebook that a source describes, without outputs."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # else random, and other in each execution
    return notebook


def read_stored(source: Path) -> nbformat.NotebookNode:
    """Return the notebook with its outputs."""
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def contents(notebook: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
    """Return kind, text and tags of each cell: what a source and its notebook share."""
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


def shown(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """Return (where, text) of everything that the cells showed, without pictures."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            kind = output.output_type
            data = output.get("data", {})
            texts = [text for key, text in data.items() if key.startswith("text/")]
            if kind == "stream":
                kind, texts = output.name, [output.text]
            elif kind == "error":
                texts = [f"{output.ename}: {output.evalue}"]
            found += [(f"{cell.id} {kind}", text) for text in texts]
    return found


def faults(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what stored outputs must not have: errors, logs, and paths of this machine."""
    own = [str(ROOT), str(Path.home()), tempfile.gettempdir(), sys.prefix]
    private = re.compile("|".join([ABSOLUTE, *(re.escape(path) for path in own if len(path) > 1)]))
    return [
        f"{where}: {text[:300]}"
        for where, text in shown(notebook)
        if where.endswith((" stderr", " error")) or private.search(text)
    ]


def execute(source: Path) -> nbformat.NotebookNode:
    """Execute a source in a kernel of its own, in its folder."""
    from nbclient import NotebookClient

    notebook = read_source(source)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        kernel_name="python3",
        extra_arguments=list(QUIET),
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    client.execute(env={**os.environ, "PYTHONPATH": python_path})
    notebook.metadata = read_source(source).metadata  # without versions
    return notebook


def run_small(source: Path, **small: Any) -> dict[str, Any]:
    """Execute the code of a source in this process, and return its variables.

    Args:
      source: The notebook.
      **small: Values that replace those of the cell of parameters.
    """
    variables: dict[str, Any] = {"__name__": source.stem}
    for cell in read_source(source).cells:
        if cell.cell_type != "code":
            continue
        exec(compile(cell.source, f"{source.name}/{cell.id}", "exec"), variables)
        if PARAMETERS in cell.metadata.get("tags", []):
            unknown = small.keys() - variables.keys()
            assert not unknown, f"{source.name} has no parameter {unknown}"
            variables |= small
    return variables


def main(names: list[str]) -> None:
    for source in SOURCES:
        if names and source.stem not in names:
            continue
        notebook = execute(source)
        if found := faults(notebook):
            sys.exit("\n".join([f"{source.name} shows what must not be stored:", *found]))
        nbformat.write(notebook, source.with_suffix(".ipynb"))
        size = source.with_suffix(".ipynb").stat().st_size
        print(f"{source.with_suffix('.ipynb').relative_to(ROOT)}: {size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
