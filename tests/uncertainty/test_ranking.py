"""Weighted AUROC and average precision against scikit-learn, ties and zero weights included."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from vipann_tf.uncertainty import ranking

PAIRS = [
    (ranking.weighted_auroc, roc_auc_score),
    (ranking.weighted_average_precision, average_precision_score),
]


@pytest.mark.parametrize("ours, theirs", PAIRS)
@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("few", [0, 83])
def test_matches_scikit_learn_for_each_weighting(ours, theirs, decimals, few, monkeypatch):
    monkeypatch.setattr(ranking, "FEW", few)  # by sorting, and by comparing pairs
    rng = np.random.default_rng(decimals)
    scores = np.round(rng.random(83), decimals)
    positive = rng.random(83) < scores
    weights = [np.ones((1, 83)), rng.poisson(1.0, size=(5, 83)), rng.random((2, 83))]
    weights = np.concatenate(weights)
    got = ours(scores, positive, weights)
    want = [theirs(positive, scores, sample_weight=row) for row in weights]
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("few", [0, 4])
def test_by_hand(few, monkeypatch):
    monkeypatch.setattr(ranking, "FEW", few)
    # Positives at 3 and 1, negatives at 2 and 1: wins 2 of 4, a tie counts half.
    scores, positive = [3, 1, 2, 1], [True, True, False, False]
    np.testing.assert_allclose(ranking.weighted_auroc(scores, positive, np.ones((1, 4))), [2.5 / 4])
    got = ranking.weighted_average_precision(scores, positive, np.ones((1, 4)))
    np.testing.assert_allclose(got, [0.5 * 1 + 0.5 * 2 / 4])


@pytest.mark.parametrize("few", [0, 4])
def test_without_both_kinds_there_is_no_auroc(few, monkeypatch):
    monkeypatch.setattr(ranking, "FEW", few)
    weights = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    got = ranking.weighted_auroc([0.1, 0.9], [False, True], weights)
    np.testing.assert_array_equal(got, [np.nan, np.nan, 1.0])
    got = ranking.weighted_average_precision([0.1, 0.9], [False, True], weights)
    np.testing.assert_array_equal(got, [np.nan, 1.0, 1.0])
