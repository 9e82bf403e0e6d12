"""Detections: by hand, and where a known event lies."""

import numpy as np
import pytest

from vipann_tf.saved_model.detections import Detector


def detect(windows, probabilities, hop_s, threshold=0.5):
    """Detections of one label as (start, end, peak, mean, epistemic, windows)."""
    detector = Detector(np.array([threshold]), hop_s)
    found = []
    for (start_s, end_s), probability in zip(windows, probabilities, strict=True):
        row = np.array([probability], np.float32)
        found += detector.add(start_s, end_s, row, row / 10)
    found += detector.close()
    return [
        (x.start_s, x.end_s, x.probability, x.mean_probability, x.epistemic, x.windows)
        for x in found
    ]


def at(count, window_s, hop_s):
    return [(i * hop_s, i * hop_s + window_s) for i in range(count)]


@pytest.mark.parametrize(
    "probabilities, expected",
    [
        # As many windows as overlap: half a window, in their middle.
        ([0, 0.6, 0.9, 0], (7.5 - 2.5, 7.5, 0.9, 0.75, 0.09, 2)),
        # More of them: from a quarter before the end of the first, less half a hop.
        ([0, 0.6, 0.9, 0.6, 0], (5.0, 10.0, 0.9, 0.7, 0.09, 3)),
        ([0, 0, 0.8, 0, 0], (6.25, 8.75, 0.8, 0.8, 0.08, 1)),
        # At the ends there are no neighbours.
        ([0.7, 0.7], (0, 7.5, 0.7, 0.7, 0.07, 2)),
        ([0.7, 0, 0], (0, 3.75, 0.7, 0.7, 0.07, 1)),
        ([0, 0.7], (3.75, 7.5, 0.7, 0.7, 0.07, 1)),
    ],
)
def test_by_hand(probabilities, expected):
    (found,) = detect(at(len(probabilities), 5.0, 2.5), probabilities, 2.5)
    assert found == pytest.approx(expected, abs=1e-6)


def test_two_runs_are_two_detections_and_gaps_end_them():
    found = detect(at(6, 5.0, 2.5), [0.6, 0, 0, 0.7, 0.7, 0], 2.5)
    assert [x[5] for x in found] == [1, 2]
    found = detect([(0, 1), (1, 2), (5, 6)], [0.6, 0.6, 0.6], 1.0)
    assert [x[:2] for x in found] == [(0, 2), (5, 6)]
    found = detect(at(3, 1.0, 1.0), [0.6, 0.4, 0.6], 1.0)  # side by side
    assert [x[:2] for x in found] == [(0, 1), (2, 3)]


def test_thresholds_are_of_each_label_and_nan_never_detects():
    detector = Detector(np.array([0.5, 0.9, np.nan]), 1.0)
    row = np.array([0.7, 0.8, 1.0], np.float32)
    found = [*detector.add(0, 1, row, row), *detector.close()]
    assert [x.label for x in found] == [0]


@pytest.mark.parametrize("hop_share", [0.5, 0.25])
@pytest.mark.parametrize("needed_share", [0.01, 0.25, 0.5])
@pytest.mark.parametrize("seed", range(20))
def test_an_event_is_found_where_it_lies(seed, hop_share, needed_share):
    """A window detects an event of which it holds half, or that fills a share of it."""
    rng = np.random.default_rng(seed)
    window_s = 5.0
    hop_s = window_s * hop_share
    length_s = rng.uniform(0.5, 20)
    begin = rng.uniform(10, 20)
    end = begin + length_s
    windows = at(40, window_s, hop_s)
    held = [max(0.0, min(end, b) - max(begin, a)) for a, b in windows]
    needed = min(length_s / 2, window_s * needed_share)
    heard = [0.9 if x >= needed else 0.1 for x in held]
    (found,) = detect(windows, heard, hop_s)
    margin_s = hop_s / 2 + window_s / 4  # one hop, if windows overlap by half
    assert found[0] == pytest.approx(begin, abs=margin_s)
    assert found[1] == pytest.approx(end, abs=margin_s)


def test_recordings_do_not_run_into_one_another():
    detector = Detector(np.array([0.5]), 1.0)
    row = np.array([0.9], np.float32)
    first = [*detector.add(0, 2, row, row), *detector.close()]
    second = [*detector.add(0, 2, row, row), *detector.close()]
    assert first == second and len(first) == 1
