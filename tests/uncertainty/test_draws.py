"""Standard errors over draws, against repetition of the whole experiment."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import decomposition as dec
from vipann_tf.uncertainty import draws as dr
from vipann_tf.uncertainty.arrays import TASKS

GROUPS, PER_GROUP = 10, 5


def _moments(samples):
    moments = dec.start(samples.shape[1:])
    for probs in samples:
        moments = dec.add(moments, probs)
    return moments


def _samples(rng, clips=3, labels=4):
    logits = np.linspace(-1, 1, clips * labels).reshape(clips, labels)
    noise = rng.normal(size=(GROUPS * PER_GROUP, clips, labels))
    return scipy.special.softmax(logits + noise, axis=-1)


def test_probability_standard_error_matches_scipy():
    samples = _samples(np.random.default_rng(0))
    got = dr.probability_standard_error(_moments(samples))
    np.testing.assert_allclose(got, scipy.stats.sem(samples, axis=0), rtol=1e-10)


@pytest.mark.parametrize("task", TASKS)
def test_jackknife_predicts_the_spread_of_repeated_experiments(task):
    rng = np.random.default_rng(1)
    experiments = 60
    values, errors = [], []
    for _ in range(experiments):
        samples = _samples(rng)
        values.append(dec.decompose(samples, task))
        groups = [_moments(part) for part in np.split(samples, GROUPS)]
        errors.append(dr.jackknife_standard_errors(groups, task))
    for name in ("probabilities", "label_epistemic", "total", "aleatoric", "epistemic"):
        spread = np.std([getattr(v, name) for v in values], axis=0, ddof=1)
        mean_error = np.mean([getattr(e, name) for e in errors], axis=0)
        # A standard deviation from 60 repetitions is known to 1 / sqrt(118) = 9 %; the mean of 60
        # jackknife errors to 3 %: 4 standard errors are 40 %.
        np.testing.assert_allclose(mean_error, spread, rtol=0.4, err_msg=name)


def test_jackknife_of_a_mean_is_the_textbook_standard_error():
    samples = _samples(np.random.default_rng(2))
    got = dr.jackknife_standard_errors([_moments(draw[None]) for draw in samples], "multiclass")
    np.testing.assert_allclose(got.probabilities, scipy.stats.sem(samples, axis=0), rtol=1e-9)


def test_suggestion_is_reached_when_followed():
    rng = np.random.default_rng(3)
    before = _samples(rng)
    error = dr.probability_standard_error(_moments(before)).max()
    draws = dr.sufficient_draws(error, len(before), error / 2)
    assert draws == 4 * len(before)
    after = np.concatenate([_samples(rng) for _ in range(4)])
    assert dr.probability_standard_error(_moments(after)).max() < error / 2 * 1.3
    assert dr.sufficient_draws(0.0, 10, 0.01) == 1


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: dr.probability_standard_error(_moments(np.ones((1, 2, 3)))), "^1 draws have no"),
        (lambda: dr.sufficient_draws(0.1, 0, 0.1), "draws is 0"),
        (lambda: dr.sufficient_draws(float("nan"), 1, 0.1), "standard_error is nan"),
        (lambda: dr.sufficient_draws(0.1, 1, 0.0), "wanted is 0.0"),
        (
            lambda: dr.jackknife_standard_errors(
                [_moments(np.ones((1, 2, 3))), _moments(np.ones((2, 2, 3)))], "multiclass"
            ),
            r"groups hold \[1, 2\] draws",
        ),
    ],
)
def test_errors_name_the_value(call, text):
    with pytest.raises(UserError, match=text):
        call()
