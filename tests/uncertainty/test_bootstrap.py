"""Bootstrap intervals against SciPy's bootstrap, the normal approximation, and known coverage."""

import numpy as np
import pytest
import scipy.stats

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import bootstrap as bs
from vipann_tf.uncertainty.confidence_intervals import wilson_interval


def test_percentile_interval_of_a_mean_matches_scipy_and_the_normal_approximation():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    weights = bs.resample_weights(400, 4000, seed=1)
    got = bs.interval(values.mean(), weights @ values / 400)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    error = values.std() / 20
    # The 2.5 % quantile of 4000 draws has a standard error of 0.042 standard deviations.
    for end, other, sign in ((got.low, theirs.low, -1), (got.high, theirs.high, 1)):
        np.testing.assert_allclose(end, other, atol=4 * 0.042 * 1.5 * error)
        np.testing.assert_allclose(end, values.mean() + sign * 1.96 * error, atol=0.25 * error)


def test_reflected_interval_is_the_basic_bootstrap_of_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=90)
    resampled = bs.resample_weights(90, 5000, seed=1) @ values / 90
    got = bs.interval(values.mean(), resampled, kind="reflected")
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=5000, method="basic", rng=np.random.default_rng(2)
    ).confidence_interval
    np.testing.assert_allclose((got.low, got.high), theirs, atol=0.15 * values.std() / 9)


def test_reflected_interval_of_a_biased_score_holds_the_value_and_stays_above_zero():
    got = bs.interval(0.1, np.linspace(0.11, 0.3, 200), kind="reflected")
    assert got.low == 0.0 and got.high == 0.1


def test_weights_are_draws_with_replacement():
    weights = bs.resample_weights(50, 300, seed=3)
    assert weights.shape == (300, 50)
    np.testing.assert_array_equal(weights.sum(axis=1), np.full(300, 50.0))
    # A clip is left out of a resample with probability (1 - 1/50)^50 = 0.364.
    assert abs((weights == 0).mean() - 0.364) < 0.01
    np.testing.assert_array_equal(weights, bs.resample_weights(50, 300, seed=3))
    assert np.any(weights != bs.resample_weights(50, 300, seed=4))


def test_groups_are_drawn_whole_and_widen_the_interval_of_dependent_clips():
    groups = np.repeat(["a", "b", "c", "d", "e", "f", "g", "h"], 10)
    weights = bs.resample_weights(80, 2000, seed=0, groups=groups)
    for name in "abcdefgh":
        assert np.all(np.ptp(weights[:, groups == name], axis=1) == 0)
    level = np.random.default_rng(0).normal(size=8)
    values = np.repeat(level, 10)  # clips of a recording are copies: 8 observations, not 80
    means = weights @ values / weights.sum(axis=1)
    np.testing.assert_allclose(means.std(), level.std() / np.sqrt(8), rtol=0.1)


def test_what_is_not_defined_has_no_interval():
    assert bs.interval(None, [1.0, 2.0]) == bs.Interval(None)
    assert bs.interval(float("inf"), [1.0, 2.0]) == bs.Interval(None)
    assert bs.interval(1.0, [float("nan"), 2.0]) == bs.Interval(1.0)
    assert not bs.Interval(1.0).excludes_zero
    assert bs.Interval(1.0, 0.5, 2.0).excludes_zero and bs.Interval(-1, -2, -0.5).excludes_zero
    assert not bs.Interval(1.0, -0.5, 2.0).excludes_zero


@pytest.mark.parametrize("successes, trials", [(0, 10), (3, 10), (10, 10), (1, 1)])
def test_wilson_interval_solves_its_defining_equation(successes, trials):
    """Both ends q satisfy |share - q| = z sqrt(q (1 - q) / n)."""
    low, high = wilson_interval(successes, trials)
    share = successes / trials
    for q in (low, high):
        np.testing.assert_allclose(
            abs(share - q), 1.959964 * np.sqrt(q * (1 - q) / trials), atol=1e-8
        )
    assert 0 <= low <= share <= high <= 1


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: bs.resample_weights(0, 10, 0), "clips is 0 and resamples is 10"),
        (lambda: bs.resample_weights(5, 0, 0), "clips is 5 and resamples is 0"),
        (lambda: bs.resample_weights(5, 2, 0, groups=[1, 2]), r"groups have shape \(2,\)"),
        (lambda: bs.interval(1.0, [1.0], level=95), "level is 95; it must lie between"),
        (lambda: bs.interval(1.0, [1.0], kind="bca"), "kind is 'bca'; it must be percentile or"),
    ],
)
def test_errors_name_the_value(call, text):
    with pytest.raises(UserError, match=text):
        call()
