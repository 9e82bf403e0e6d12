"""Where dataset directories lie: plain file calls here, object stores through `tf.io.gfile`.

The one module that imports tensorflow_io, whose plug-in teaches TensorFlow `s3://` paths.
"""

from __future__ import annotations

import os

__all__ = ["is_remote", "join", "read_bytes", "size"]


def is_remote(path) -> bool:
    """Whether a path names an object store: `s3://bucket/key`, `gs://bucket/key`."""
    return "://" in os.fspath(path)


def join(directory, name: str) -> str:
    """The path of a file in a directory."""
    directory = os.fspath(directory)
    return f"{directory.rstrip('/')}/{name}" if is_remote(directory) else os.path.join(directory, name)


def read_bytes(path) -> bytes:
    """A whole file.

    Raises:
      FileNotFoundError: Where it does not exist.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, path) from error


def size(path) -> int | None:
    """Size of a file in bytes; `None` where there is none."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
