"""The detections of a scan as tables that people look at: for Raven, for Audacity, or one CSV."""

from __future__ import annotations

import codecs
import contextlib
import csv
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from vipann_tf.datasets.selection_files import (
    Detected,
    RavenTable,
    TabledRecording,
    TextOutput,
    audacity_lines,
    shown_time,
)
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath

__all__ = ["TABLE_FORMATS", "write_tables"]

TABLE_FORMATS = ("raven", "audacity", "csv")
_ENDS = {"raven": ".selections.txt", "audacity": ".txt"}
_COMBINED = {"raven": "combined.selections.txt", "csv": "detections.csv"}
# `prepare csv` reads the first four.
_CSV_COLUMNS = (
    "filename",
    "label",
    "start_s",
    "end_s",
    "probability",
    "mean_probability",
    "epistemic",
    "clock_time",
)

Detections = Callable[[TabledRecording], Iterable[Detected]]


def write_tables(
    folder: StrPath, style: str, recordings: Sequence[TabledRecording], detections: Detections
) -> list[str]:
    """Write the detections of recordings, one recording in memory at a time.

    - `raven`: a selection table per recording, in folders as the recordings are, and
      `combined.selections.txt`, in which Begin Time counts over all recordings in their order: it
      fits Raven with all of them open.
    - `audacity`: a label file per recording.
    - `csv`: `detections.csv`.

    A recording without detections has a table, too: nothing was detected in it.

    Args:
      folder: Where to write; it is made.
      style: One of `TABLE_FORMATS`.
      recordings: Those that could be opened.
      detections: Returns those of a recording, in the order of their begins.

    Returns:
      The paths of the tables, the combined one first.

    Raises:
      UserError: There is no such style.
    """
    if style not in TABLE_FORMATS:
        raise UserError(f"format is {style!r}; use {', '.join(TABLE_FORMATS)}")
    every = [storage.join(folder, _COMBINED[style])] if style in _COMBINED else []
    names = _table_names(recordings, style) if style in _ENDS else []
    paths = [storage.join(folder, name) for name in names]
    with contextlib.ExitStack() as stack:
        if style == "csv":
            rows = csv.writer(stack.enter_context(_opened(every[0])), lineterminator="\n")
            rows.writerow(_CSV_COLUMNS)
            for recording in recordings:
                rows.writerows(_csv_row(recording, found) for found in detections(recording))
        elif style == "audacity":
            for recording, path in zip(recordings, paths, strict=True):
                with _opened(path) as file:
                    file.write(audacity_lines(detections(recording)))
        else:
            table = RavenTable(stack.enter_context(_opened(every[0])))
            for recording, path in zip(recordings, paths, strict=True):
                found = list(detections(recording))
                table.add(recording, found)
                with _opened(path) as file:
                    RavenTable(file).add(recording, found)
    return [*every, *paths]


@contextlib.contextmanager
def _opened(path: str) -> Iterator[TextOutput]:
    """Open a table, which appears whole or not at all."""
    if not storage.is_remote(path):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with storage.open_write(path) as file:
        # Names of files that are no UTF-8 are written as they are.
        yield codecs.getwriter("utf-8")(file, "surrogateescape")


def _table_names(recordings: Sequence[TabledRecording], style: str) -> list[str]:
    """Return a name for the table of each recording, in the folders below what all share.

    It is the recording's name without its suffix, as Raven and `prepare raven` expect it, unless
    that is another table's.
    """
    paths = [_parts(recording.absolute_path) for recording in recordings]
    levels = zip(*(parts[:-1] for parts in paths), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, levels))
    taken = {_COMBINED.get(style, "")}
    names = []
    for parts in paths:
        folders, name = parts[shared:-1], parts[-1]
        for stem in _stems(name):
            table = "/".join([*folders, stem + _ENDS[style]])
            # Windows and macOS know one file for capital and small letters.
            if table.casefold() not in taken:
                break
        taken.add(table.casefold())
        names.append(table)
    return names


def _stems(name: str) -> Iterator[str]:
    yield os.path.splitext(name)[0]
    yield name
    yield from (f"{name} ({number})" for number in itertools.count(2))


def _parts(path: str) -> list[str]:
    """Return folders and name of a path; none leads out of a folder, or is refused by Windows."""
    parts = [part for part in re.split(r"[\\/]" if os.name == "nt" else "/", path) if part]
    return [
        re.sub(r'[<>:"|?*\\]', "_", part) if part.strip(". ") else "_" * len(part) for part in parts
    ]


def _csv_row(recording: TabledRecording, found: Detected) -> list[str]:
    mean = found.mean_probability
    return [
        recording.absolute_path,
        found.label,
        f"{found.start_s:.3f}",
        f"{min(found.end_s, recording.length_s):.3f}",
        f"{found.probability:.6f}",
        "" if mean is None else f"{mean:.6f}",
        f"{found.epistemic:.6f}",
        shown_time(found.clock_time),
    ]
