"""TensorFlow's import without its start-up notices.

TensorFlow 2.19 and later print some of them before they read TF_CPP_MIN_LOG_LEVEL, with each
command (tensorflow/tensorflow#100442): a WARNING that is none, and that no GPU was found.
"""

import contextlib
import functools
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["quieten_tensorflow"]

_STDERR = 2
# absl's informal lines and warnings before its start, and what announces them.
_NOTICE = re.compile(rb"WARNING: All log messages before absl::|[IW]0000 00:00:\d+\.\d+ ")


def quieten_tensorflow() -> None:
    """Hold back the notices of a later import, unless TF_CPP_MIN_LOG_LEVEL is set below 3."""
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    present = any(isinstance(finder, _Finder) for finder in sys.meta_path)
    if level == "3" and "tensorflow" not in sys.modules and not present:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow once, by the other finders, and then removes itself."""

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            loader.exec_module = functools.partial(_run, loader.exec_module)
        return spec


def _run(exec_module: Callable[[ModuleType], None], module: ModuleType) -> None:
    with _notices_held_back():
        exec_module(module)


@contextlib.contextmanager
def _notices_held_back() -> Iterator[None]:
    """Keep what C++ code writes to stderr, and write all that is no notice when the block ends."""
    try:
        stderr = os.dup(_STDERR)
    except OSError:  # a process without a console
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if not _NOTICE.match(line):
                    os.write(_STDERR, line)
