"""Thresholds against scikit-learn's curve, all thresholds by brute force, and closed forms."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import precision_recall_curve, precision_score, recall_score

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.confidence_intervals import wilson_interval
from vipann_tf.uncertainty.thresholds import Wanted, count_detections, fit_thresholds

VALUES = (0.3, 0.55, 0.7, 0.9, 1.0)


def _clips(clips: int, decimals: int, seed: int):
    """Calibrated scores of three labels, rounded so that many are equal."""
    rng = np.random.default_rng(seed)
    probs = rng.beta([0.5, 1.0, 2.0], [2.0, 1.0, 1.0], size=(clips, 3))
    return probs.round(decimals), rng.random(probs.shape) < probs


@pytest.mark.parametrize("measure", ["precision", "recall"])
@pytest.mark.parametrize(("clips", "decimals"), [(37, 1), (60, 2), (211, 8)])
def test_the_curve_of_scikit_learn_gives_the_same_thresholds(measure, clips, decimals):
    for seed, value in enumerate(VALUES):
        probs, truth = _clips(clips, decimals, seed)
        found = fit_thresholds(probs, truth, "multilabel", Wanted(measure, value), min_positives=1)
        for label in range(3):
            precision, recall, scores = precision_recall_curve(truth[:, label], probs[:, label])
            values = (precision if measure == "precision" else recall)[:-1]
            fine = scores[values >= value]
            assert found.best[label] == values.max()
            if not len(fine):
                assert np.isnan(found.thresholds[label]) and found.never_reached[label]
                continue
            expected = fine.min() if measure == "precision" else fine.max()
            assert found.thresholds[label] == expected
            answers = probs[:, label] >= expected
            assert found.counts.value("precision")[label] == pytest.approx(
                precision_score(truth[:, label], answers)
            )
            assert found.counts.value("recall")[label] == pytest.approx(
                recall_score(truth[:, label], answers)
            )


def test_no_other_threshold_is_better():
    """Any number in [0, 1] as threshold, also between probabilities and beside them."""
    probs, truth = _clips(40, 2, seed=9)
    grid = np.unique(np.concatenate([np.linspace(0, 1, 401), probs.ravel()]))
    tried = [
        count_detections(probs, truth, "multilabel", np.full(3, threshold)) for threshold in grid
    ]
    for value in VALUES:
        precise = fit_thresholds(
            probs, truth, "multilabel", Wanted("precision", value), min_positives=1
        )
        complete = fit_thresholds(
            probs, truth, "multilabel", Wanted("recall", value), min_positives=1
        )
        for label in range(3):
            hits = [c.hits[label] for c in tried if c.value("precision")[label] >= value]
            assert precise.counts.hits[label] == max(hits, default=0)
            fine = [
                t for t, c in zip(grid, tried, strict=True) if c.value("recall")[label] >= value
            ]
            assert complete.thresholds[label] == max(fine)


def test_equal_probabilities_by_hand():
    probs = np.array([0.9, 0.5, 0.5, 0.5, 0.2, 0.2])[:, None]
    truth = np.array([1, 1, 0, 1, 1, 0])[:, None]

    def found(measure, value):
        return fit_thresholds(
            probs, truth, "multilabel", Wanted(measure, value), min_positives=4
        ).thresholds[0]

    # At 0.9, 0.5, 0.2: precision 1, 3/4, 4/6; recall 1/4, 3/4, 1. One of the three clips at 0.5
    # alone would give a precision of 1 and a recall of 1/2.
    assert [found("precision", x) for x in (1, 0.76, 0.75, 0.7, 0.6)] == [0.9, 0.9, 0.5, 0.5, 0.2]
    assert [found("recall", x) for x in (0.2, 0.25, 0.5, 0.75, 0.76)] == [0.9, 0.9, 0.5, 0.5, 0.2]


def test_a_share_that_equals_what_is_wanted_reaches_it():
    """7 of 100 is 0.07, though 0.07 x 100 is more than 7 in binary numbers."""
    assert 0.07 * 100 > 7
    truth = np.arange(100)[:, None] < 7
    found = fit_thresholds(
        np.full([100, 1], 0.4), truth, "multilabel", Wanted("precision", 0.07), min_positives=1
    )
    assert found.thresholds[0] == 0.4


def test_labels_without_a_threshold_have_a_reason():
    probs = np.array([[0.9, 0.8, 0.1], [0.8, 0.9, 0.1], [0.7, 0.7, 0.1], [0.6, 0.1, 0.1]])
    truth = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]])
    found = fit_thresholds(probs, truth, "multilabel", Wanted("precision", 0.9), min_positives=2)
    np.testing.assert_array_equal(found.thresholds, [0.8, np.nan, np.nan])
    assert found.too_few.tolist() == [False, False, True]
    assert found.never_reached.tolist() == [False, True, False]
    np.testing.assert_array_equal(found.best, [1, 2 / 3, np.nan])
    # Never detected: no precision, a recall of 0; without a positive clip, neither.
    np.testing.assert_array_equal(found.counts.value("precision"), [1, np.nan, np.nan])
    np.testing.assert_array_equal(found.counts.value("recall"), [1, 0, np.nan])
    found = fit_thresholds(probs, truth, "multilabel", Wanted("precision", 0.9), min_positives=3)
    assert np.isnan(found.thresholds).all() and found.too_few.all()


@pytest.mark.parametrize("measure", ["precision", "recall"])
def test_calibrated_scores_have_the_thresholds_of_their_distribution(measure):
    """Scores of Beta(a, b) that are calibrated: what is above t is right a / (a + b) S1 / S0 times.

    S0 is the survival function of Beta(a, b), S1 that of Beta(a + 1, b), the scores of positives:
    p times the density of Beta(a, b) is a / (a + b) times that of Beta(a + 1, b).
    """
    clips, a, b = 200_000, 1.3, 2.1
    rng = np.random.default_rng(5)
    probs = rng.beta(a, b, size=(clips, 1))
    truth = rng.random(probs.shape) < probs
    for value in (0.5, 0.7, 0.85):
        found = fit_thresholds(probs, truth, "multilabel", Wanted(measure, value), min_positives=5)
        threshold = found.thresholds[0]
        above, recall = stats.beta.sf(threshold, a, b), stats.beta.sf(threshold, a + 1, b)
        exact = a / (a + b) * recall / above if measure == "precision" else recall
        trials = above * clips if measure == "precision" else a / (a + b) * clips
        # The empirical value is `value` up to one clip; it varies around the exact one.
        assert exact == pytest.approx(value, abs=4 * np.sqrt(value * (1 - value) / trials))


def test_counts_of_parts_add_up_to_those_of_all_clips():
    probs, truth = _clips(90, 2, seed=3)
    thresholds = [0.4, np.nan, 0.6]
    every = count_detections(probs, truth, "multilabel", thresholds)
    parts = [
        count_detections(probs[part], truth[part], "multilabel", thresholds)
        for part in (slice(0, 1), slice(1, 50), slice(50, 90))
    ]
    total = parts[0] + parts[1] + parts[2]
    for name in ("hits", "detected", "positives"):
        np.testing.assert_array_equal(getattr(total, name), getattr(every, name))
    low, high = every.interval("precision")
    expected = wilson_interval(every.hits[[0, 2]], every.detected[[0, 2]])
    np.testing.assert_array_equal([low[[0, 2]], high[[0, 2]]], expected)
    assert np.isnan([low[1], high[1]]).all()
    expected = wilson_interval(every.hits, every.positives)
    np.testing.assert_array_equal(every.interval("recall"), expected)


def test_the_formula_for_another_frequency():
    """The module's formula against clips of which the negatives are repeated."""
    probs, truth = (values[:, 1:2] for values in _clips(500, 3, seed=4))
    rarer = np.concatenate([truth, *[truth[~truth[:, 0]]] * 7])
    more = np.concatenate([probs, *[probs[~truth[:, 0]]] * 7])
    before, after = (
        count_detections(p, t, "multilabel", [0.6]).value("precision")[0]
        for p, t in ((probs, truth), (more, rarer))
    )
    s, q = truth.mean(), rarer.mean()
    r = q * (1 - s) / (s * (1 - q))
    assert after == pytest.approx(before * r / (before * r + 1 - before))


@pytest.mark.parametrize(
    ("measure", "value", "message"),
    [
        ("accuracy", 0.9, "measure is 'accuracy'; it must be one of precision, recall"),
        ("precision", 0.0, "precision is 0.0; it must be above 0 and at most 1"),
        ("recall", 1.01, "recall is 1.01; it must be above 0 and at most 1"),
        ("recall", float("nan"), "recall is nan; it must be above 0"),
    ],
)
def test_what_cannot_be_wanted_is_named(measure, value, message):
    with pytest.raises(UserError, match=message):
        Wanted(measure, value)


def test_arrays_that_do_not_fit_are_named():
    with pytest.raises(UserError, match=r"thresholds have shape \(2,\); .* have 3 labels"):
        count_detections(np.zeros([4, 3]), np.zeros([4, 3]), "multilabel", [0.5, 0.5])
    with pytest.raises(UserError, match="clip 0 has 0 labels; multiclass clips have exactly one"):
        fit_thresholds(
            np.zeros([4, 3]), np.zeros([4, 3]), "multiclass", Wanted("recall", 1), min_positives=1
        )
