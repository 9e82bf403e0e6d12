"""The directory that a dataset is read from: its files and the metadata in them.

Dataset modules access storage through this one class, so that another kind of storage needs only a
subclass (`remote_tree`).
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from functools import cached_property

import soundfile

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.files.storage import ReadableFile

__all__ = ["AUDIO_SUFFIXES", "SourceTree", "stem"]

# Formats that libsndfile reads, and formats that users expect it to read: the latter are listed so
# that they appear in rejected.csv.
AUDIO_SUFFIXES = frozenset(
    [
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".caf",
        ".w64",
        ".rf64",
        ".m4a",
        ".mp4",
        ".aac",
        ".wma",
        ".webm",
    ]
)


class SourceTree:
    """A local directory, or one metadata file and its directory.

    Args:
      path: The directory or file that the user named.
    """

    SUSPECTS = "the path"  # what to check if nothing is found

    def __init__(self, path: StrPath):
        self.given = os.fspath(path)
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
        names = []
        for folder, children, files in self._walk():
            children[:] = [child for child in children if not child.startswith(".")]
            inside = self._inside(folder)
            prefix = inside + "/" if inside else ""
            names += [prefix + name for name in files if not name.startswith(".")]
        return tuple(sorted(names))

    def audio_files(self, folder: str = "") -> tuple[str, ...]:
        """Return the audio files below a folder of the tree, recognised by their suffixes."""
        prefix = f"{folder}/" if folder else ""
        return tuple(
            name
            for name in self.files
            if name.startswith(prefix) and os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES
        )

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
        """Read the length of an audio file from its header, in seconds; `None` if that fails."""
        try:
            with self._open(self.path(name)) as file, soundfile.SoundFile(file) as sound:
                return sound.frames / sound.samplerate
        except (soundfile.SoundFileError, OSError):
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

    def _walk(self) -> Iterator[tuple[str, list[str], list[str]]]:
        return os.walk(self.root, followlinks=True)

    def _inside(self, folder: str) -> str:
        inside = os.path.relpath(folder, self.root).replace(os.sep, "/")
        return "" if inside == "." else inside


def stem(name: str) -> str:
    """Return a file name without its folders and suffix."""
    return os.path.splitext(name.rsplit("/", 1)[-1])[0]
