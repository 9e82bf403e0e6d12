"""What was heard when, and where: the numbers of a scan's summary, file after file."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vipann_tf.scans import store
from vipann_tf.scans.finished import dictionary, read_batches, recorder_of, row_times_s

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Activity",
    "Bins",
    "measure_activity",
    "split_at_hours",
    "unheard_before",
]

HOUR_S = 3600
UNKNOWN_QUANTILE = 0.95
# A bin holds the float32 numbers that agree in their 20 highest bits: 0.05 % wide.
_BIN_BITS = 11
# Number of the day of windows without a time.
_NO_DAY = -(1 << 31)
_TIMES = ("time_utc", "time_local")


@dataclasses.dataclass
class Activity:
    """What a scan heard. Days count from 1970; `None` is the day of recordings without times.

    Attributes:
      unknown_above: Windows of more epistemic uncertainty, in nats, are unknown to the model.
      source: Where this comes from, in words; empty if it is the `UNKNOWN_QUANTILE` of the scan.
      hour_s: Seconds of sound in each hour of the day, float64 [24].
      day_s: Day -> seconds of sound.
      recorder_s: Recorder -> seconds of sound, also without times.
      windows: Recorder and day -> number of windows.
      unknown: Recorder and day -> number of windows that the model does not know.
      by_hour: Label and hour of the day -> number of detections.
      by_day: Label and day -> number of detections.
      by_recorder: Recorder and label -> number of detections, also without times.
      thresholds: Label with detections -> least probability of one.
    """

    unknown_above: float
    source: str
    hour_s: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros(24))
    day_s: dict[int, float] = dataclasses.field(default_factory=dict)
    recorder_s: dict[str, float] = dataclasses.field(default_factory=dict)
    windows: collections.Counter[tuple[str, int | None]] = dataclasses.field(
        default_factory=collections.Counter
    )
    unknown: collections.Counter[tuple[str, int | None]] = dataclasses.field(
        default_factory=collections.Counter
    )
    by_hour: collections.Counter[tuple[str, int]] = dataclasses.field(
        default_factory=collections.Counter
    )
    by_day: collections.Counter[tuple[str, int]] = dataclasses.field(
        default_factory=collections.Counter
    )
    by_recorder: collections.Counter[tuple[str, str]] = dataclasses.field(
        default_factory=collections.Counter
    )

    thresholds: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def labels(self) -> dict[str, int]:
        """Detections of each label that has any, most first."""
        counts: collections.Counter[str] = collections.Counter()
        for (_, label), count in self.by_recorder.items():
            counts[label] += count
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


class Bins:
    """A histogram of numbers from 0, so fine that it tells quantiles, whatever their number."""

    def __init__(self) -> None:
        self._counts = np.zeros(1 << (31 - _BIN_BITS), np.int64)

    def add(self, values: NDArray[np.floating[Any]]) -> None:
        """Count numbers; those below 0 are 0, those that are none do not count."""
        single = np.maximum(values[~np.isnan(values)], 0).astype(np.float32) + np.float32(0)
        # The bits of floats from 0 upwards are in the floats' order.
        np.add.at(self._counts, single.view(np.int32) >> _BIN_BITS, 1)

    def quantile(self, share: float) -> float:
        """Return the greatest number of the bin that holds a quantile; 0 if nothing was counted.

        At least `share` of the numbers are no greater.
        """
        total = int(self._counts.sum())
        if not total:
            return 0.0
        bin_ = int(np.searchsorted(np.cumsum(self._counts), np.ceil(share * total)))
        if bin_ == 0:
            return 0.0  # a model that never doubts
        return float(np.int32(((bin_ + 1) << _BIN_BITS) - 1).view(np.float32))


def unheard_before(
    recordings: NDArray[np.integer[Any]],
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    reached_s: float = 0.0,
) -> NDArray[np.float64]:
    """Return from where on each window is new sound, since windows overlap: float64 [rows].

    Args:
      recordings: Number of each row's recording, int [rows]. Rows are in the order of recordings
        and time.
      start_s: Begin of each window, float64 [rows].
      end_s: End of each window, float64 [rows].
      reached_s: Up to where the first row's recording was heard before.
    """
    before = np.zeros(len(start_s))
    if len(before):
        before[0] = reached_s
        before[1:] = np.where(recordings[1:] == recordings[:-1], end_s[:-1], 0.0)
    return np.minimum(np.maximum(start_s, before), end_s)


def split_at_hours(
    begin_s: NDArray[np.float64], end_s: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Divide spans of time among the hours that they touch.

    Args:
      begin_s: Seconds since 1970, float64 [spans].
      end_s: The same.

    Yields:
      Indices of spans, hours since 1970, and seconds in them, [pieces].
    """
    rows = np.arange(len(begin_s))
    hours = np.floor(begin_s / HOUR_S).astype(np.int64)
    while len(rows):
        low = np.maximum(begin_s[rows], hours * HOUR_S)
        high = np.minimum(end_s[rows], (hours + 1.0) * HOUR_S)
        yield rows, hours, np.maximum(high - low, 0.0)
        more = end_s[rows] > (hours + 1.0) * HOUR_S
        rows, hours = rows[more], hours[more] + 1


