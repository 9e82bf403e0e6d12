"""The Laplace approximation against closed forms, and against finite differences."""

import numpy as np
import pytest
from scipy import special, stats

from vipann_tf.uncertainty.laplace import (
    CurvatureSums,
    best_precision,
    curvature,
    weights_precision,
)

RNG = np.random.default_rng(3)
EXAMPLES, INPUTS, OUTPUTS = 40, 5, 3
FEATURES = np.hstack([RNG.normal(size=[EXAMPLES, INPUTS - 1]), np.ones([EXAMPLES, 1])])
WEIGHTS = RNG.normal(size=[INPUTS, OUTPUTS])


def test_linear_gaussian_posterior_is_the_analytic_one():
    """Bishop, "Pattern Recognition and Machine Learning", equation 3.54, for each output."""
    variance, precision = 0.3, 2.5
    posterior = curvature(FEATURES, np.zeros([EXAMPLES, OUTPUTS]), "normal", variance).posterior(
        WEIGHTS, precision
    )
    of_one_output = np.linalg.inv(FEATURES.T @ FEATURES / variance + precision * np.eye(INPUTS))
    expected = np.kron(of_one_output, np.eye(OUTPUTS))
    np.testing.assert_allclose(posterior.covariance(), expected, rtol=1e-9, atol=1e-12)


def test_linear_gaussian_evidence_is_the_analytic_one():
    variance, precision = 0.3, 2.5
    targets = FEATURES @ WEIGHTS + RNG.normal(0, variance**0.5, [EXAMPLES, OUTPUTS])
    factors = curvature(FEATURES, targets, "normal", variance)
    gram = FEATURES.T @ FEATURES / variance + precision * np.eye(INPUTS)
    mean = np.linalg.solve(gram, FEATURES.T @ targets / variance)
    nll = -stats.norm(FEATURES @ mean, variance**0.5).logpdf(targets).sum()
    marginal = stats.multivariate_normal(
        np.zeros(EXAMPLES),
        variance * np.eye(EXAMPLES) + FEATURES @ FEATURES.T / precision,
    )
    expected = marginal.logpdf(targets.T).sum()
    assert factors.log_evidence(nll, mean, precision) == pytest.approx(expected, rel=1e-9)


def test_draws_have_the_posteriors_covariance():
    posterior = curvature(FEATURES, np.zeros([EXAMPLES, OUTPUTS]), "normal", 0.3).posterior(
        WEIGHTS, 2.5
    )
    draws = 40_000
    noise = RNG.normal(size=[draws, INPUTS, OUTPUTS])
    weights = posterior.draw(noise).reshape(draws, -1)
    expected = posterior.covariance()
    stddev = np.sqrt(np.diag(expected))
    # Standard errors of a mean and of a covariance (Wishart), five of them.
    np.testing.assert_array_less(
        np.abs(weights.mean(0) - WEIGHTS.ravel()), 5 * stddev / np.sqrt(draws)
    )
    error = np.sqrt((np.outer(stddev**2, stddev**2) + expected**2) / draws)
    np.testing.assert_array_less(np.abs(np.cov(weights.T) - expected), 5 * error)


@pytest.mark.parametrize("likelihood", ["multiclass", "multilabel"])
def test_curvature_is_the_hessian_where_examples_are_alike(likelihood):
    """The Kronecker form is exact then; the Hessian comes from finite differences of the loss."""
    features = np.repeat(FEATURES[:1], EXAMPLES, 0)

    def nll(flat):
        logits = features @ flat.reshape(INPUTS, OUTPUTS)
        if likelihood == "multiclass":
            return -special.log_softmax(logits, -1)[:, 1].sum()
        return np.logaddexp(0, logits).sum() - logits[:, 1].sum()

    logits = features @ WEIGHTS
    probs = special.softmax(logits, -1) if likelihood == "multiclass" else special.expit(logits)
    factors = curvature(features, probs, likelihood)
    basis = np.kron(factors.input_basis, factors.output_basis)
    matrix = (basis * factors.values.ravel()) @ basis.T

    step, size = 1e-3, INPUTS * OUTPUTS
    unit, start = step * np.eye(size), WEIGHTS.ravel()
    hessian = [
        [
            (nll(start + u + v) - nll(start + u - v) - nll(start - u + v) + nll(start - u - v))
            / (4 * step**2)
            for v in unit
        ]
        for u in unit
    ]
    np.testing.assert_allclose(matrix, hessian, atol=1e-4 * np.abs(hessian).max())


def test_best_precision_finds_the_priors():
    """Of weights drawn from N(0, 1 / 9) and exact features, the evidence's optimum is near 9."""
    rng = np.random.default_rng(8)
    features, variance = rng.normal(size=[400, 60]), 0.01
    weights = rng.normal(0, 1 / 3, [60, 10])
    targets = features @ weights + rng.normal(0, variance**0.5, [400, 10])
    mean = np.linalg.lstsq(features, targets, rcond=None)[0]
    found = best_precision(curvature(features, targets, "normal", variance), mean)
    # The relative standard error of a precision from 600 weights is sqrt(2 / 600) = 0.06.
    assert found == pytest.approx(9, rel=0.2)


def test_sums_of_batches_are_those_of_all_examples():
    probs = RNG.dirichlet(np.ones(OUTPUTS), EXAMPLES)
    parts = [
        CurvatureSums.of(FEATURES[x], probs[x], "multiclass") for x in (np.s_[:13], np.s_[13:])
    ]
    together, apart = curvature(FEATURES, probs, "multiclass"), (parts[0] + parts[1]).factors()
    for name in ("input_values", "output_values"):
        np.testing.assert_allclose(getattr(apart, name), getattr(together, name), atol=1e-12)


def test_the_precision_that_fits_the_weights_is_the_most_likely():
    _, stddev = stats.norm.fit(WEIGHTS, floc=0)
    assert weights_precision(WEIGHTS) == pytest.approx(stddev**-2, rel=1e-9)
    found = [weights_precision(scale * WEIGHTS) for scale in (0, 1e-9, 1e9)]
    assert found == [1e6, 1e6, 1e-4]


def test_wrong_arguments():
    factors = curvature(FEATURES, np.full([EXAMPLES, OUTPUTS], 0.5), "multilabel")
    with pytest.raises(ValueError, match=r"precision is 0\.0; a prior's precision must be above 0"):
        factors.posterior(WEIGHTS, 0.0)
    with pytest.raises(ValueError, match="likelihood is 'poisson'; use"):
        curvature(FEATURES, WEIGHTS, "poisson")
