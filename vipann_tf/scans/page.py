"""summary.html: what a scan heard, by hour of day, by day and by recorder, in one file."""

from __future__ import annotations

import collections
import csv
import dataclasses
import os
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vipann_tf.datasets.csv_file import COLUMNS
from vipann_tf.datasets.table import Row, read_table
from vipann_tf.errors import UserError
from vipann_tf.evaluation.page_templates import page_environment
from vipann_tf.evaluation.plain_numbers import percent
from vipann_tf.files.atomic import write_text
from vipann_tf.files.paths import StrPath
from vipann_tf.scans.activity import UNKNOWN_QUANTILE, Activity, measure_activity
from vipann_tf.scans.clips import CLIPS, LIST_FILE
from vipann_tf.scans.finished import read_recordings, read_state, row_times_s
from vipann_tf.scans.listening import recordings_to_hear
from vipann_tf.scans.maps import date_of, hours, periods, rate_map, share_map, short_names
from vipann_tf.scans.presence_map import read_presence_map
from vipann_tf.scans.summary import NOTICES_FILE
from vipann_tf.scans.unknown import epistemic_limit

__all__ = ["Page", "write_page"]

PAGE_FILE = "summary.html"
# Rows of a heat map, and of the errors; the page says what is left out.
MAP_ROWS = 40
TOP_LABELS = 3
# Clips that are shown without being asked for.
OPEN_CLIPS = 24


@dataclasses.dataclass(frozen=True)
class Page:
    """A written summary.

    Attributes:
      path: The file.
      recordings: Number of recordings.
      detections: Number of detections.
    """

    path: str
    recordings: int
    detections: int


def write_page(
    scan: StrPath, out: StrPath | None = None, *, unknown_above: float | StrPath | None = None
) -> Page:
    """Write the summary of a finished scan as one HTML file, which works offline.

    Args:
      scan: Directory of the scan.
      out: File to write; by default `summary.html` in the directory.
      unknown_above: Nats, or results of `evaluate` on sounds that the model knows, see
        `unknown.epistemic_limit`; by default a quantile of the scan itself.

    Raises:
      UserError: The directory is no finished scan, or an argument is wrong.
    """
    scan = os.fspath(scan)
    out = os.path.join(scan, PAGE_FILE) if out is None else os.fspath(out)
    if os.path.isdir(out):
        raise UserError(f"out is {out}, a directory; give a file, such as {out}/{PAGE_FILE}")
    state = read_state(scan)
    limit, source = epistemic_limit(state["settings"], unknown_above)
    activity = measure_activity(scan, limit, source)
    rows = read_recordings(scan).select(["recording", "windows"]).to_pylist()
    hear = recordings_to_hear(scan, rows, os.path.dirname(os.path.abspath(out)))
    recordings = _recordings(scan)
    environment = page_environment("vipann_tf.scans")
    environment.filters.update(percent=percent, hours=hours, many=lambda count: f"{count:,}")
    text = environment.get_template("summary.html").render(
        name=os.path.basename(os.path.abspath(scan)),
        state=state,
        activity=activity,
        quantile=UNKNOWN_QUANTILE,
        recordings=recordings,
        notices=_notices(scan),
        clips=_clips(scan, out),
        hear=[(x, _link(x.page, out) if x.is_drawn else "") for x in hear[:MAP_ROWS]],
        heard=len(hear),
        presence=read_presence_map(scan, MAP_ROWS),
        rows=MAP_ROWS,
        **_maps(activity),
    )
    write_text(Path(out), text)
    return Page(out, recordings["count"], sum(activity.labels.values()))


def _maps(activity: Activity) -> dict[str, Any]:
    """Return what the template shows by label, hour, day and recorder."""
    days = sorted({day for _, day in activity.windows if day is not None} | activity.day_s.keys())
    names, column = periods(days)
    day_s = np.zeros(len(names))
    for day, seconds in activity.day_s.items():
        day_s[column[day]] += seconds
    shown = list(activity.labels)[:MAP_ROWS]
    by_hour = {x: {hour: activity.by_hour[x, hour] for hour in range(24)} for x in shown}
    by_day: dict[str, collections.Counter[int]] = {x: collections.Counter() for x in shown}
    for (label, day), count in activity.by_day.items():
        if label in by_day:
            by_day[label][column[day]] += count
    spans = [f"{hour:02d}:00 to {(hour + 1) % 24:02d}:00" for hour in range(24)]
    recorders = _recorders(activity)
    shown_recorders = recorders[:MAP_ROWS] if len(recorders) > 1 else []
    places = {x["path"]: i + 1 for i, x in enumerate(shown_recorders)}
    # [all and each recorder, windows and those unknown, periods]
    counts = np.zeros([1 + len(places), 2, len(names)], int)
    for key, count in activity.windows.items():
        recorder, window_day = key
        if window_day is not None:
            pair = count, activity.unknown[key]
            counts[0, :, column[window_day]] += pair
            if recorder in places:
                counts[places[recorder], :, column[window_day]] += pair
    rows = [
        (name, *pair)
        for name, pair in zip(
            ["all recorders", *(x["name"] for x in shown_recorders)], counts.tolist(), strict=True
        )
    ]
    return {
        "labels": list(activity.labels.items()),
        "first_day": date_of(days[0]) if days else "",
        "last_day": date_of(days[-1]) if days else "",
        "period": "day" if not names or names[0] == date_of(days[0]) else "month",
        "hour_map": rate_map(
            [f"{hour:02d}" for hour in range(24)], activity.hour_s.tolist(), by_hour, spans
        ),
        "day_map": rate_map(names, day_s.tolist(), by_day),
        "recorders": recorders,
        "unknown_map": share_map(names, rows),
        "bars": share_map(names, rows[:1]).rows[0][1],
        "greatest": float(np.max(counts[0, 1] / np.maximum(counts[0, 0], 1), initial=0.0)),
    }


