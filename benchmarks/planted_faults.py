"""What `make check` sees: one fault of each kind, planted into a copy of the repository.

    python -m benchmarks.planted_faults

Prints what each tool says of its fault, and ends with status 1 if a fault passes, or if a tool
complains of the repository as it is.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(sys.executable).parent
# The commands of `make check` that read Python.
TOOLS = {
    "format": [str(BIN / "ruff"), "format", "--check"],
    "lint": [str(BIN / "ruff"), "check", "--output-format=concise"],
    "layers": [str(BIN / "lint-imports")],
    "types": [str(BIN / "mypy")],
    "examples": [sys.executable, "-m", "pytest", "-q", "--doctest-modules", "vipann_tf"],
}


class Fault(NamedTuple):
    """What is wrong, the tool that must see it, what it must say, and the file that holds it."""

    name: str
    tool: str
    says: str
    file: str
    text: str


FAULTS = (
    Fault(
        *("unsorted import", "lint", "vipann_tf/audio/planted.py:3:1: I001"),
        *("audio/planted.py", "import sys\nimport os\n\nNAMES = (os.name, sys.platform)"),
    ),
    Fault(
        *("unused import", "lint", "vipann_tf/audio/planted.py:3:8: F401"),
        *("audio/planted.py", "import os"),
    ),
    Fault(
        *("docstring in another mood", "lint", "vipann_tf/audio/planted.py:4:5: D401"),
        *("audio/planted.py", 'def one() -> int:\n    """Returns one."""\n    return 1'),
    ),
    Fault(
        *("other format", "format", "File would be reformatted\n --> vipann_tf/audio/planted.py"),
        *("audio/planted.py", "NAMES = {'a':1}"),
    ),
    Fault(
        *("wrong type", "types", "vipann_tf/audio/planted.py:5: error: Incompatible return value"),
        *("audio/planted.py", 'def one() -> int:\n    """Return one."""\n    return "one"'),
    ),
    Fault(
        *("untyped public function", "types", "vipann_tf/audio/planted.py:3: error: Function is"),
        *("audio/planted.py", 'def same(value):\n    """Return it."""\n    return value'),
    ),
    Fault(
        *(
            "loose type in a strict package",
            "types",
            "vipann_tf/uncertainty/planted.py:3: error: Missing type",
        ),
        *("uncertainty/planted.py", "NAMES: list = []"),
    ),
    Fault(
        *("upward import", "layers", "vipann_tf.audio is not allowed to import vipann_tf.training"),
        *("audio/planted.py", "from vipann_tf.training import strategies\n\nNAME = strategies"),
    ),
    Fault(
        *("package without a layer", "layers", "- vipann_tf.planted"),
        *("planted/__init__.py", "NAME = 1"),
    ),
    Fault(
        *("TensorFlow in a data set", "layers", "vipann_tf.datasets is not allowed to import tens"),
        *("datasets/planted.py", "import tensorflow as tf\n\nNAME = tf"),
    ),
    Fault(
        *(
            "printing below the command line",
            "layers",
            "vipann_tf.evaluation is not allowed to imp",
        ),
        *("evaluation/planted.py", "import click\n\nclick.echo('found')"),
    ),
    Fault(
        *("docstring that lies", "examples", "Expected:\n    3\nGot:\n    2"),
        *(
            "audio/planted.py",
            'def two() -> int:\n    """Return two.\n\n    >>> two()\n    3\n    """\n    return 2',
        ),
    ),
    Fault(
        *("warning of our own code", "examples", "DeprecationWarning: planted"),
        *("audio/planted.py", 'import warnings\n\nwarnings.warn("planted", DeprecationWarning)'),
    ),
)


def copied(folder: pathlib.Path) -> None:
    """Copy the files that git knows or would know."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def asked(tool: str, folder: pathlib.Path) -> tuple[int, str]:
    """Return the status and the output of a tool."""
    done = subprocess.run(TOOLS[tool], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def main() -> None:
    """Ask the tools of the repository as it is, and of each fault."""
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        copied(folder)
        for tool in TOOLS:
            status, output = asked(tool, folder)
            good &= status == 0
            last = output.strip().splitlines()[-1]
            print(f"{tool}: {'passes' if status == 0 else 'FAILS'} as it is: {last}", flush=True)
        for fault in FAULTS:
            path = folder / "vipann_tf" / fault.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(f'"""Planted."""\n\n{fault.text}\n')
            status, output = asked(fault.tool, folder)
            path.unlink()
            seen = status != 0 and fault.says in output
            good &= seen
            print(f"{fault.name}: {'seen' if seen else 'NOT SEEN'} by {fault.tool}", flush=True)
            print(f"    {fault.says!r}" if seen else output[-2000:], flush=True)
            if fault.file.startswith("planted/"):
                path.parent.rmdir()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
