"""NLL and Brier against scikit-learn; the Brier parts against the direct score and by hand."""

import numpy as np
import pytest
import scipy.special
from sklearn.metrics import brier_score_loss, log_loss

from vipann_tf.uncertainty import calibration as cal
from vipann_tf.uncertainty import scores


def _data(seed=0, clips=211, labels=6):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(clips, labels))
    softmax = scipy.special.softmax(logits, axis=1)
    onehot = np.eye(labels, dtype=int)[rng.integers(labels, size=clips)]
    sigmoid = scipy.special.expit(logits)
    return softmax, onehot, sigmoid, (rng.random((clips, labels)) < sigmoid).astype(int)


def test_nll_matches_scikit_learn():
    softmax, onehot, sigmoid, multihot = _data()
    np.testing.assert_allclose(
        scores.clip_nll(softmax, onehot, "multiclass").mean(),
        log_loss(onehot.argmax(1), softmax),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        scores.clip_nll(sigmoid, multihot, "multilabel").mean(),
        np.mean(
            [log_loss(y, p, labels=[0, 1]) for p, y in zip(sigmoid.T, multihot.T, strict=True)]
        ),
        rtol=1e-12,
    )


def test_nll_of_a_certain_error_is_large_and_finite():
    floor = -np.log(scores.PROBABILITY_FLOOR)
    got = scores.clip_nll([[1.0, 0.0], [1.0, 0.0]], [[0, 1], [1, 0]], "multiclass")
    np.testing.assert_allclose(got, [floor, 0.0])
    got = scores.clip_nll([[1.0, 0.0]], [[0, 1]], "multilabel")
    np.testing.assert_allclose(got, [floor], rtol=1e-6)


def test_brier_matches_scikit_learn():
    softmax, onehot, sigmoid, multihot = _data()
    by_label = [brier_score_loss(y, p) for p, y in zip(softmax.T, onehot.T, strict=True)]
    got = scores.clip_brier(softmax, onehot, "multiclass").mean()
    np.testing.assert_allclose(got, np.sum(by_label), rtol=1e-12)
    by_label = [brier_score_loss(y, p) for p, y in zip(sigmoid.T, multihot.T, strict=True)]
    got = scores.clip_brier(sigmoid, multihot, "multilabel").mean()
    np.testing.assert_allclose(got, np.mean(by_label), rtol=1e-12)


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_brier_parts_add_up_to_the_direct_score(bins):
    softmax, onehot, _, _ = _data(1)
    stats = cal.label_reliability(softmax, onehot, "multiclass", cal.equal_width_edges(bins))
    parts = scores.brier_parts(stats)
    assert parts.score.shape == (6,)
    direct = scores.clip_brier(softmax, onehot, "multiclass").mean()
    np.testing.assert_allclose(parts.score.sum(), direct, rtol=1e-12)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bin
    np.testing.assert_allclose(total, parts.score, rtol=1e-10)


def test_brier_parts_by_hand():
    # 0.2 is said four times (1 true), 0.9 twice (2 true); both alone in their bins.
    stats = cal.count_bins(
        [0.2, 0.2, 0.2, 0.2, 0.9, 0.9], [1, 0, 0, 0, 1, 1], cal.equal_width_edges(2)
    )
    parts = scores.brier_parts(stats)
    np.testing.assert_allclose(parts.uncertainty, 0.25)
    np.testing.assert_allclose(parts.reliability, (4 * 0.05**2 + 2 * 0.1**2) / 6)
    np.testing.assert_allclose(parts.resolution, (4 * 0.25**2 + 2 * 0.5**2) / 6)
    np.testing.assert_allclose(parts.within_bin, 0.0, atol=1e-15)
    np.testing.assert_allclose(parts.score, (0.8**2 + 3 * 0.2**2 + 2 * 0.1**2) / 6)


def test_brier_parts_of_nothing_are_nan():
    parts = scores.brier_parts(cal.count_bins([], [], cal.equal_width_edges(3)))
    assert all(np.isnan(part) for part in parts)
