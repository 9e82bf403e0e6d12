"""Standard errors over draws, against repetition of the whole experiment."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import decomposition as dec
from vipann_tf.uncertainty import draws as dr

DRAWS = 50


def _moments(samples):
    moments = dec.start(samples.shape[1:])
    for probs in samples:
        moments = dec.add(moments, probs)
    return moments


def _samples(rng, clips=3, labels=4):
    logits = np.linspace(-1, 1, clips * labels).reshape(clips, labels)
    noise = rng.normal(size=(DRAWS, clips, labels))
    return scipy.special.softmax(logits + noise, axis=-1)


def test_probability_standard_error_matches_scipy():
    samples = _samples(np.random.default_rng(0))
    got = dr.probability_standard_error(_moments(samples))
    np.testing.assert_allclose(got, scipy.stats.sem(samples, axis=0), rtol=1e-10)


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
    ],
)
def test_errors_name_the_value(call, text):
    with pytest.raises(UserError, match=text):
        call()
