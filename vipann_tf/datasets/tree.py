"""The directory that a dataset is read from: its files and the metadata in them.

Dataset modules access storage through this one class, so that another kind of storage needs only a
subclass (`remote_tree`).
"""

from __future__ import annotations

import csv
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property

from vipann_tf.audio.decoding import DecodeError, duration_s
from vipann_tf.datasets.file_kinds import AUDIO_SUFFIXES, is_hidden, suffix
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.files.storage import ReadableFile
from vipann_tf.notices import Notice

__all__ = ["SourceTree", "stem"]


class SourceTree:
    """A local directory, or one metadata file and its directory.

    Args:
      path: The directory or file that the user named.

    Attributes:
      given: That path.
      root: The directory.
      file: The metadata file's name in it, if the user named one.
      notices: What was found while the directory was listed: folders that were left out.
    """

    SUSPECTS = "the path"  # what to check if nothing is found

    def __init__(self, path: StrPath):
        self.given = os.fspath(path)
        self.notices: list[Notice] = []
        if self._is_directory(self.given):
            self.root, self.file = self.given, None
        elif self._is_file(self.given):
            self.root, self.file = os.path.split(self.given)
            self.root = self.root or "."
        else:
            raise UserError(f"there is no directory {self.given!r}; check {self.SUSPECTS}")

    @property
    def name(self) -> str:
        """The name of data without a name: the last part of the path."""
        path = self.given if "://" in self.given else os.path.abspath(self.given)
        last = os.path.basename(path.rstrip("/"))
        return os.path.splitext(last)[0] if self.file else last

    def path(self, name: str) -> str:
        """Return the path of a file from its name relative to the root."""
        return os.path.join(self.root, name)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Every file below the root: sorted, relative to it, separated by '/', none hidden."""
        return tuple(sorted(file for files in self._listing.values() for file in files))

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """Every folder below the root, as `files`."""
        return tuple(sorted(folder for folder in self._listing if folder))

    @cached_property
    def _listing(self) -> dict[str, list[str]]:
        """Folder -> its files. The directory is walked once, however much is asked of it."""
        listing = {}
        for path, names in self._walk():
            folder = self._inside(path)
            if not any(is_hidden(part) for part in folder.split("/")):
                prefix = folder + "/" if folder else ""
                listing[folder] = [prefix + name for name in names if not is_hidden(name)]
        return listing

    def audio_files(self, folder: str = "") -> tuple[str, ...]:
        """Return the audio files below a folder of the tree, recognised by their suffixes."""
        prefix = f"{folder}/" if folder else ""
        return tuple(
            name
            for name in self.files
            if name.startswith(prefix) and suffix(name) in AUDIO_SUFFIXES
        )

    def same_files(self, names: Iterable[str]) -> dict[str, str]:
        """Find files that are reached twice, by links.

        Args:
          names: Names of files.

        Returns:
          The later of two names of one file -> the earlier one.
        """
        first: dict[tuple[int, int], str] = {}
        same = {}
        for name in names:
            key = self._identity(self.path(name))
            if key is not None:
                earlier = first.setdefault(key, name)
                if earlier != name and self._is_same(self.path(earlier), self.path(name)):
                    same[name] = earlier
        return same

    def has(self, name: str) -> bool:
        """Return whether the tree holds this file."""
        return self._is_file(self.path(name))

    def read_text(self, name: str) -> str:
        """Read a text file, UTF-8 with or without a byte-order mark.

        Raises:
          UserError: It isn't UTF-8.
        """
        try:
            with self._open(self.path(name)) as file:
                return file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self.path(name)} is not UTF-8 text (byte {error.start}); save it as UTF-8"
            ) from error

    def read_csv(self, name: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
        """Read the rows of a CSV file with a header, values stripped.

        Args:
          name: The file, relative to the root.
          columns: Columns that it must have.

        Raises:
          UserError: A column is missing.
        """
        reader = csv.DictReader(io.StringIO(self.read_text(name), newline=""), restval="")
        try:
            header = [(column or "").strip() for column in reader.fieldnames or ()]
            missing = [column for column in columns if column not in header]
            if missing:
                raise UserError(
                    f"{self.path(name)} has no column {missing[0]!r}; its columns are"
                    f" {', '.join(header) or '(none)'} and it needs {', '.join(columns)}"
                )
            reader.fieldnames = header
            return [
                {key: value.strip() for key, value in row.items() if key is not None}
                for row in reader
            ]
        except csv.Error as error:
            raise UserError(f"{self.path(name)}, line {reader.line_num}: {error}") from error

    def audio_seconds(self, name: str) -> float | None:
        """Return the length of an audio file in seconds; `None` if it can't be read."""
        try:
            with self._open(self.path(name)) as file:
                return duration_s(file)
        except (DecodeError, OSError):
            return None

    def require(self, dataset: str, names: tuple[str, ...], layout: str) -> None:
        """Raise a `UserError` with the missing and the existing files, unless all exist."""
        missing = [name for name in names if not self.has(name)]
        if missing:
            raise UserError(
                f"{self.given} is not the layout of {dataset} ({layout}): looked for"
                f" {', '.join(missing)}; found {self.glimpse()}"
            )

    def glimpse(self) -> str:
        """Return the first entries of the root, for an error message."""
        entries = sorted(
            {name.split("/", 1)[0] + ("/" if "/" in name else "") for name in self.files}
        )
        if not entries:
            return "no files"
        more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
        return ", ".join(entries[:8]) + more

    # A subclass for another storage overrides the methods below.

    def _is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def _is_file(self, path: str) -> bool:
        return os.path.isfile(path)

    def _open(self, path: str) -> ReadableFile:
        return open(path, "rb")

    def _walk(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each folder's path and the names of its files.

        A folder is listed once: links that lead to one that is listed under its own name, or to
        one above, are left out with a notice. So no link leads in circles.
        """
        known: dict[tuple[int, int] | str, str] = {}
        folders, links = [self.root], deque[str]()
        while folders or links:
            folder = folders.pop() if folders else links.popleft()
            try:
                # Some network drives do not number folders.
                key = _key(os.stat(folder)) or os.path.realpath(folder)
                if key in known:
                    self._leave_out(
                        folder,
                        "linked-folder",
                        f"it leads to {known[key]}, which is listed already",
                    )
                    continue
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                if folder == self.root:
                    raise UserError(f"{self.given} can't be listed: {error.strerror}") from error
                detail = f"it can't be listed: {error.strerror}; what it holds is left out"
                self._leave_out(folder, "unreadable-folder", detail)
                continue
            known[key] = folder
            files = []
            for entry in entries:
                if not _is_folder(entry):
                    files.append(entry.name)
                elif not is_hidden(entry.name):
                    (links if entry.is_symlink() else folders).append(entry.path)
            yield folder, files

    def _leave_out(self, folder: str, kind: str, detail: str) -> None:
        self.notices.append(Notice(folder, "", kind, detail))

    def _identity(self, path: str) -> tuple[int, int] | None:
        try:
            return _key(os.stat(path))
        except (OSError, ValueError):
            return None

    def _is_same(self, one: str, other: str) -> bool:
        """Return whether files of one identity are one: some network drives number wrongly."""
        linked = os.path.realpath(one) == os.path.realpath(other)
        return linked or os.stat(one).st_nlink > 1

    def _inside(self, folder: str) -> str:
        inside = os.path.relpath(folder, self.root).replace(os.sep, "/")
        return "" if inside == "." else inside


def stem(name: str) -> str:
    """Return a file name without its folders and suffix."""
    return os.path.splitext(name.rsplit("/", 1)[-1])[0]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _key(found: os.stat_result) -> tuple[int, int] | None:
    return (found.st_dev, found.st_ino) if found.st_ino else None
