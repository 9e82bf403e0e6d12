"""What follows from the windows of a finished scan: detections, recordings, notices."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vipann_tf.datasets.selection_files import Detected, TabledRecording
from vipann_tf.files.atomic import write_text
from vipann_tf.notices import Notice
from vipann_tf.records.summary import table_csv
from vipann_tf.saved_model.detections import Detection, Detector
from vipann_tf.scans import store
from vipann_tf.scans.tables import write_tables

if TYPE_CHECKING:
    from vipann_tf.scans.planning import Scan

__all__ = ["ScanResult", "read_detections", "write_results", "write_scan_tables"]

NOTICES_FILE = "notices.csv"
TABLES = "tables"


@dataclasses.dataclass(frozen=True)
class ScanResult:
    """What a scan gave.

    Attributes:
      recordings: Number of recordings.
      heard_s: Seconds that were answered.
      windows: Number of windows.
      detections: Number of detections of each label that has any.
      notices: What is to be known of the recordings.
      errors: Path and reason of each recording that could not be heard to its end.
    """

    recordings: int
    heard_s: float
    windows: int
    detections: dict[str, int]
    notices: list[Notice]
    errors: list[tuple[str, str]]


@dataclasses.dataclass
class _Heard:
    """What became of a recording: `heard_s` seconds of it were answered, the last until `end_s`.

    `spent_s` is its part of the time that the units took, by its part of their windows.
    """

    windows: int = 0
    heard_s: float = 0.0
    end_s: float = 0.0
    spent_s: float = 0.0
    error: str = ""
    findings: dict[tuple[str, str], None] = dataclasses.field(default_factory=dict)


def write_results(out: str, planned: Scan) -> ScanResult:
    """Write detections, recordings and notices of a scan whose units are all finished.

    Args:
      out: Directory of the scan.
      planned: Its plan.
    """
    heard = _heard(out, planned)
    counts: dict[str, int] = {}
    rows = []
    begins = {x.name: planned.begins[x.path] for x in planned.recordings}
    for name, found in _detections(out, planned):
        label = planned.settings.labels[found.label]
        counts[label] = counts.get(label, 0) + 1
        rows.append((name, label, found, float(planned.thresholds[found.label])))
    pyarrow = store.import_pyarrow()
    single = pyarrow.float32()
    table = pyarrow.table(
        {
            "recording": pyarrow.array([row[0] for row in rows], pyarrow.string()),
            "label": pyarrow.array([row[1] for row in rows], pyarrow.string()),
            "start_s": pyarrow.array([row[2].start_s for row in rows], pyarrow.float64()),
            "end_s": pyarrow.array([row[2].end_s for row in rows], pyarrow.float64()),
            **store.times([begins[row[0]] for row in rows], [row[2].start_s for row in rows]),
            "probability": pyarrow.array([row[2].probability for row in rows], single),
            "mean_probability": pyarrow.array([row[2].mean_probability for row in rows], single),
            "epistemic": pyarrow.array([row[2].epistemic for row in rows], single),
            "windows": pyarrow.array([row[2].windows for row in rows], pyarrow.int32()),
            "threshold": pyarrow.array([row[3] for row in rows], single),
        }
    )
    store.write_table(table, os.path.join(out, store.DETECTIONS, "part-000000.parquet"))
    _write_recordings(out, planned, heard)
    notices = [
        *planned.notices,
        *(
            Notice(path, "", kind, detail)
            for path, state in heard.items()
            for kind, detail in state.findings
        ),
    ]
    content = table_csv(Notice, notices).decode()
    write_text(Path(out) / NOTICES_FILE, content)
    return ScanResult(
        recordings=len(planned.recordings),
        heard_s=sum(state.heard_s for state in heard.values()),
        windows=sum(state.windows for state in heard.values()),
        detections=dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))),
        notices=notices,
        errors=[(path, state.error) for path, state in heard.items() if state.error],
    )


def read_detections(out: str) -> list[dict[str, Any]]:
    """Read the detections of a finished scan, as dicts of their columns."""
    pyarrow = store.import_pyarrow()
    table = pyarrow.parquet.read_table(os.path.join(out, store.DETECTIONS), partitioning=None)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def write_scan_tables(out: str, planned: Scan, styles: Sequence[str]) -> list[str]:
    """Write the detections of a finished scan as tables, see `tables.write_tables`.

    Returns:
      For each style the combined table, or the first one if there is none.
    """
    by_recording: dict[str, list[Detected]] = {}
    for row in read_detections(out):
        time = row["time_utc"] or row["time_local"]
        by_recording.setdefault(row["recording"], []).append(
            Detected(
                label=row["label"],
                start_s=row["start_s"],
                end_s=row["end_s"],
                probability=row["probability"],
                epistemic=row["epistemic"],
                mean_probability=row["mean_probability"],
                clock_time=time,
            )
        )
    for rows in by_recording.values():
        rows.sort(key=lambda found: (found.start_s, found.label))
    slow = planned.info.time_expansion
    recordings = [
        TabledRecording(x.name, x.rate_hz, x.length_s, slow)
        for x in planned.recordings
        if not x.error
    ]
    first = []
    for style in styles:
        folder = os.path.join(out, TABLES, style)
        written = write_tables(folder, style, recordings, lambda x: by_recording.get(x.path, []))
        first.append(written[0])
    return first


def _heard(out: str, planned: Scan) -> dict[str, _Heard]:
    heard = {x.path: _Heard(error=x.error) for x in planned.recordings}
    for unit in planned.units:
        outcome = store.outcome(out, unit.name)
        for piece in outcome["pieces"]:
            state = heard[piece["recording"]]
            state.windows += piece["windows"]
            state.spent_s += outcome["seconds"] * piece["windows"] / max(outcome["windows"], 1)
            if piece["windows"]:  # pieces overlap by what windows do
                begin_s = max(piece["start_s"], state.end_s)
                state.heard_s += max(0.0, piece["end_s"] - begin_s)
                state.end_s = max(state.end_s, piece["end_s"])
            state.error = state.error or piece["error"]
            state.findings.update(dict.fromkeys(map(tuple, piece["findings"])))
    return heard


def _detections(out: str, planned: Scan) -> Iterator[tuple[str, Detection]]:
    """Yield name and detection, recording by recording."""
    labels = planned.settings.labels
    columns = [
        *("recording", "start_s", "end_s"),
        *(store.column("probability", label) for label in labels),
        *(store.column("epistemic", label) for label in labels),
    ]
    detector = Detector(planned.thresholds, planned.settings.hop_s)
    current: str | None = None
    for table in store.parts(out, [unit.name for unit in planned.units], columns):
        paths: list[str] = table.column(0).to_pylist()
        starts, ends = (table.column(i).to_numpy() for i in (1, 2))
        values = [table.column(3 + i).to_numpy() for i in range(2 * len(labels))]
        numbers = np.stack(values, axis=1) if values else np.zeros([len(paths), 0], np.float32)
        for row, path in enumerate(paths):
            if path != current:
                if current is not None:
                    yield from ((current, found) for found in detector.close())
                current = path
            probabilities, epistemic = np.split(numbers[row], 2)
            for found in detector.add(
                float(starts[row]), float(ends[row]), probabilities, epistemic
            ):
                yield path, found
    if current is not None:
        yield from ((current, found) for found in detector.close())


def _write_recordings(out: str, planned: Scan, heard: dict[str, _Heard]) -> None:
    pyarrow = store.import_pyarrow()
    states = [heard[x.path] for x in planned.recordings]
    table = pyarrow.table(
        {
            "recording": pyarrow.array([x.name for x in planned.recordings], pyarrow.string()),
            "rate_hz": pyarrow.array([x.rate_hz for x in planned.recordings], pyarrow.int32()),
            "length_s": pyarrow.array([x.length_s for x in planned.recordings], pyarrow.float64()),
            **_begin_columns(planned),
            "heard_s": pyarrow.array([state.heard_s for state in states], pyarrow.float64()),
            "windows": pyarrow.array([state.windows for state in states], pyarrow.int64()),
            "spent_s": pyarrow.array([state.spent_s for state in states], pyarrow.float64()),
            "error": pyarrow.array([state.error for state in states], pyarrow.string()),
            "notices": pyarrow.array(
                ["; ".join(f"{kind}: {text}" for kind, text in state.findings) for state in states],
                pyarrow.string(),
            ),
            "model": pyarrow.array([planned.settings.model] * len(states), pyarrow.string()),
        }
    )
    store.write_table(table, os.path.join(out, store.RECORDINGS_FILE))


def _begin_columns(planned: Scan) -> dict[str, Any]:
    begins = [planned.begins[x.path] for x in planned.recordings]
    found = store.times(begins, [0.0] * len(begins))
    return {f"begin_{name.removeprefix('time_')}": column for name, column in found.items()}
