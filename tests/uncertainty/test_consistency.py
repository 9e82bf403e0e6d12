"""The ECE by chance, against the closed form of its expectation and against fresh data."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import calibration as cal
from vipann_tf.uncertainty.consistency import calibrated_ece, flipped_ece


def _probs(task, clips=80, labels=5):
    logits = 2 * np.random.default_rng(0).normal(size=(clips, labels))
    return (
        scipy.special.expit(logits)
        if task == "multilabel"
        else scipy.special.softmax(logits, axis=1)
    )


def test_equal_answers_give_the_mean_deviation_of_a_binomial():
    """40 pairs at p = 0.3 fill one bin: n ECE = |K - n p| with K ~ Binomial(n, p)."""
    n, p, draws = 40, 0.3, 4000
    headline, macro = calibrated_ece(np.full((n, 1), p), "multilabel", draws=draws)
    k = np.arange(n + 1)
    want = np.sum(scipy.stats.binom.pmf(k, n, p) * np.abs(k - n * p)) / n
    error = headline.std() / np.sqrt(draws)
    np.testing.assert_allclose(headline.mean(), want, atol=4 * error)
    np.testing.assert_allclose(macro, headline)  # one label: pooled and macro are the same


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_draws_are_the_scores_of_truth_drawn_from_the_answers(task):
    probs, rng = _probs(task), np.random.default_rng(1)
    want = []
    for _ in range(300):
        if task == "multilabel":
            truth = rng.random(probs.shape) < probs
        else:
            truth = np.stack([rng.multinomial(1, p) for p in probs])
        want.append(
            (
                cal.expected_calibration_error(cal.reliability(probs, truth, task)),
                cal.expected_calibration_error(cal.label_reliability(probs, truth, task)).mean(),
            )
        )
    want = np.array(want)
    for got, theirs in zip(calibrated_ece(probs, task, draws=300), want.T, strict=True):
        error = np.hypot(got.std(), theirs.std()) / np.sqrt(300)
        np.testing.assert_allclose(got.mean(), theirs.mean(), atol=4 * error)
        np.testing.assert_allclose(got.std(), theirs.std(), rtol=0.3)


def test_chance_shrinks_with_the_number_of_clips():
    few, _ = calibrated_ece(_probs("multiclass", clips=80), "multiclass")
    many, _ = calibrated_ece(_probs("multiclass", clips=8000), "multiclass")
    np.testing.assert_allclose(few.mean() / many.mean(), 10, rtol=0.2)  # 1 / sqrt(n)


def test_flipped_gaps_of_one_clip_and_one_label_by_hand():
    """Two clips in one bin, gaps 0.7 and -0.3: signs give |0.7 - 0.3| or |0.7 + 0.3|, by half."""
    found = flipped_ece([[0.3], [0.3]], [[1], [0]], draws=2000, seed=1)
    np.testing.assert_allclose(np.unique(found.round(12)), [0.2, 0.5])
    assert abs((found > 0.3).mean() - 0.5) < 4 * 0.5 / np.sqrt(2000)


def test_published_signs():
    """Seven gaps of one bin under the signs of seed 4: a seed must go on to mean these numbers."""
    probs = 0.06 * np.arange(1, 8)[:, None] / 8
    found = flipped_ece(probs, np.arange(7)[:, None] % 2, draws=6, seed=4)
    np.testing.assert_allclose(7 * found, [2.79, 1.03, 1.0, 0.97, 0.85, 1.015])


def test_flipped_gaps_vary_as_those_of_independent_labels_and_more_if_labels_are_copies():
    probs = _probs("multilabel", clips=400)
    truth = (np.random.default_rng(1).random(probs.shape) < probs).astype(int)
    drawn, _ = calibrated_ece(probs, "multilabel")
    flipped = flipped_ece(probs, truth)
    np.testing.assert_allclose(flipped.mean(), drawn.mean(), rtol=0.15)
    copies = flipped_ece(np.tile(probs, 4), np.tile(truth, 4))
    np.testing.assert_allclose(copies, flipped)
    independent, _ = calibrated_ece(np.tile(probs, 4), "multilabel")
    np.testing.assert_allclose(independent.mean(), flipped.mean() / 2, rtol=0.15)


def test_probabilities_are_checked():
    with pytest.raises(UserError, match="a probability is 1.5"):
        calibrated_ece([[1.5]], "multilabel")
    with pytest.raises(UserError, match="task is 'tag'"):
        calibrated_ece([[0.5]], "tag")
