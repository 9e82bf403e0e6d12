"""Numbers of a scan's summary, against counting one by one."""

import collections
import datetime

import numpy as np
import pytest

from tests.helpers.written_scans import season, write_scan
from vipann_tf.scans import activity, maps
from vipann_tf.scans.finished import recorder_of

EPOCH = datetime.datetime(1970, 1, 1)


def begin_of(recording):
    return recording.local or (recording.utc and recording.utc.replace(tzinfo=None))


def second_by_second(recordings):
    """Seconds of sound per hour of the day, day and recorder, counted one by one."""
    hours, days, recorders = (collections.Counter() for _ in range(3))
    for recording in recordings:
        heard = {s for start, end, _ in recording.windows for s in range(int(start), int(end))}
        recorders[recording.path.rpartition("/")[0]] += len(heard)
        begin = begin_of(recording)
        for second in heard if begin else ():
            time = begin + datetime.timedelta(seconds=second)
            hours[time.hour] += 1
            days[(time - EPOCH).days] += 1
    return hours, days, recorders


@pytest.mark.parametrize(("seed", "rows"), [(0, 7), (1, 1), (2, 10_000)])
def test_numbers_are_those_of_counting_one_by_one(tmp_path, seed, rows):
    recordings = season(seed)
    scan = str(write_scan(tmp_path / "scan", recordings, rows_per_file=rows))
    found = activity.measure_activity(scan, unknown_above=0.4)
    hours, days, recorders = second_by_second(recordings)
    np.testing.assert_allclose(found.hour_s, [hours[i] for i in range(24)], atol=1e-6)
    assert found.day_s == pytest.approx(days)
    assert found.recorder_s == pytest.approx(recorders)
    windows, unknown, by_hour, by_day, by_recorder = (collections.Counter() for _ in range(5))
    for recording in recordings:
        begin, recorder = begin_of(recording), recording.path.rpartition("/")[0]
        for start_s, _, epistemic in recording.windows:
            time = begin and begin + datetime.timedelta(seconds=start_s)
            key = recorder, time and (time - EPOCH).days
            windows[key] += 1
            unknown[key] += bool(np.float32(epistemic) > np.float32(0.4))
        for label, start_s in recording.detections:
            by_recorder[recorder, label] += 1
            if begin:
                time = begin + datetime.timedelta(seconds=start_s)
                by_hour[label, time.hour] += 1
                by_day[label, (time - EPOCH).days] += 1
    assert found.windows == windows and found.unknown == unknown
    assert found.by_hour == by_hour and found.by_day == by_day
    assert found.by_recorder == by_recorder
    assert all(found.hour_s[hour] > 0 for _, hour in found.by_hour)


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 999])
def test_quantile_of_the_scan(count):
    values = np.random.default_rng(count).exponential(size=count).astype(np.float32)
    bins = activity.Bins()
    for part in np.array_split(values, 3):
        bins.add(part)
    exact = np.quantile(values, 0.95, method="inverted_cdf")
    assert exact <= np.float32(bins.quantile(0.95)) <= exact * (1 + 2**-11)
    assert np.mean(values > np.float32(bins.quantile(0.95))) <= 0.05


def test_quantile_of_nothing_and_of_a_model_that_never_doubts():
    bins = activity.Bins()
    assert bins.quantile(0.95) == 0
    bins.add(np.array([0.0, -0.0, -1e-9, np.nan], np.float32))
    assert bins.quantile(0.95) == 0


def test_a_span_is_divided_at_hours():
    begin, end = np.array([3599.5, 10.0, 7200.0, -1.0]), np.array([10_801.0, 11.0, 7200.0, 1.0])
    found = collections.Counter()
    for rows, hours, seconds in activity.split_at_hours(begin, end):
        for row, hour, length in zip(rows, hours, seconds, strict=True):
            found[int(row), int(hour)] += float(length)
    assert +found == {
        (0, 0): 0.5,
        (0, 1): 3600.0,
        (0, 2): 3600.0,
        (0, 3): 1.0,
        (1, 0): 1.0,
        (3, -1): 1.0,
        (3, 0): 1.0,
    }


def test_days_become_columns():
    assert maps.periods([]) == ([], {})
    names, column = maps.periods([19_478, 19_480])
    assert names == ["2023-05-01", "2023-05-02", "2023-05-03"] and column[19_480] == 2
    # A recorder whose clock was never set.
    names, column = maps.periods([3, 19_478, 19_480, 19_509])
    assert names == ["1970-01", "2023-05", "2023-06"]
    assert [column[day] for day in (3, 19_478, 19_480, 19_509)] == [0, 1, 1, 2]


def test_no_sound_is_empty_and_no_detection_is_zero():
    found = maps.rate_map(["a", "b", "c", "d"], [7200.0, 0.0, 1800.0, 36.0], {"x": {0: 3, 3: 1}})
    [(name, cells)] = found.rows
    assert name == "x" and found.sound == ["2.0", "", "0.5", "<.1"]
    assert [cell.text for cell in cells] == ["1.5", "", "0", "100"]
    # The last column has too little sound to set the scale.
    assert [cell.share for cell in cells] == [1.0, None, 0.0, 1.0]
    assert cells[1].title == "x, b: no sound"


def test_names_of_recorders():
    assert maps.short_names([]) == {}
    assert maps.short_names(["/a/b"]) == {"/a/b": "b"}
    assert maps.short_names(["/a/b", "/a/b/b"]) == {"/a/b": "b", "/a/b/b": "b/b"}
    assert maps.short_names(["", "x"]) == {"": "", "x": "x"}
    assert recorder_of("C:\\rec\\north\\1.wav") == "C:\\rec\\north"
    assert recorder_of("s3://bucket/north/1.wav") == "s3://bucket/north"
    assert recorder_of("/a/it\\is/1.wav") == "/a/it\\is"
