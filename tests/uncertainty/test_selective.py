"""Selective prediction by hand, by brute force over orders of ties, and against scikit-learn."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import selective as sel


def test_wrong_answers_by_hand():
    probs = [[0.6, 0.5, 0.1], [0.2, 0.3, 0.1], [0.4, 0.4, 0.2]]
    multihot = [[0, 1, 0], [0, 1, 1], [1, 1, 0]]
    np.testing.assert_array_equal(
        sel.wrong_answers(probs, multihot, "multilabel"), [True, False, False]
    )
    onehot = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]  # of equal probabilities the first is the answer
    np.testing.assert_array_equal(
        sel.wrong_answers(probs, onehot, "multiclass"), [False, True, True]
    )


def test_risk_coverage_by_hand():
    curve = sel.risk_coverage([0.1, 0.4, 0.2, 0.3], [0, 1, 0, 1])
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.risk, [0, 0, 1 / 3, 1 / 2])
    np.testing.assert_allclose(
        sel.area_under_risk_coverage([0.1, 0.4, 0.2, 0.3], [0, 1, 0, 1]), 5 / 24
    )
    assert sel.excess_area_under_risk_coverage([0.1, 0.4, 0.2, 0.3], [0, 1, 0, 1]) == 0.0


def test_ties_are_the_mean_over_all_orders():
    uncertainty = np.array([0.5, 0.1, 0.5, 0.5, 0.9])
    loss = np.array([1.0, 0.0, 0.0, 0.25, 1.0])
    curves = []
    for tied in itertools.permutations([0, 2, 3]):
        order = [1, *tied, 4]
        curves.append(np.cumsum(loss[order]) / np.arange(1, 6))
    got = sel.risk_coverage(uncertainty, loss)
    np.testing.assert_allclose(got.risk, np.mean(curves, axis=0))


def test_uncertainty_that_says_nothing_has_the_mean_loss_and_one_that_knows_has_no_excess():
    loss = np.random.default_rng(0).random(200)
    np.testing.assert_allclose(sel.area_under_risk_coverage(np.zeros(200), loss), loss.mean())
    np.testing.assert_allclose(sel.excess_area_under_risk_coverage(3 * loss - 1, loss), 0.0)
    assert sel.excess_area_under_risk_coverage(-loss, loss) > 0.2


def test_best_area_of_zero_one_loss_is_near_its_closed_form():
    """Geifman et al. 2019, eq. 4: r + (1 - r) log(1 - r) for an error rate r and many clips."""
    wrong = np.arange(20_000) < 3_000
    r = 0.15
    got = sel.area_under_risk_coverage(wrong, wrong)
    np.testing.assert_allclose(got, r + (1 - r) * np.log(1 - r), atol=1e-4)


def test_error_detection_matches_scikit_learn():
    rng = np.random.default_rng(1)
    uncertainty = np.round(rng.random(150), 1)
    wrong = rng.random(150) < uncertainty
    got = sel.error_detection_auroc(uncertainty, wrong)
    np.testing.assert_allclose(got, roc_auc_score(wrong, uncertainty))
    assert got > 0.7
    assert sel.error_detection_auroc([0.1, 0.2], [True, True]) is None
    assert sel.error_detection_auroc([0.1, 0.2], [False, False]) is None


def test_retained_accuracy():
    uncertainty, wrong = np.arange(10), np.arange(10) >= 7
    got = sel.retained_accuracy(uncertainty, wrong, (1.0, 0.9, 0.75, 0.7, 0.01))
    want = {1.0: 0.7, 0.9: 7 / 9, 0.75: 7 / 8, 0.7: 1.0, 0.01: 1.0}  # 0.75 of 10 clips is 8
    assert got == pytest.approx(want)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: sel.risk_coverage([0.1, 0.2], [1]), r"shape \(2,\) and losses \(1,\)"),
        (lambda: sel.risk_coverage([], []), r"shape \(0,\)"),
        (lambda: sel.error_detection_auroc([0.1, np.nan], [0, 1]), "uncertainty of clip 1 is nan"),
        (lambda: sel.retained_accuracy([0.1], [0], [80]), "share is 80; it must be above 0"),
    ],
)
def test_errors_name_the_value(call, text):
    with pytest.raises(UserError, match=text):
        call()
