"""The recordings of a scan: files, folders, patterns and lists, each measured once."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import glob
import io
import os
from collections.abc import Iterable, Iterator

from vipann_tf.audio.errors import DecodeError, decode_errors
from vipann_tf.audio.recording import open_recording
from vipann_tf.datasets.file_kinds import unusable
from vipann_tf.datasets.remote_tree import source_tree
from vipann_tf.datasets.tree import SourceTree
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.files.storage import ReadableFile
from vipann_tf.notices import Notice
from vipann_tf.records.schema import encode_id

__all__ = ["Recording", "find_recordings", "measure", "opened"]


@dataclasses.dataclass(frozen=True)
class Recording:
    """A recording to scan.

    Attributes:
      path: Absolute path, or address in an object store.
      rate_hz: Its sample rate; 0 if it can't be opened.
      length_s: Length of its sound; 0 if it can't be opened.
      state: Size in bytes and modification time in nanoseconds, by which a change is found; empty
        in an object store.
      error: Why it can't be opened; empty if it can.
    """

    path: str
    rate_hz: int
    length_s: float
    state: tuple[int, ...]
    error: str = ""

    @property
    def name(self) -> str:
        """The path as it is stored: file names need not be valid UTF-8."""
        return encode_id(self.path).decode()


def find_recordings(names: Iterable[str]) -> tuple[list[str], list[Notice]]:
    """Find recordings.

    Args:
      names: Audio files, folders (with all that is in them), patterns such as `rec/*.flac`, CSV
        files with a column `filename`, and prefixes in object stores.

    Returns:
      Absolute paths, in order of their names and each once; and notices of files in folders that
      may be recordings, but have no suffix of sounds.

    Raises:
      UserError: A name gives no recording.
    """
    found: list[str] = []
    notices: list[Notice] = []
    for name in names:
        before = len(found)
        found += _expanded(name, notices)
        if len(found) == before:
            raise UserError(f"{name} gives no recording: there is no audio file in it")
    return sorted(dict.fromkeys(found)), notices


def _expanded(name: str, notices: list[Notice]) -> Iterator[str]:
    if storage.is_remote(name) or os.path.isdir(name):
        tree = source_tree(name)
        notices += tree.notices
        for file in tree.files:
            if (row := unusable(tree.path(file), file)) is not None:
                notices.append(Notice(row.path, "", row.reason, row.detail))
        for file in tree.audio_files():
            path = tree.path(file)
            yield path if storage.is_remote(path) else os.path.abspath(path)
    elif name.lower().endswith(".csv") and os.path.isfile(name):
        yield from _listed(name)
    elif os.path.exists(name) or not glob.has_magic(name):
        yield os.path.abspath(name)  # a file that is missing is an error of its own row
    else:
        for match in glob.glob(name, recursive=True):
            yield from _expanded(match, notices)


def _listed(name: str) -> Iterator[str]:
    tree = SourceTree(name)
    reader = csv.DictReader(io.StringIO(tree.read_text(os.path.basename(name)), newline=""))
    if "filename" not in (reader.fieldnames or ()):
        raise UserError(
            f"{name} has no column 'filename'; its columns are"
            f" {', '.join(reader.fieldnames or ()) or '(none)'}; separate them with commas"
        )
    for row in reader:
        if row["filename"]:
            yield os.path.abspath(tree.path(row["filename"]))


def measure(path: str) -> Recording:
    """Open a recording for its rate and length; nothing is decoded."""
    state: tuple[int, ...] = ()
    try:
        with decode_errors(), opened(path) as file, open_recording(file) as recording:
            if not storage.is_remote(path):
                found = os.stat(path)
                state = (found.st_size, found.st_mtime_ns)
            return Recording(path, recording.rate_hz, recording.measure_s(), state)
    except DecodeError as error:
        return Recording(path, 0, 0.0, state, str(error))


@contextlib.contextmanager
def opened(path: str) -> Iterator[StrPath | ReadableFile]:
    """Yield what a decoder reads: the path of a local file, or an open remote one.

    A failed transfer is an error of its own, and does not make the recording unusable.
    """
    if not storage.is_remote(path):
        yield path
        return
    with storage.RemoteFile(path) as file:
        try:
            yield file
        finally:
            file.check()