def _recorders(activity: Activity) -> list[dict[str, Any]]:
    """Return the lines of the table of recorders; those with most sound first."""
    windows: collections.Counter[str] = collections.Counter()
    unknown: collections.Counter[str] = collections.Counter()
    labels: dict[str, collections.Counter[str]] = {}
    for (recorder, day), count in activity.windows.items():
        windows[recorder] += count
        unknown[recorder] += activity.unknown[recorder, day]
    for (recorder, label), count in activity.by_recorder.items():
        labels.setdefault(recorder, collections.Counter())[label] = count
    short = short_names(list(windows))
    lines = []
    for recorder in sorted(windows, key=lambda x: (-activity.recorder_s[x], x)):
        found = labels.get(recorder, collections.Counter())
        lines.append(
            {
                "path": recorder,
                "name": short[recorder],
                "seconds": activity.recorder_s[recorder],
                "detections": sum(found.values()),
                "top": sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP_LABELS],
                "more": max(0, len(found) - TOP_LABELS),
                "unknown": unknown[recorder] / windows[recorder],
            }
        )
    return lines


def _recordings(scan: str) -> dict[str, Any]:
    """Return what the list of recordings says, in numbers."""
    table = read_recordings(scan)
    rows = table.select(["recording", "heard_s", "windows", "error", "notices"]).to_pylist()
    timed = ~np.isnan(row_times_s(table, "begin"))
    local = ~np.isnan(row_times_s(table, "begin", zones=("local",)))
    heard = np.array([row["windows"] > 0 for row in rows], bool)
    return {
        "count": len(rows),
        "windows": sum(row["windows"] for row in rows),
        "errors": [(row["recording"], row["error"]) for row in rows if row["error"]],
        "noticed": sum(bool(row["notices"]) and not row["error"] for row in rows),
        "local": int(np.sum(heard & local)),
        "utc": int(np.sum(heard & timed & ~local)),
        "untimed": int(np.sum(heard & ~timed)),
    }


def _notices(scan: str) -> list[tuple[str, int]]:
    """Return how many notices of each kind there are."""
    path = os.path.join(scan, NOTICES_FILE)
    if not os.path.isfile(path):
        return []
    with open(path, newline="", encoding="utf-8") as file:
        counts = collections.Counter(row["kind"] for row in csv.DictReader(file))
    return sorted(counts.items())


def _clips(scan: str, out: str) -> dict[str, Any]:
    """Return the extracted clips by label, with links relative to the page."""
    folder = os.path.join(scan, CLIPS)
    path = os.path.join(folder, LIST_FILE)
    groups: dict[str, list[dict[str, str]]] = {}
    missing, problem = 0, ""
    try:
        rows = _listed(path) if os.path.isfile(path) else []
    except UserError as error:  # people edit the list; the page has more to show
        rows, problem = [], str(error)
    for row in rows:
        sound = os.path.join(folder, row["filename"])
        if not os.path.isfile(sound):
            missing += 1
            continue
        clip = {"link": _link(sound, out), "name": row["filename"]}
        clip |= {"recording": row["group"], "notes": row["notes"]}
        groups.setdefault(row["labels"] or row["label"] or "no label", []).append(clip)
    return {
        "groups": sorted(groups.items()),
        "missing": missing,
        "problem": problem,
        "open": sum(map(len, groups.values())) <= OPEN_CLIPS,
    }


def _listed(path: str) -> Sequence[Row]:
    """Read the list of clips, as `prepare csv` would."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); save it so") from error
    table = read_table(path, text, known=(*COLUMNS, "notes"))
    if "filename" not in table.columns:
        raise UserError(
            f"{path} has no column 'filename'; its columns are {', '.join(table.columns)}"
        )
    return table.rows


def _link(path: str, page: str) -> str:
    """Return the address of a file, seen from a page."""
    try:
        relative = os.path.relpath(path, os.path.dirname(os.path.abspath(page)))
    except ValueError:  # another drive of Windows
        return Path(path).absolute().as_uri()
    return urllib.parse.quote(Path(relative).as_posix())
