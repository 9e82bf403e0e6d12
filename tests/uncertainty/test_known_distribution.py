"""On data whose conditional distribution is known, the parts mean what they are said to mean.

Logistic regression on one input, with its posterior on a grid: no training, no approximation but
the grid. Aleatoric uncertainty must approach the true entropy as data grow, epistemic must fall
toward 0 as 1/n, and be higher where there were no data.
"""

import numpy as np
import pytest
import scipy.special

from vipann_tf.uncertainty.decomposition import decompose

INSIDE, OUTSIDE = np.linspace(-1, 1, 21), np.array([-6.0, 6.0])
SLOPE, OFFSET = 2.0, 0.5


def _posterior_draws(clips: int, draws: int = 2000) -> np.ndarray:
    """Probabilities at the inputs under networks (slope, offset) drawn from the posterior."""
    rng = np.random.default_rng(clips)
    x = rng.uniform(-1, 1, size=clips)
    y = rng.random(clips) < scipy.special.expit(SLOPE * x + OFFSET)
    reach = 8.0 / np.sqrt(clips) + 0.2  # several posterior standard deviations
    slope, offset = np.meshgrid(
        SLOPE + 3 * reach * np.linspace(-1, 1, 81), OFFSET + 2 * reach * np.linspace(-1, 1, 81)
    )
    log_posterior = -(slope**2 + offset**2) / (2 * 3.0**2)  # prior: normal, deviation 3
    for xi, yi in zip(x, y, strict=True):
        logit = slope * xi + offset
        log_posterior -= np.logaddexp(0.0, -logit if yi else logit)
    weight = scipy.special.softmax(log_posterior.ravel())
    pick = rng.choice(weight.size, size=draws, p=weight)
    inputs = np.concatenate([INSIDE, OUTSIDE])
    logits = slope.ravel()[pick, None] * inputs + offset.ravel()[pick, None]
    return scipy.special.expit(logits)[..., None]  # [draws, inputs, 1 label]


@pytest.fixture(scope="module")
def by_clips():
    return {n: decompose(_posterior_draws(n), "multilabel") for n in (30, 300, 3000)}


def test_aleatoric_recovers_the_true_entropy(by_clips):
    p = scipy.special.expit(SLOPE * INSIDE + OFFSET)
    true = scipy.special.entr(p) + scipy.special.entr(1 - p)
    errors = {
        n: abs(np.mean(result.aleatoric[:21]) / true.mean() - 1) for n, result in by_clips.items()
    }
    assert errors[3000] < 0.05 and errors[3000] < errors[30], errors


def test_epistemic_falls_as_one_over_n(by_clips):
    mean = {n: np.mean(result.epistemic[:21]) for n, result in by_clips.items()}
    for fewer, more in ((30, 300), (300, 3000)):
        assert 4 < mean[fewer] / mean[more] < 25, mean  # 10, up to what one data set varies
    assert mean[3000] < 0.001


def test_epistemic_is_higher_off_the_training_range(by_clips):
    few = by_clips[30]
    share = np.asarray(few.epistemic) / np.asarray(few.total)
    assert share[21:].min() > 2 * share[:21].mean()
