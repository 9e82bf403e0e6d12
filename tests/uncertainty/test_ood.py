"""OOD scores and their metrics against closed forms for normal scores, and by hand."""

import numpy as np
import pytest
import scipy.special
from scipy.stats import norm

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import ood


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.5])
def test_two_normal_scores_have_closed_forms(distance):
    """AUROC = Phi(d / sqrt 2); FPR at 95 % TPR = Phi(z_0.95 - d)."""
    n = 20_000
    rng = np.random.default_rng(0)
    got = ood.ood_metrics(rng.normal(size=n), rng.normal(distance, size=n))
    # Standard errors: at most 0.5 / sqrt(n) for the AUROC; for the FPR that of a share, plus that
    # of the threshold, sqrt(0.95 * 0.05 / n) / density(1.645) = 2.1 / sqrt(n), times a slope < 0.4.
    np.testing.assert_allclose(got.auroc, norm.cdf(distance / 2**0.5), atol=4 * 0.5 / n**0.5)
    want = norm.cdf(norm.ppf(0.95) - distance)
    np.testing.assert_allclose(got.fpr_at_95_tpr, want, atol=4 * 1.0 / n**0.5)
    if distance == 0.0:
        np.testing.assert_allclose(got[:3], [0.5, 0.5, 0.5], atol=0.02)


def test_by_hand():
    # 20 clips inside with scores 1..20: the threshold that keeps 95 % (19) is 19.
    got = ood.ood_metrics(np.arange(1, 21), [19, 19.5, 30, 5])
    np.testing.assert_allclose(got.fpr_at_95_tpr, 2 / 4)
    np.testing.assert_allclose(got.auroc, (18.5 + 19 + 20 + 4.5) / 80)
    perfect = ood.ood_metrics([1, 2], [3, 4, 5])
    assert perfect == (1.0, 1.0, 1.0, 0.0)
    backwards = ood.ood_metrics([3, 4, 5], [1, 2])
    assert backwards.auroc == 0.0 and backwards.fpr_at_95_tpr == 1.0


def test_precision_counts_the_kind_it_says():
    # One OOD clip on top of 9 others: both kinds are ranked perfectly. One at the bottom: the
    # precision of OOD is 1/10, that of in-distribution the mean of k / (k + 1), k = 1..9.
    assert ood.ood_metrics(np.arange(9), [9]).aupr_out == 1.0
    got = ood.ood_metrics(np.arange(1, 10), [0])
    np.testing.assert_allclose(got.aupr_out, 0.1)
    k = np.arange(1, 10)
    np.testing.assert_allclose(got.aupr_in, np.mean(k / (k + 1)))


def test_interval_holds_the_value_and_narrows_with_more_clips():
    rng = np.random.default_rng(2)
    widths = []
    for n in (30, 480):
        got = ood.ood_auroc_interval(rng.normal(size=n), rng.normal(1, size=n), resamples=300)
        assert got.low < got.value < got.high
        assert got.low < norm.cdf(0.5**0.5) < got.high
        widths.append(got.high - got.low)
    np.testing.assert_allclose(widths[0] / widths[1], 4, rtol=0.35)


PARTS = {name: np.array([0.1, 0.2, 0.3]) for name in ("total", "aleatoric", "epistemic")}


def test_scores_are_larger_for_the_less_sure():
    logits = np.array([[5.0, 0.0], [1.0, 0.0], [-3.0, -3.5]])
    softmax = scipy.special.softmax(logits, axis=1)
    got = ood.ood_scores(softmax, PARTS, "multiclass", logits)
    np.testing.assert_allclose(got["energy"], -np.log(np.exp(logits).sum(axis=1)))
    np.testing.assert_allclose(got["max_probability"], 1 - softmax.max(axis=1))
    assert got["energy"][2] == got["energy"].max()
    np.testing.assert_array_equal(got["epistemic"], PARTS["epistemic"])
    assert "energy" not in ood.ood_scores(softmax, PARTS, "multiclass")
    sigmoid = scipy.special.expit(logits)
    got = ood.ood_scores(sigmoid, PARTS, "multilabel", logits)
    np.testing.assert_allclose(got["energy"], -np.log1p(np.exp(logits)).sum(axis=1))
    from_probs = ood.ood_scores(sigmoid, PARTS, "multilabel")
    np.testing.assert_allclose(from_probs["energy"], got["energy"])
    assert np.isfinite(ood.ood_scores(np.ones((3, 2)), PARTS, "multilabel")["energy"]).all()


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: ood.ood_metrics([], [1.0]), r"in-distribution scores have shape \(0,\)"),
        (lambda: ood.ood_metrics([1.0], [[1.0]]), r"OOD scores have shape \(1, 1\)"),
        (lambda: ood.ood_metrics([1.0], [0.0, np.nan]), "the OOD score of clip 1 is nan"),
        (
            lambda: ood.ood_scores([[0.5, 0.5]], PARTS, "multiclass", [[1.0]]),
            r"logits have shape \(1, 1\) and probabilities \(1, 2\)",
        ),
    ],
)
def test_errors_name_the_value(call, text):
    with pytest.raises(UserError, match=text):
        call()
