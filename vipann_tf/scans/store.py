"""The files of a scan: Parquet data sets of windows and detections, and a list of recordings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vipann_tf.errors import UserError
from vipann_tf.files.atomic import replacing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DETECTIONS",
    "DRAWS",
    "MEASURES",
    "RECORDINGS_FILE",
    "SCAN_FILE",
    "WINDOWS",
    "Begin",
    "Rows",
    "column",
    "import_pyarrow",
    "is_done",
    "outcome",
    "parts",
    "remove_drafts",
    "times",
    "write_table",
    "write_unit",
]

SCAN_FILE = "scan.json"
RECORDINGS_FILE = "recordings.parquet"
WINDOWS, DETECTIONS = "windows", "detections"
# Outcome of each unit; with it, the unit is finished.
OUTCOMES = "outcomes"
_DRAFT = ".draft"
# When a recording began, in milliseconds since 1970 in UTC and by the recorder's clock.
Begin = tuple[int | None, int | None]
# Numbers of each label, and the start of their columns' names.
MEASURES = ("probability", "aleatoric", "epistemic")
# Start of the name of a label's column of probabilities by draw.
DRAWS = "draws"


def import_pyarrow() -> Any:
    """Import pyarrow.

    Raises:
      UserError: It is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            f"scans need pyarrow ({error}); install it: pip install 'vipann-tf[scan]'"
        ) from error
    return pyarrow


def column(measure: str, label: str) -> str:
    """Return the name of a label's column."""
    return f"{measure}.{label}"


class Rows:
    """Rows of a unit in memory, in any order; `table` sorts them.

    Args:
      paths: Path of each recording of the unit.
      begins: When each began.
      labels: Labels to keep.
    """

    def __init__(self, paths: Sequence[str], begins: Sequence[Begin], labels: Sequence[str]):
        self._paths, self._begins, self._labels = list(paths), list(begins), list(labels)
        self._places: list[tuple[int, float, float]] = []
        self._clips: list[NDArray[np.float32]] = []
        self._measures: list[NDArray[np.float32]] = []
        self._embeddings: list[NDArray[np.float32]] = []
        self._draws: list[NDArray[np.float32]] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(
        self,
        place: tuple[int, float, float],
        clip: NDArray[np.float32],
        measures: NDArray[np.float32],
        embedding: NDArray[np.float32] | None = None,
        draws: NDArray[np.float32] | None = None,
    ) -> None:
        """Add a window.

        Args:
          place: Number of the recording, start and end in seconds.
          clip: total, aleatoric and epistemic, float32 [3].
          measures: As `MEASURES`, float32 [3, labels].
          embedding: float32 [size], or `None`.
          draws: Probabilities of every draw, float32 [draws, labels], or `None`.
        """
        self._places.append(place)
        self._clips.append(clip)
        self._measures.append(measures)
        if embedding is not None:
            self._embeddings.append(embedding)
        if draws is not None:
            self._draws.append(draws)

    def table(self) -> pa.Table:
        """Return the rows as a table, sorted by recording and time."""
        pyarrow = import_pyarrow()
        order = sorted(range(len(self._places)), key=lambda row: self._places[row])
        places = [self._places[row] for row in order]
        clips = np.array([self._clips[row] for row in order], np.float32).reshape(-1, 3)
        measures = np.array([self._measures[row] for row in order], np.float32)
        measures = measures.reshape(-1, len(MEASURES), len(self._labels))
        columns: dict[str, Any] = {
            "recording": pyarrow.DictionaryArray.from_arrays(
                pyarrow.array([place[0] for place in places], pyarrow.int32()), self._paths
            ),
            "start_s": np.array([place[1] for place in places], np.float64),
            "end_s": np.array([place[2] for place in places], np.float64),
            **times([self._begins[place[0]] for place in places], [place[1] for place in places]),
            "total": clips[:, 0],
            "aleatoric": clips[:, 1],
            "epistemic": clips[:, 2],
        }
        for j, label in enumerate(self._labels):
            for i, measure in enumerate(MEASURES):
                columns[column(measure, label)] = measures[:, i, j]
        if self._embeddings:
            columns["embedding"] = _lists(np.stack([self._embeddings[row] for row in order]))
        if self._draws:
            draws = np.stack([self._draws[row] for row in order])
            for j, label in enumerate(self._labels):
                columns[column(DRAWS, label)] = _lists(draws[:, :, j])
        return pyarrow.table(columns)


def _lists(rows: NDArray[np.float32]) -> pa.Array:
    """Return a column of lists of one length, from float32 [rows, length]."""
    pyarrow = import_pyarrow()
    return pyarrow.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])


def times(begins: Sequence[Begin], starts_s: Sequence[float]) -> dict[str, Any]:
    """Return the columns `time_utc` and `time_local`: null where they are not known.

    Args:
      begins: When the recording of each row began.
      starts_s: Seconds of each row in its recording.
    """
    pyarrow = import_pyarrow()
    columns = {}
    for i, (name, zone) in enumerate({"time_utc": "UTC", "time_local": None}.items()):
        known = [begin[i] for begin in begins]
        values = [
            None if begin is None else begin + round(1000 * start_s)
            for begin, start_s in zip(known, starts_s, strict=True)
        ]
        columns[name] = pyarrow.array(values, pyarrow.timestamp("ms", tz=zone))
    return columns


def write_table(table: pa.Table, path: str) -> None:
    """Write a Parquet file as a whole or not at all."""
    pyarrow = import_pyarrow()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path, f"{path}{_DRAFT}{os.getpid()}") as file:
        pyarrow.parquet.write_table(table, file, compression="zstd")


def write_unit(out: str, name: str, table: pa.Table, found: dict[str, Any]) -> None:
    """Write the windows of a unit, and then its outcome, which makes it finished."""
    write_table(table, os.path.join(out, WINDOWS, f"{name}.parquet"))
    path = _outcome_path(out, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path, f"{path}{_DRAFT}{os.getpid()}") as file:
        file.write(json.dumps(found).encode())


def remove_drafts(out: str) -> None:
    """Remove what a killed run left half written, which others would take for a part of it all."""
    for folder in (WINDOWS, DETECTIONS, OUTCOMES):
        for draft in Path(out, folder).glob(f"*{_DRAFT}*"):
            draft.unlink(missing_ok=True)


def is_done(out: str, name: str) -> bool:
    """Return whether a unit is finished."""
    return os.path.isfile(_outcome_path(out, name))


def outcome(out: str, name: str) -> dict[str, Any]:
    """Read the outcome of a finished unit."""
    with open(_outcome_path(out, name), "rb") as file:
        found: dict[str, Any] = json.loads(file.read())
    return found


def parts(out: str, names: Sequence[str], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Read some columns of the windows, unit by unit."""
    pyarrow = import_pyarrow()
    for name in names:
        path = os.path.join(out, WINDOWS, f"{name}.parquet")
        yield pyarrow.parquet.read_table(path, columns=list(columns), partitioning=None)


def _outcome_path(out: str, name: str) -> str:
    return os.path.join(out, OUTCOMES, f"{name}.json")
