"""Local files that are written as a whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vipann_tf.files.paths import StrPath

__all__ = ["replacing", "write_text"]


@contextlib.contextmanager
def replacing(path: StrPath, draft: StrPath) -> Iterator[BinaryIO]:
    """Open a draft for writing; it replaces `path` when the block ends without an error."""
    with open(draft, "wb") as file:
        yield file
    os.replace(draft, path)


def write_text(path: Path, text: str) -> None:
    """Write a text file, and the directories above it.

    Several processes may write the same file at once: each has its own draft, and the
    last one to finish wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, path.with_name(f".{path.name}.{os.getpid()}")) as file:
        file.write(text.encode())
