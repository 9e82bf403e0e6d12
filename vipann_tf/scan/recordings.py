"""The recordings of a scan: files, folders, patterns and lists, each measured once."""

from __future__ import annotations

import csv
import dataclasses
import glob
import os
from collections.abc import Iterable, Iterator

from vipann_tf.audio.errors import DecodeError
from vipann_tf.audio.recording import open_recording
from vipann_tf.datasets.remote_tree import source_tree
from vipann_tf.errors import UserError
from vipann_tf.files import storage

__all__ = ["Recording", "find_recordings", "measure"]


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


def find_recordings(names: Iterable[str]) -> list[str]:
    """Return the absolute paths of recordings, in order of their names and each once.

    Args:
      names: Audio files, folders (with all that is in them), patterns such as `rec/*.flac`, CSV
        files with a column `filename`, and prefixes in object stores.

    Raises:
      UserError: A name gives no recording.
    """
    found: list[str] = []
    for name in names:
        before = len(found)
        found += _expanded(name)
        if len(found) == before:
            raise UserError(f"{name} gives no recording: there is no audio file in it")
    return sorted(dict.fromkeys(found))


def _expanded(name: str) -> Iterator[str]:
    if storage.is_remote(name):
        tree = source_tree(name)
        yield from (tree.path(file) for file in tree.audio_files())
    elif os.path.isdir(name):
        tree = source_tree(name)
        yield from (os.path.abspath(tree.path(file)) for file in tree.audio_files())
    elif name.lower().endswith(".csv") and os.path.isfile(name):
        yield from _listed(name)
    elif os.path.exists(name) or not glob.has_magic(name):
        yield os.path.abspath(name)  # a file that is missing is an error of its own row
    else:
        for match in glob.glob(name, recursive=True):
            yield from _expanded(match)


def _listed(name: str) -> Iterator[str]:
    with open(name, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if "filename" not in (reader.fieldnames or ()):
            raise UserError(
                f"{name} has no column 'filename'; its columns are"
                f" {', '.join(reader.fieldnames or ()) or '(none)'}"
            )
        for row in reader:
            if row["filename"]:
                yield os.path.abspath(os.path.join(os.path.dirname(name), row["filename"]))


def measure(path: str) -> Recording:
    """Open a recording for its rate and length; nothing is decoded."""
    state: tuple[int, ...] = ()
    try:
        if storage.is_remote(path):
            with storage.RemoteFile(path) as file, open_recording(file) as recording:
                return Recording(path, recording.rate_hz, recording.measure_s(), state)
        with open_recording(path) as recording:
            found = os.stat(path)
            state = (found.st_size, found.st_mtime_ns)
            return Recording(path, recording.rate_hz, recording.measure_s(), state)
    except (DecodeError, OSError) as error:
        return Recording(path, 0, 0.0, state, str(error))