def measure_activity(scan: str, unknown_above: float | None = None, source: str = "") -> Activity:
    """Count what a finished scan heard, in memory that does not grow with the windows.

    Args:
      scan: Its directory, see `read_state`.
      unknown_above: Epistemic uncertainty, in nats, above which the model does not know a window;
        by default the `UNKNOWN_QUANTILE` of the scan's windows, rounded up by at most 0.05 %.
      source: Where this comes from, in words.

    Raises:
      UserError: A file can't be read.
    """
    threshold = unknown_above
    if threshold is None:
        bins = Bins()
        for table in read_batches(scan, store.WINDOWS, ["epistemic"]):
            bins.add(table.column(0).to_numpy())
        threshold = bins.quantile(UNKNOWN_QUANTILE)
    activity = Activity(threshold, source)
    last, reached_s = "", 0.0
    columns = ["recording", "start_s", "end_s", "epistemic", *_TIMES]
    for table in read_batches(scan, store.WINDOWS, columns):
        if table.num_rows:
            numbers, paths = dictionary(table, "recording")
            reached_s = reached_s if paths[numbers[0]] == last else 0.0
            _add_windows(activity, table, numbers, paths, reached_s)
            last, reached_s = paths[numbers[-1]], float(table["end_s"][-1].as_py())
    columns = ["recording", "label", "threshold", *_TIMES]
    for table in read_batches(scan, store.DETECTIONS, columns):
        labels = table["label"].to_pylist()
        activity.thresholds.update(zip(labels, table["threshold"].to_pylist(), strict=True))
        times_s = row_times_s(table)
        for path, label, time_s in zip(
            table["recording"].to_pylist(), labels, times_s, strict=True
        ):
            activity.by_recorder[recorder_of(path), label] += 1
            if not np.isnan(time_s):
                hour = int(time_s // HOUR_S)
                activity.by_hour[label, hour % 24] += 1
                activity.by_day[label, hour // 24] += 1
    return activity


def _add_windows(
    activity: Activity,
    table: pa.Table,
    numbers: NDArray[np.integer[Any]],
    paths: list[str],
    reached_s: float,
) -> None:
    recorders, recorder_of_path = np.unique(
        [recorder_of(path) for path in paths], return_inverse=True
    )
    recorder = recorder_of_path.reshape(-1)[numbers]
    start_s, end_s = (table[name].to_numpy() for name in ("start_s", "end_s"))
    new_s = unheard_before(numbers, start_s, end_s, reached_s)
    for i, seconds in enumerate(np.bincount(recorder, end_s - new_s, len(recorders))):
        name = str(recorders[i])
        activity.recorder_s[name] = activity.recorder_s.get(name, 0.0) + float(seconds)
    time_s = row_times_s(table)
    timed = ~np.isnan(time_s)
    origin_s = time_s[timed] - start_s[timed]
    for _, hours, seconds in split_at_hours(origin_s + new_s[timed], origin_s + end_s[timed]):
        activity.hour_s += np.bincount(hours % 24, seconds, 24)
        days, where = np.unique(hours // 24, return_inverse=True)
        for day, sum_s in zip(days, np.bincount(where, seconds), strict=True):
            if sum_s > 0:
                activity.day_s[int(day)] = activity.day_s.get(int(day), 0.0) + float(sum_s)
    unknown = table["epistemic"].to_numpy() > np.float32(activity.unknown_above)
    days = np.where(timed, np.nan_to_num(time_s) // (24 * HOUR_S), _NO_DAY).astype(np.int64)
    keys, where = np.unique(days * len(recorders) + recorder, return_inverse=True)
    counts = np.bincount(where, minlength=len(keys))
    unknowns = np.bincount(where, unknown, len(keys))
    for number, count, above in zip(keys.tolist(), counts, unknowns, strict=True):
        day, i = divmod(number, len(recorders))
        key = str(recorders[i]), None if day == _NO_DAY else day
        activity.windows[key] += int(count)
        activity.unknown[key] += int(above)
