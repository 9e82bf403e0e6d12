"""Which windows carry a label: closed forms, and a count on a fine grid of time."""

import numpy as np
import pytest

from vipann_tf.datasets.annotated_windows import Annotation, MinOverlap, labels_of_windows
from vipann_tf.datasets.windowing import window_begins
from vipann_tf.errors import UserError


@pytest.mark.parametrize(
    "min_overlap, begin_s, end_s, windows",
    [
        ("50%", 1, 2, [0]),
        ("50%", 4.5, 5.5, [0, 1]),  # one half each
        ("50%", 4.6, 5.5, [1]),
        ("50%", 0, 12, [0, 1]),  # 2 s of the third window's 5 s
        ("40%", 0, 12, [0, 1, 2]),
        ("100%", 4.9, 6, []),
        ("100%", 5, 10, [1]),
        ("0.25s", 4.8, 5.25, [1]),
        ("0.25s", 4.75, 5.25, [0, 1]),
        ("0.25s", 4.9, 5.05, []),  # neither holds 0.15 s
        ("0.25s", 4.8, 4.9, [0]),  # all of a shorter one
        ("0.25 s", 5, 5, [1]),  # points
        ("50%", 4.999, 4.999, [0]),
        ("50%", 15, 15, [2]),  # the end of the last window
        ("100%", 0, 0, [0]),
    ],
)
def test_closed_forms(min_overlap, begin_s, end_s, windows):
    labels, without = labels_of_windows(
        [0, 5, 10], 5, [Annotation(begin_s, end_s, "x")], MinOverlap.parse(min_overlap)
    )
    assert [k for k, found in enumerate(labels) if found] == windows
    assert without == (not windows)


@pytest.mark.parametrize("seed", range(20))
def test_as_counted_on_a_grid(seed):
    """All times are multiples of 10 ms, so that counting steps of 10 ms is exact."""
    rng = np.random.default_rng(seed)
    length, window, hop = rng.integers(600, 1500), rng.integers(50, 500), rng.integers(20, 300)
    begins = [round(100 * x) for x in window_begins(0, length / 100, window / 100, hop / 100)]
    pairs = np.sort(rng.integers(0, length + 1, (30, 2)), axis=1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    share, steps = rng.integers(1, 101), rng.integers(1, 200)
    for text in (f"{share}%", f"{steps / 100}s"):
        expected = []
        for begin in begins:
            heard = set()
            for number, (start, stop) in enumerate(pairs):
                both = set(range(begin, begin + window)) & set(range(start, stop))
                if text.endswith("%"):
                    enough = 100 * len(both) >= share * min(stop - start, window)
                else:
                    enough = len(both) >= min(steps, stop - start)
                if both and enough:
                    heard.add(str(number))
            expected.append(heard)
        annotations = [Annotation(a / 100, b / 100, str(k)) for k, (a, b) in enumerate(pairs)]
        labels, without = labels_of_windows(
            [begin / 100 for begin in begins], window / 100, annotations, MinOverlap.parse(text)
        )
        assert labels == expected
        assert without == len(pairs) - len(set().union(*expected))


@pytest.mark.parametrize("seed", range(20))
def test_half_of_an_annotation_is_always_in_one_window(seed):
    rng = np.random.default_rng(seed)
    window_s = rng.uniform(0.2, 8)
    begins = window_begins(0, 40, window_s, rng.uniform(0.1, 1) * window_s)
    pairs = np.sort(rng.uniform(0, 40, (200, 2)), axis=1)
    pairs[:50, 1] = pairs[:50, 0]  # points
    annotations = [Annotation(a, b, "x") for a, b in pairs]
    assert labels_of_windows(begins, window_s, annotations, MinOverlap.parse("50%"))[1] == 0


@pytest.mark.parametrize(
    "text", ["", "50", "0%", "101%", "-1s", "0s", "half", "1 m", "nan%", "1e9s%"]
)
def test_what_is_no_overlap(text):
    with pytest.raises(UserError, match=f"min overlap is '{text}'; use seconds above 0 such as"):
        MinOverlap.parse(text)
