"""Steps over time: against windows by hand, and by properties where windows share columns."""

import tracemalloc

import numpy as np

from tests.helpers.made_up_timelines import regular_windows, window
from vipann_tf.timelines.traces import TraceColumns


def collected(windows, labels, seconds, columns):
    found = TraceColumns(labels, seconds, columns)
    for each in windows:
        found.add(each)
    return found


def test_windows_part_in_the_middle_of_their_overlap():
    # Four seconds long: every two seconds, one that ends with the sound before a gap, and two that
    # touch.
    starts = [0, 2, 4, 5, 20, 24]
    windows = [window(s, s + 4, [0.1 * i, 0.9 - 0.1 * i]) for i, s in enumerate(starts)]
    traces = collected(windows, 2, 28.0, 2800).traces()
    np.testing.assert_allclose(traces.begin_s, [0, 3, 5, 6.5, 20, 24])
    np.testing.assert_allclose(traces.end_s, [3, 5, 6.5, 9, 24, 28])
    np.testing.assert_array_equal(traces.probabilities, [w.probabilities for w in windows])
    np.testing.assert_array_equal(traces.low, [w.low for w in windows])
    np.testing.assert_array_equal(traces.high, [w.high for w in windows])
    assert traces.shared_s == 0 and traces.has_bands


def test_windows_that_leave_gaps_are_as_wide_as_they_are():
    windows = [window(s, s + 1, [0.5]) for s in (0, 3, 6)]
    traces = collected(windows, 1, 7.0, 70).traces()
    np.testing.assert_allclose(traces.begin_s, [0, 3, 6])
    np.testing.assert_allclose(traces.end_s, [1, 4, 7])


def test_a_column_shows_the_highest_of_its_windows():
    rng = np.random.default_rng(1)
    probs = rng.random([999, 3]) ** 4
    windows = regular_windows(2500, 5.0, 2.5, lambda i: probs[i], band=None)
    windows = [window(w.start_s, w.end_s, w.probabilities, rng.random()) for w in windows]
    traces = collected(windows, 3, 2500.0, 40).traces()
    assert len(traces.begin_s) == 40
    assert np.isclose(traces.shared_s, 62.5)
    for each in windows:
        middle = (each.start_s + each.end_s) / 2
        near = np.abs((traces.begin_s + traces.end_s) / 2 - middle) <= 62.5
        assert (traces.probabilities[near].max(axis=0) >= each.probabilities).all()
        assert traces.epistemic[near].max() >= np.float32(each.epistemic)
    np.testing.assert_array_equal(
        traces.probabilities.max(axis=0), np.max([w.probabilities for w in windows], axis=0)
    )
    # The band is that of the same window.
    np.testing.assert_allclose(traces.high - traces.probabilities, 0.1, atol=1e-6)
    half = traces.coarser(13)
    assert len(half.begin_s) == 10  # four columns each
    np.testing.assert_array_equal(half.probabilities.max(axis=0), traces.probabilities.max(axis=0))
    np.testing.assert_allclose(half.probabilities - half.low, 0.1, atol=1e-6)
    np.testing.assert_array_equal(half.begin_s, traces.begin_s[::4])
    assert half.epistemic.max() == traces.epistemic.max()


def test_the_highest_window_of_each_label_is_known():
    probs = np.array([[0.2, 0.9], [0.7, 0.3], [0.6, 0.9]])
    found = collected(regular_windows(8, 4, 2, lambda i: probs[i]), 2, 8.0, 10)
    np.testing.assert_allclose(found.peaks, [0.7, 0.9])
    np.testing.assert_allclose(found.peak_s, [4.0, 2.0])


def test_memory_does_not_grow_with_the_windows():
    def peak(count):
        tracemalloc.start()
        found = TraceColumns(10, 2.5 * count, 200)
        for i in range(count):
            found.add(window(2.5 * i, 2.5 * i + 5, [0.5] * 10))
        found.traces()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(300), peak(1500)
    assert many < few + 20_000  # a window more would be 300 bytes
