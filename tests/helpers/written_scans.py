"""Directories as `scan` leaves them, written by hand: no model and no sound."""

import dataclasses
import datetime
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq

UTC = datetime.timezone.utc
MAY = datetime.datetime(2023, 5, 1)


@dataclasses.dataclass
class Heard:
    """A recording: path, windows (start, end, epistemic), detections (label, start), begins.

    `draws` has the probabilities of the label "a" in each window, by draw.
    """

    path: str
    windows: list[tuple[float, float, float]]
    detections: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    local: datetime.datetime | None = None
    utc: datetime.datetime | None = None
    error: str = ""
    notices: str = ""
    draws: list[list[float]] = dataclasses.field(default_factory=list)


def write_scan(folder, recordings, *, rows_per_file=7, complete=True):
    """Windows go on in the next file in the midst of a recording, as units do."""
    (folder / "windows").mkdir(parents=True)
    (folder / "detections").mkdir()
    rows = [
        {
            "recording": x.path,
            "start_s": start_s,
            "end_s": end_s,
            **_times(x, start_s),
            "epistemic": epistemic,
            "draws.a": x.draws[i] if x.draws else None,
        }
        for x in recordings
        for i, (start_s, end_s, epistemic) in enumerate(x.windows)
    ]
    times = [("time_utc", pa.timestamp("ms", tz="UTC")), ("time_local", pa.timestamp("ms"))]
    schema = pa.schema(
        [
            ("recording", pa.dictionary(pa.int32(), pa.string())),
            *(("start_s", pa.float64()), ("end_s", pa.float64())),
            *times,
            ("epistemic", pa.float32()),
            ("draws.a", pa.list_(pa.float32(), 3)),
        ]
    )
    parts = [rows[i : i + rows_per_file] for i in range(0, len(rows), rows_per_file)]
    for i, part in enumerate(parts):
        table = pa.Table.from_pylist(part, schema=schema)
        pq.write_table(table, folder / "windows" / f"part-{i:06d}.parquet")
    found = [
        {"recording": x.path, "label": label, "threshold": 0.25, **_times(x, start_s)}
        for x in recordings
        for label, start_s in x.detections
    ]
    schema = pa.schema(
        [("recording", pa.string()), ("label", pa.string()), ("threshold", pa.float32()), *times]
    )
    pq.write_table(
        pa.Table.from_pylist(found, schema=schema), folder / "detections" / "part-000000.parquet"
    )
    listed = [
        {
            "recording": x.path,
            "begin_utc": x.utc,
            "begin_local": x.local,
            "heard_s": max((end for _, end, _ in x.windows), default=0.0),
            "windows": len(x.windows),
            "error": x.error,
            "notices": x.notices,
        }
        for x in recordings
    ]
    schema = pa.schema(
        [
            ("recording", pa.string()),
            ("begin_utc", times[0][1]),
            ("begin_local", times[1][1]),
            ("heard_s", pa.float64()),
            ("windows", pa.int64()),
            ("error", pa.string()),
            ("notices", pa.string()),
        ]
    )
    pq.write_table(pa.Table.from_pylist(listed, schema=schema), folder / "recordings.parquet")
    settings = {
        "model": "0123",
        "window_s": 2.0,
        "hop_s": 1.0,
        "num_draws": 3,
        "seed": 0,
        "draws": any(x.draws for x in recordings),
        "labels": sorted({label for x in recordings for label, _ in x.detections}),
    }
    state = {
        "complete": complete,
        "created_by": "vipann-tf 0.2.0",
        "settings": settings,
        "units": len(parts),
    }
    (folder / "scan.json").write_text(json.dumps(state))
    return folder


def _times(recording, start_s):
    after = datetime.timedelta(seconds=start_s)
    return {
        "time_utc": recording.utc and recording.utc + after,
        "time_local": recording.local and recording.local + after,
    }


def season(seed, count=25):
    """Recordings of three recorders; windows in whole seconds that overlap, touch or leave gaps."""
    chance = random.Random(seed)
    found = []
    for i in range(count):
        hop, length = chance.choice([1, 3, 400]), chance.choice([3, 5, 600])
        total = chance.randrange(length, length + 40 * hop)
        starts = [*range(0, total - length, hop), total - length]
        begin = MAY + datetime.timedelta(seconds=chance.randrange(3 * 86400))
        clock = chance.choice(["local", "utc", "both", "none"])
        local = begin if clock in ("local", "both") else None
        utc = (begin - datetime.timedelta(hours=2)).replace(tzinfo=UTC)
        found.append(
            Heard(
                f"/data/{chance.choice(['north', 'south', 'deep/swamp'])}/{i}.wav",
                [(float(s), float(s + length), chance.random() ** 2) for s in starts],
                [(chance.choice("abc"), float(chance.choice(starts))) for _ in range(i % 6)],
                local,
                utc if clock in ("utc", "both") else None,
            )
        )
    return found
