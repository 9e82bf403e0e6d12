"""Files of datasets, local or in an object store (`s3://`, `gs://`, by `tf.io.gfile`).

This is the one module that imports tensorflow_io, whose plug-in teaches TensorFlow `s3://` paths.
It is loaded when the first such path is used.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Iterator
from types import ModuleType, TracebackType
from typing import BinaryIO, Protocol

from vipann_tf.errors import UserError
from vipann_tf.files import atomic
from vipann_tf.files.paths import StrPath

__all__ = [
    "ReadableFile",
    "RemoteFile",
    "aborts_at_exit",
    "is_remote",
    "join",
    "list_names",
    "open_read",
    "open_write",
    "read_bytes",
    "remote_files",
    "remove",
    "size",
]


class ReadableFile(Protocol):
    """A seekable binary file, open for reading: local or remote."""

    def read(self, count: int = -1, /) -> bytes:
        """Read `count` bytes, or all that are left."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position, and return it."""

    def tell(self) -> int:
        """Return the position."""

    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> ReadableFile: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...


def is_remote(path: StrPath) -> bool:
    """Return whether a path names an object store: `s3://bucket/key`, `gs://bucket/key`."""
    return "://" in os.fspath(path)


def join(directory: StrPath, name: str) -> str:
    """Return the path of a file in a directory."""
    directory = os.fspath(directory)
    if is_remote(directory):
        return f"{directory.rstrip('/')}/{name}"
    return os.path.join(directory, name)


def open_read(path: StrPath) -> ReadableFile:
    """Open a file for reading, seekable.

    Raises:
      FileNotFoundError: It does not exist.
    """
    if not is_remote(path):
        try:
            return open(path, "rb")
        except NotADirectoryError as error:
            raise FileNotFoundError(error.errno, error.strerror, path) from error
    return RemoteFile(path)


@contextlib.contextmanager
def open_write(path: StrPath) -> Iterator[BinaryIO]:
    """Open a file for writing: it appears whole if the block ends without an error, else not."""
    if is_remote(path):
        # An object appears when it is closed, but only if `write` was called before.
        file = _gfile(path).GFile(path, "wb")
        file.write(b"")
        yield file
        file.close()
        return
    # The draft's name is fixed, so that a run after a killed one overwrites its draft.
    with atomic.replacing(path, f"{path}.part") as file:
        yield file


def read_bytes(path: StrPath) -> bytes:
    """Read a whole file.

    Raises:
      FileNotFoundError: It does not exist.
    """
    with open_read(path) as file:
        return file.read()


def size(path: StrPath) -> int | None:
    """Return the size of a file in bytes; `None` where there is none."""
    try:
        if is_remote(path):
            with remote_files(path) as gfile:
                return gfile.stat(path).length
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def list_names(directory: StrPath) -> list[str]:
    """Return the names in a directory, sorted; none where there is no such directory."""
    try:
        if is_remote(directory):
            with remote_files(directory) as gfile:
                return sorted(name.rstrip("/") for name in gfile.listdir(directory))
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove(path: StrPath) -> None:
    """Delete a file, or a directory with everything in it, if it exists."""
    if not is_remote(path):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
        return
    gfile = _gfile(path)
    if gfile.isdir(path):
        gfile.rmtree(path)
    elif size(path) is not None:
        gfile.remove(path)


def aborts_at_exit() -> bool:
    """Return whether this process should end by `os._exit`.

    Once tensorflow_io's S3 file system was used, the destructors at the end of a process may abort
    it (seen with 0.37.1), which turns success into status 134.
    """
    return _load_s3.cache_info().currsize > 0


class RemoteFile:
    """A `tf.io.gfile` file that remembers a failed read.

    libsndfile calls `read` through C, where an exception is printed and treated as the end of the
    file, so half a recording would seem complete. Call `check` after decoding.

    Args:
      path: A file in an object store.

    Raises:
      FileNotFoundError: It does not exist.
    """

    def __init__(self, path: StrPath):
        from tensorflow import errors

        if size(path) is None:
            raise FileNotFoundError(f"no file at {path}")
        self._errors = errors.OpError
        self._file = _gfile(path).GFile(path, "rb")
        self._failure: Exception | None = None

    def read(self, count: int = -1, /) -> bytes:
        """Read `count` bytes, or all that are left; remember a failure."""
        try:
            return self._file.read(count)
        except self._errors as error:
            self._failure = error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position, and return it."""
        self._file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def check(self) -> None:
        """Raise the failure of an earlier read, if there was one."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> RemoteFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def remote_files(path: StrPath) -> Iterator[ModuleType]:
    """Yield `tf.io.gfile` for one path, and translate its errors.

    Raises:
      FileNotFoundError: There is no such path.
      UserError: The object store can't be reached.
    """
    from tensorflow import errors

    try:
        yield _gfile(path)
    except errors.NotFoundError as error:
        raise FileNotFoundError(error.message) from error
    except errors.OpError as error:
        raise UserError(
            f"{path} can't be reached: {error.message}; check the address, the credentials and the"
            " connection"
        ) from error


def _gfile(path: StrPath) -> ModuleType:
    """Return `tf.io.gfile`, able to handle this path."""
    import tensorflow as tf

    if os.fspath(path).startswith("s3://"):
        _load_s3()
    return tf.io.gfile


@functools.lru_cache
def _load_s3() -> bool:
    try:
        import tensorflow_io  # noqa: F401  (registers the file system)
    except ImportError as error:
        raise UserError(
            "s3:// paths need the package tensorflow-io, which is not installed or does not load"
            f" here ({error}); install vipann-tf[io], which is for Python up to 3.12 with"
            " TensorFlow 2.17, and not for Windows"
        ) from error
    return True
