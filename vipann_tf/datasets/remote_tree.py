"""Datasets in object stores (`s3://`, `gs://`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from vipann_tf.datasets.tree import SourceTree
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.files.storage import ReadableFile

__all__ = ["RemoteTree", "source_tree"]


def source_tree(path: StrPath) -> SourceTree:
    """Return the directory that a dataset is read from, local or remote."""
    return RemoteTree(path) if storage.is_remote(path) else SourceTree(path)


class RemoteTree(SourceTree):
    """A directory in an object store."""

    SUSPECTS = "the path, the credentials and the connection"

    def path(self, name: str) -> str:
        """Return the address of a file from its name relative to the root."""
        return storage.join(self.root, name)

    def _is_directory(self, path: str) -> bool:
        try:
            with storage.remote_files(path) as gfile:
                return gfile.isdir(path.rstrip("/"))
        except FileNotFoundError:
            return False

    def _is_file(self, path: str) -> bool:
        return storage.size(path) is not None

    def _open(self, path: str) -> ReadableFile:
        return storage.open_read(path)

    def _walk(self) -> Iterator[tuple[str, list[str]]]:
        root = self.root.rstrip("/")
        with contextlib.suppress(FileNotFoundError), storage.remote_files(root) as gfile:
            for folder, _, files in gfile.walk(root):
                yield folder, [name for name in files if name]

    def _identity(self, path: str) -> tuple[int, int] | None:
        return None  # no links

    def _inside(self, folder: str) -> str:
        return folder[len(self.root.rstrip("/")) :].strip("/")
