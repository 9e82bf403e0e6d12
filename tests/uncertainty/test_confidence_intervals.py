"""Closed-form intervals of one ranking: their defining equations, and simulated coverage."""

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import average_precision_score, roc_auc_score

from vipann_tf.uncertainty.confidence_intervals import (
    auroc_difference_interval,
    auroc_interval,
    average_precision_interval,
    crossed_interval,
    student_interval,
)


@pytest.mark.parametrize(
    ("value", "positives", "negatives"),
    [(0.0, 3, 9), (0.4, 1, 449), (0.5, 20, 20), (0.93, 6, 74), (1.0, 5, 75), (1.0, 1, 1)],
)
def test_ends_of_the_auroc_are_1_96_of_their_own_standard_errors_away(value, positives, negatives):
    low, high = auroc_interval(value, positives, negatives)
    mean = (positives + negatives) / 2 - 1
    for x in {low, high} - {0.0, 1.0}:
        # Hanley & McNeil's two probabilities, x / (2 - x) and 2 x^2 / (1 + x).
        pairs = (x / (2 - x) - x**2) + (2 * x**2 / (1 + x) - x**2)
        error = np.sqrt((x * (1 - x) + mean * pairs) / (positives * negatives))
        np.testing.assert_allclose(abs(x - value), 1.959964 * error, rtol=1e-5)
    assert 0 <= low <= value <= high <= 1 and low < high
    np.testing.assert_allclose((1 - high, 1 - low), auroc_interval(1 - value, positives, negatives))


def test_the_interval_of_an_average_precision_is_wilsons_of_its_positives():
    low, high = average_precision_interval(0.6, 5)
    for q in (low, high):
        np.testing.assert_allclose(abs(0.6 - q), 1.959964 * np.sqrt(q * (1 - q) / 5), atol=1e-8)
    assert average_precision_interval(1.0, 1) == pytest.approx((1 / (1 + 1.959964**2), 1.0))


@pytest.mark.parametrize("distance", [0.5, 1.5, 3.0])
@pytest.mark.parametrize("positives", [1, 3, 10])
def test_intervals_of_rare_labels_cover_what_other_clips_give(positives, distance):
    """Of 300 sets of 80 clips, at least 90 % less three standard errors."""
    rng = np.random.default_rng(positives)
    truth = np.arange(80) < positives
    scores = rng.normal(size=(300, 80)) + distance * truth
    precision = np.array([average_precision_score(truth, row) for row in scores])
    wins = scores[:, :positives, None] > scores[:, None, positives:]
    auroc = wins.mean(axis=(1, 2))
    least = 300 * 0.9 - 3 * np.sqrt(300 * 0.9 * 0.1)
    # Scores of distance d have the AUROC Phi(d / sqrt 2).
    for values, want, interval in (
        (
            auroc,
            norm.cdf(distance / np.sqrt(2)),
            lambda x: auroc_interval(x, positives, 80 - positives),
        ),
        (precision, precision.mean(), lambda x: average_precision_interval(x, positives)),
    ):
        ends = np.array([interval(x) for x in values])
        assert np.sum((ends[:, 0] <= want) & (want <= ends[:, 1])) >= least


def test_an_interval_over_one_factor_is_students():
    values = [0.3, 0.5, 0.9]
    expected = student_interval(values)
    assert crossed_interval(np.array([values])) == pytest.approx(expected)
    assert crossed_interval(np.array(values)[:, None]) == pytest.approx(expected)
    assert crossed_interval(np.array([[0.4]])) == (pytest.approx(0.4), None, None)


def test_an_interval_over_folds_and_seeds_covers_their_effects():
    """3000 tables of 5 folds and 4 seeds: 95 % and more are covered, and not nearly all."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(3000):
        fold, seed = rng.normal(0, 1.0, (5, 1)), rng.normal(0, 0.7, (1, 4))
        _, low, high = crossed_interval(fold + seed + rng.normal(0, 0.5, (5, 4)))
        covered += low <= 0 <= high
    error = np.sqrt(0.95 * 0.05 / 3000)
    assert 0.95 - 4 * error < covered / 3000 < 0.995


@pytest.mark.parametrize("positives, negatives", [(2, 5), (7, 30)])
def test_the_difference_of_aurocs_has_delongs_variance(positives, negatives):
    """With clips left out one by one, scikit-learn's AUROC gives DeLong's components."""
    rng = np.random.default_rng(positives)
    truth = np.arange(positives + negatives) < positives
    first = np.round(rng.normal(size=len(truth)) + truth, 1)  # with ties
    second = np.round(first + rng.normal(size=len(truth)), 1)
    gap = roc_auc_score(truth, first) - roc_auc_score(truth, second)
    value, low, high = auroc_difference_interval(first, second, truth)
    assert value == pytest.approx(gap)
    parts = []
    for kind, count in ((truth, positives), (~truth, negatives)):
        left_out = [
            roc_auc_score(truth[kept], first[kept]) - roc_auc_score(truth[kept], second[kept])
            for kept in (np.arange(len(truth)) != i for i in np.flatnonzero(kind))
        ]
        components = count * gap - (count - 1) * np.array(left_out)
        parts.append(components.var(ddof=1) / count)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (positives - 1) + parts[1] ** 2 / (negatives - 1))
    half = t.ppf(0.975, freedom) * np.sqrt(sum(parts))
    assert (low, high) == pytest.approx((max(gap - half, -1), min(gap + half, 1)))
    back = auroc_difference_interval(second, first, truth)
    assert back == pytest.approx((-value, -high, -low))


def test_what_clips_cannot_say_of_a_difference_has_no_interval():
    truth = np.arange(8) < 3
    scores = np.linspace(1, 0, 8)
    assert auroc_difference_interval(scores, scores**2, truth) == (0.0, None, None)
    assert auroc_difference_interval(scores, -scores, np.arange(8) < 1) == (1.0, None, None)
    assert auroc_difference_interval(scores, -scores, np.ones(8)) == (None, None, None)


def test_the_difference_of_aurocs_covers_what_other_clips_give():
    """Scores of equal AUROC, 300 sets of 10 and 40 clips: 95 %, less three standard errors."""
    rng = np.random.default_rng(0)
    truth = np.arange(50) < 10
    missed = 0
    for _ in range(300):
        common = rng.normal(size=50) + 1.5 * truth
        scores = [common + 0.5 * rng.normal(size=50) for _ in range(2)]
        _, low, high = auroc_difference_interval(*scores, truth)
        missed += not low <= 0 <= high
    assert missed <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)
