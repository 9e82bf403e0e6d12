"""Reading a finished scan: its settings, and its Parquet files, a part at a time."""

from __future__ import annotations

import contextlib
import json
import ntpath
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vipann_tf.errors import UserError
from vipann_tf.scans import store

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "dictionary",
    "list_rows",
    "read_batches",
    "read_recordings",
    "read_state",
    "recorder_of",
    "row_times_s",
]

_BATCH_ROWS = 1 << 16


def recorder_of(path: str) -> str:
    """Return the folder of a recording, also of one that was scanned on Windows."""
    windows = re.match(r"[A-Za-z]:[\\/]|\\\\", path)
    return (ntpath if windows else posixpath).dirname(path)


def read_state(scan: str) -> dict[str, Any]:
    """Read the settings of a finished scan.

    Raises:
      UserError: The directory is none, or the scan is not finished.
    """
    path = os.path.join(scan, store.SCAN_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            state: dict[str, Any] = json.load(file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{scan} is no scan (it has no {store.SCAN_FILE}); give the directory that"
            " `vipann-tf scan ... --out DIR` made"
        ) from error
    except ValueError as error:
        raise UserError(f"{path} can't be read: {error}; scan again with --overwrite") from error
    if not isinstance(state, dict) or not {"complete", "units", "settings"} <= state.keys():
        raise UserError(f"{path} is none of a scan; choose another directory")
    if not state["complete"]:
        raise UserError(
            f"the scan {scan} is not finished; give the same scan command again, and it goes on"
        )
    files = _parquet_files(scan, store.WINDOWS)
    if len(files) != state["units"]:
        raise UserError(
            f"{scan}/{store.WINDOWS} has {len(files)} Parquet files, and {store.SCAN_FILE} tells of"
            f" {state['units']}; scan again with --overwrite"
        )
    return state


def read_batches(
    scan: str, folder: str, columns: list[str], *, recording: str | None = None
) -> Iterator[pa.Table]:
    """Read some columns of the Parquet files of a folder, in order, a part at a time.

    Args:
      scan: Directory of the scan.
      folder: Its windows or its detections.
      columns: Names of the columns.
      recording: Name of the only recording whose rows are read, which is one of `columns`.

    Raises:
      UserError: One of the files can't be read.
    """
    pyarrow = store.import_pyarrow()
    for path in _parquet_files(scan, folder):
        with _told(path), pyarrow.parquet.ParquetFile(path) as file:
            if recording is not None and not _holds(file, recording):
                continue
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                table = pyarrow.Table.from_batches([batch]).select(columns)
                if recording is not None:
                    table = table.filter(pyarrow.array(_rows_of(table, recording)))
                yield table


def _holds(file: Any, recording: str) -> bool:
    """Return whether an open Parquet file has rows of a recording, from that column alone."""
    return bool(_rows_of(file.read(columns=["recording"]), recording).any())


def _rows_of(table: pa.Table, recording: str) -> NDArray[np.bool_]:
    numbers, paths = dictionary(table, "recording")
    return np.isin(numbers, [i for i, path in enumerate(paths) if path == recording])


def read_recordings(scan: str) -> pa.Table:
    """Read the list of recordings.

    Raises:
      UserError: It can't be read.
    """
    path = os.path.join(scan, store.RECORDINGS_FILE)
    with _told(path):
        return store.import_pyarrow().parquet.read_table(path, partitioning=None)


def row_times_s(
    table: pa.Table, prefix: str = "time", zones: Sequence[str] = ("local", "utc")
) -> NDArray[np.float64]:
    """Return seconds since 1970 of each row, by the first clock that is known, else NaN."""
    found = np.full(table.num_rows, np.nan)
    for zone in reversed(zones):
        time = table[f"{prefix}_{zone}"].to_numpy().astype("datetime64[ms]")
        found = np.where(np.isnat(time), found, time.astype(np.int64) / 1000)
    return found


def dictionary(table: pa.Table, name: str) -> tuple[NDArray[np.integer[Any]], list[str]]:
    """Return the numbers and the different values of a column of strings."""
    column = table[name].combine_chunks()
    if not hasattr(column, "dictionary"):
        column = column.dictionary_encode()
    return column.indices.to_numpy(), column.dictionary.to_pylist()


def list_rows(table: pa.Table, name: str) -> NDArray[np.float32]:
    """Return a column of lists of one length as float32 [rows, length]."""
    column = table[name].combine_chunks()
    values: NDArray[np.float32] = column.flatten().to_numpy()
    return values.reshape(len(column), -1)


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Name the file that can't be read."""
    try:
        yield
    except (OSError, KeyError, store.import_pyarrow().ArrowException) as error:
        raise UserError(f"{path} can't be read: {error}; scan again with --overwrite") from error


def _parquet_files(scan: str, folder: str) -> list[str]:
    place = os.path.join(scan, folder)
    names = os.listdir(place) if os.path.isdir(place) else []
    return [os.path.join(place, name) for name in sorted(names) if name.endswith(".parquet")]
