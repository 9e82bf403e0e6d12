"""Jackknife intervals against the standard error of a mean, SciPy's t, and known coverage."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.jackknife import jackknife_interval, leave_out_weights


def _means(values, weights):
    return weights @ values / weights.sum(axis=1)


def test_for_a_mean_it_is_students_interval():
    """Leaving one out gives a mean's standard error exactly."""
    values = np.random.default_rng(0).gamma(2.0, size=23)
    replicates = _means(values, leave_out_weights(23))
    found = jackknife_interval(values.mean(), replicates, share=False, level=0.9)
    want = scipy.stats.t.interval(0.9, 22, values.mean(), scipy.stats.sem(values))
    np.testing.assert_allclose((found.low, found.high), want)
    cut = jackknife_interval(values.mean(), replicates, share=False, least=want[0] + 0.1, level=0.9)
    np.testing.assert_allclose((cut.low, cut.high), (want[0] + 0.1, want[1]))


def test_a_share_has_the_interval_of_its_log_odds():
    values = np.arange(40) < 37
    replicates = _means(values, leave_out_weights(40))
    plain = jackknife_interval(values.mean(), replicates, share=False)
    found = jackknife_interval(values.mean(), replicates, share=True)
    half = scipy.special.logit([found.low, found.high]) - scipy.special.logit(values.mean())
    want = (plain.high - plain.value) / (values.mean() * (1 - values.mean()))
    np.testing.assert_allclose(half, [-want, want])
    assert plain.high > 1 > found.high > found.value > found.low > 0


def test_groups_are_left_out_whole():
    groups = np.array(["b", "a", "b", "c", "a"])
    found = leave_out_weights(5, groups)
    np.testing.assert_array_equal(found, [[1, 0, 1, 1, 0], [0, 1, 0, 1, 1], [1, 1, 1, 0, 1]])
    np.testing.assert_array_equal(leave_out_weights(3), 1 - np.eye(3))


def test_many_clips_are_left_out_in_parts_that_give_the_same_width():
    values = np.random.default_rng(1).normal(size=3000)
    few, many = (leave_out_weights(3000, most=most) for most in (200, 3000))
    assert few.shape == (200, 3000)
    np.testing.assert_array_equal((1 - few).sum(axis=0), 1)
    widths = []
    for weights in (few, many):
        found = jackknife_interval(values.mean(), _means(values, weights), share=False)
        widths.append(found.high - found.low)
    # A standard deviation of 200 values is uncertain by 1 / sqrt(400) of itself.
    np.testing.assert_allclose(widths[0], widths[1], rtol=3 / 20)


def test_what_hangs_on_one_clip_has_no_ends():
    assert jackknife_interval(None, [0.1, 0.2], share=True).value is None
    assert jackknife_interval(float("nan"), [0.1, 0.2], share=True).value is None
    for replicates in ([0.4], [0.4, float("nan"), 0.5], [0.4, float("inf")]):
        found = jackknife_interval(0.4, replicates, share=True)
        assert (found.value, found.low, found.high) == (0.4, None, None)
    perfect = jackknife_interval(1.0, [1.0, 1.0, 1.0], share=True)
    assert (perfect.low, perfect.high) == (1.0, 1.0)


def test_errors_name_the_value():
    with pytest.raises(UserError, match="clips is 0; it must be at least 1"):
        leave_out_weights(0)
    with pytest.raises(UserError, match=r"groups have shape \(2,\); give one for each of 3 clips"):
        leave_out_weights(3, groups=["a", "b"])
