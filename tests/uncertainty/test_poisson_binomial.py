"""The Poisson binomial against SciPy's two distributions, every outcome by hand, and simulation."""

import itertools

import numpy as np
import pytest
import scipy.stats

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.poisson_binomial import count_p_values, poisson_binomial


@pytest.mark.parametrize("n", [1, 7, 64, 65, 300])
def test_equal_events_are_binomial_also_far_out_in_the_tails(n):
    want = scipy.stats.binom.pmf(np.arange(n + 1), n, 0.3)
    # Below 1e-40 it is 0.
    np.testing.assert_allclose(poisson_binomial(np.full(n, 0.3)), want, rtol=1e-10, atol=1e-38)


def test_every_outcome_of_six_events_by_hand():
    p = np.array([0.9, 0.2, 0.55, 0.01, 1.0, 0.0])
    want = np.zeros(7)
    for outcome in itertools.product([0, 1], repeat=6):
        want[sum(outcome)] += np.prod(np.where(outcome, p, 1 - p))
    np.testing.assert_allclose(poisson_binomial(p), want, atol=1e-15)


def test_unequal_events_as_scipy_has_them():
    p = np.random.default_rng(0).beta(0.5, 3.0, size=450)
    want = scipy.stats.poisson_binom.pmf(np.arange(451), p)
    np.testing.assert_allclose(poisson_binomial(p), want, atol=1e-14)


def test_counts_of_simulated_events():
    rng = np.random.default_rng(1)
    p = rng.random(20)
    counts = (rng.random((20_000, 20)) < p).sum(axis=1)
    seen = np.bincount(counts, minlength=21) / 20_000
    pmf = poisson_binomial(p)
    assert np.all(np.abs(seen - pmf) <= 5 * np.sqrt(pmf * (1 - pmf) / 20_000) + 1e-4)


def test_two_sided_p_values_are_twice_the_smaller_tail():
    # Of ten fair coins: P(K <= 2) = (1 + 10 + 45) / 1024.
    found = count_p_values(poisson_binomial(np.full(10, 0.5)))
    np.testing.assert_allclose(found[[0, 2, 8, 10]], np.array([2, 112, 112, 2]) / 1024)
    assert found[5] == 1.0


def test_wrong_probabilities_are_named():
    with pytest.raises(UserError, match="a probability is 1.2"):
        poisson_binomial([0.3, 1.2])
