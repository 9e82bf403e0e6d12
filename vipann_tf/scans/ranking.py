"""Windows of a scan to listen to next: those the model doubts most, or those like an example."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vipann_tf.errors import UserError
from vipann_tf.evaluation.rank import diverse_order
from vipann_tf.files.paths import StrPath
from vipann_tf.scans import store
from vipann_tf.scans.finished import list_rows, read_state, recorder_of

__all__ = ["RankedWindow", "is_scan", "rank_windows", "similar_windows"]

# Diversity is sought among so many times the windows that are asked for: those with the best
# scores. The embeddings of a whole season would not fit into memory.
CANDIDATES = 50


@dataclasses.dataclass(frozen=True)
class RankedWindow:
    """A window that is worth to be heard.

    Attributes:
      recording: Path of the recording.
      start_s: Start of the window.
      end_s: End of the window.
      time: Time of day, aware if in UTC; `None` if it is unknown.
      answer: The model's most probable label.
      probability: Its probability.
      score: What the ranking is by: nats, or the cosine of the angle to the example.
    """

    recording: str
    start_s: float
    end_s: float
    time: datetime.datetime | None
    answer: str
    probability: float
    score: float


class _Candidates:
    """Windows in memory: those with the best scores.

    Args:
      most: How many to keep at least, if there are so many.
    """

    def __init__(self, most: int):
        self._most = most
        self.places: list[dict[str, Any]] = []
        self.scores = np.zeros(0)
        self.embeddings: list[NDArray[np.float32]] = []

    def add(
        self, table: dict[str, Any], scores: NDArray[np.float64], labels: list[str], rows: list[int]
    ) -> None:
        """Add rows of a table, of which only the best may be kept.

        Args:
          table: Columns.
          scores: Of each row of the table, float64 [rows].
          labels: Labels of the scan.
          rows: Which rows.
        """
        best = np.argsort(-scores[rows], kind="stable")[: self._most]
        chosen = [rows[i] for i in best.tolist()]
        for row in chosen:
            probs = [table[store.column("probability", label)][row] for label in labels]
            answer = int(np.argmax(probs))
            self.places.append(
                {
                    "recording": table["recording"][row],
                    "start_s": float(table["start_s"][row]),
                    "end_s": float(table["end_s"][row]),
                    "time": table["time_utc"][row] or table["time_local"][row],
                    "answer": labels[answer],
                    "probability": float(probs[answer]),
                }
            )
        self.scores = np.concatenate([self.scores, scores[chosen]])
        if "embedding" in table:
            self.embeddings.extend(table["embedding"][chosen])
        if len(self.scores) > 4 * self._most:
            kept = np.argsort(-self.scores, kind="stable")[: self._most].tolist()
            self.places, self.scores = [self.places[i] for i in kept], self.scores[kept]
            self.embeddings = [self.embeddings[i] for i in kept] if self.embeddings else []


def is_scan(path: StrPath) -> bool:
    """Return whether a path is the directory of a scan."""
    return os.path.isfile(os.path.join(path, store.SCAN_FILE))


def rank_windows(
    scan: StrPath,
    *,
    by: str = "epistemic",
    top: int = 20,
    label: str | None = None,
    diversity: bool = False,
    by_recorder: bool = False,
) -> list[RankedWindow]:
    """Rank the windows of a scan by uncertainty; windows that overlap a better one are left out.

    Args:
      scan: Directory of a finished scan.
      by: "epistemic", "aleatoric" or "total".
      top: Number of windows.
      label: Rank by the uncertainty of this label, instead of that of the window.
      diversity: Whether to prefer windows unlike those before, see `diverse_order`; among the best
        `CANDIDATES` times `top`.
      by_recorder: Whether to rank the windows of each recorder (folder) alone: `top` of each, one
        recorder after the other.

    Raises:
      UserError: An argument is not allowed, or the scan is unfinished or has no embeddings.
    """
    state = read_state(os.fspath(scan))
    if label is not None and by == "total":
        raise UserError("--by total is of a whole window; with a label, use epistemic or aleatoric")
    column = by if label is None else store.column(by, _known(state, label))
    groups = _best(
        scan,
        state,
        lambda table: table[column],
        top,
        embeddings=diversity,
        by_recorder=by_recorder,
    )
    ranked = []
    for found in groups:
        order = np.argsort(-found.scores, kind="stable")
        if diversity:
            kept = np.array(_apart(found, order, len(order)))
            embeddings = np.stack(found.embeddings)
            order = kept[diverse_order(found.scores[kept], embeddings[kept], top)[0]]
        ranked += _ranked(found, order, top)
    return ranked


def similar_windows(
    scan: StrPath, example: NDArray[np.float32], *, top: int = 20
) -> list[RankedWindow]:
    """Rank the windows of a scan by their likeness to an example: an exact search.

    Args:
      scan: Directory of a finished scan with embeddings.
      example: Embedding of the example, `[size]`.
      top: Number of windows.

    Raises:
      UserError: The scan is unfinished or has no embeddings of that size.
    """
    state = read_state(os.fspath(scan))
    unit = example / max(float(np.linalg.norm(example)), 1e-12)

    def cosines(table: dict[str, Any]) -> NDArray[np.float64]:
        rows = table["embedding"]
        if rows.shape[1] != len(unit):
            raise UserError(f"the example has {len(unit)} numbers, and {scan} {rows.shape[1]}")
        lengths = np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
        return np.asarray(rows @ unit / lengths, np.float64)

    ranked = []
    for found in _best(scan, state, cosines, top, embeddings=True):
        ranked += _ranked(found, np.argsort(-found.scores, kind="stable"), top)
    return ranked


def _known(state: dict[str, Any], label: str) -> str:
    labels = state["settings"]["labels"]
    if label not in labels:
        raise UserError(f"label {label!r} is unknown; the scan has {', '.join(labels)}")
    return label


def _best(
    scan: StrPath,
    state: dict[str, Any],
    score: Callable[[dict[str, Any]], NDArray[Any]],
    top: int,
    *,
    embeddings: bool,
    by_recorder: bool = False,
) -> list[_Candidates]:
    """Read the scan part by part, and keep the windows with the best scores, of each recorder."""
    if top < 1:
        raise UserError(f"top is {top}; use 1 or more")
    labels = state["settings"]["labels"]
    if embeddings and not state["settings"]["embeddings"]:
        raise UserError(f"{scan} has no embeddings; scan again with --embeddings")
    found: dict[str, _Candidates] = {}
    for table in _tables(scan, state, embeddings):
        scores = np.asarray(score(table), np.float64)
        groups: dict[str, list[int]] = {}
        for row, path in enumerate(table["recording"]):
            groups.setdefault(recorder_of(path) if by_recorder else "", []).append(row)
        for name, rows in groups.items():
            found.setdefault(name, _Candidates(CANDIDATES * top)).add(table, scores, labels, rows)
    return [found[name] for name in sorted(found)]


def _tables(scan: StrPath, state: dict[str, Any], embeddings: bool) -> Iterator[dict[str, Any]]:
    labels = state["settings"]["labels"]
    lists = ["recording", "time_utc", "time_local"]
    numbers = ["start_s", "end_s", "total", "aleatoric", "epistemic"]
    numbers += [store.column(measure, label) for measure in store.MEASURES for label in labels]
    names = [f"part-{number:06d}" for number in range(state["units"])]
    columns = [*lists, *numbers, *(["embedding"] if embeddings else [])]
    for table in store.parts(os.fspath(scan), names, columns):
        found: dict[str, Any] = {name: table.column(name).to_pylist() for name in lists}
        found.update({name: table.column(name).to_numpy() for name in numbers})
        if embeddings:
            found["embedding"] = list_rows(table, "embedding")
        yield found


def _apart(found: _Candidates, order: NDArray[np.int64], most: int) -> list[int]:
    """Return windows in order, without those that overlap one before."""
    chosen: list[int] = []
    taken: dict[str, list[tuple[float, float]]] = {}
    for i in order.tolist():
        place = found.places[i]
        spans = taken.setdefault(place["recording"], [])
        if any(place["start_s"] < end and place["end_s"] > start for start, end in spans):
            continue
        spans.append((place["start_s"], place["end_s"]))
        chosen.append(i)
        if len(chosen) == most:
            break
    return chosen


def _ranked(found: _Candidates, order: NDArray[np.int64], top: int) -> list[RankedWindow]:
    chosen = _apart(found, order, top)
    return [RankedWindow(**found.places[i], score=float(found.scores[i])) for i in chosen]
