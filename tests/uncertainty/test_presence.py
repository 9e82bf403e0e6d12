"""Whether a label was present at all: the closed form, and simulated seasons."""

import numpy as np
import pytest

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.poisson_binomial import poisson_binomial
from vipann_tf.uncertainty.presence import log_absence, presence


def test_of_each_draw_it_is_the_poisson_binomial_of_one_or_more():
    rng = np.random.default_rng(0)
    probs = rng.uniform(0, 0.2, [40, 5, 3]) ** 2
    found = -np.expm1(log_absence(probs))
    for draw in range(5):
        for label in range(3):
            assert found[draw, label] == pytest.approx(
                1 - poisson_binomial(probs[:, draw, label])[0], rel=1e-12
            )
    result = presence(log_absence(probs), level=0.5)
    np.testing.assert_allclose(result.probability, found.mean(axis=0))
    np.testing.assert_allclose(result.low, np.quantile(found, 0.25, axis=0))
    np.testing.assert_allclose(result.high, np.quantile(found, 0.75, axis=0))


def test_parts_add_up():
    probs = np.random.default_rng(1).uniform(0, 1, [30, 4, 2])
    np.testing.assert_allclose(
        log_absence(probs[:11]) + log_absence(probs[11:]), log_absence(probs)
    )


def test_seasons_that_are_simulated_from_the_model_hold_the_label_as_often():
    """The network is drawn, then the windows' labels are: what the probabilities mean."""
    rng = np.random.default_rng(2)
    windows, draws, trials = 25, 8, 20_000
    level = rng.normal(-4, 1.5, [1, draws, 1])  # networks disagree about how common the label is
    probs = 1 / (1 + np.exp(-(level + rng.normal(0, 1, [windows, 1, 1]))))
    network = rng.integers(draws, size=trials)
    present = (rng.random([trials, windows]) < probs[:, network, 0].T).any(axis=1)
    expected = presence(log_absence(probs)).probability[0]
    error = np.sqrt(expected * (1 - expected) / trials)
    assert abs(present.mean() - expected) < 4 * error
    # The windows' mean probabilities, multiplied, are another number.
    independent = 1 - np.prod(1 - probs.mean(axis=1))
    assert abs(present.mean() - independent) > 8 * error


def test_certain_windows_and_empty_ones():
    found = presence(log_absence([[[1.0, 0.0]], [[0.3, 0.0]]]))
    assert found.probability.tolist() == found.low.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("probs", [[0.5], [[[1.5]]], [[[np.nan]]], np.zeros([0, 2, 2])])
def test_what_is_no_probability(probs):
    with pytest.raises(UserError, match="sample_probs has shape|probabilit"):
        log_absence(probs)


@pytest.mark.parametrize("level", [0, 1, np.nan, -1])
def test_levels(level):
    with pytest.raises(UserError, match="level is"):
        presence(np.zeros([1, 1]), level=level)
