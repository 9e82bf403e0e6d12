"""The Laplace layer against the posterior that it was given."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import networks
from vipann_tf.models.laplace_dense import LaplaceDense
from vipann_tf.models.objective import Objective
from vipann_tf.models.randomness import Draw, TrainingNoise, randomness
from vipann_tf.uncertainty.laplace import curvature

RNG = np.random.default_rng(7)
EXAMPLES, INPUTS, OUTPUTS = 30, 4, 3
FEATURES = np.hstack([RNG.normal(size=[EXAMPLES, INPUTS]), np.ones([EXAMPLES, 1])])
PROBS = RNG.dirichlet(np.ones(OUTPUTS), EXAMPLES)
MEAN = RNG.normal(size=[INPUTS + 1, OUTPUTS])
POSTERIOR = curvature(FEATURES, PROBS, "multiclass").posterior(MEAN, 0.8)


@pytest.fixture(scope="module")
def layer():
    made = LaplaceDense(OUTPUTS, name="fc_out")
    made.build([None, INPUTS])
    made.set_posterior(POSTERIOR)
    return made


def weights(layer, draw):
    """The drawn weights, the bias as the last row: what the layer answers to unit vectors."""
    with randomness(draw):
        answers = layer(tf.concat([tf.eye(INPUTS), tf.zeros([1, INPUTS])], 0))
    return tf.concat([answers[:-1] - answers[-1], answers[-1:]], 0)


def test_draws_have_the_posteriors_mean_and_covariance(layer):
    draws = 20_000

    @tf.function(autograph=False)
    def all_of_them():
        return tf.map_fn(
            lambda index: weights(layer, Draw(3, index)),
            tf.range(draws, dtype=tf.int64),
            fn_output_signature=tf.float32,
        )

    drawn = all_of_them().numpy().reshape(draws, -1)
    expected = POSTERIOR.covariance()
    stddev = np.sqrt(np.diag(expected))
    # Five standard errors of a mean and of a covariance (Wishart).
    np.testing.assert_array_less(np.abs(drawn.mean(0) - MEAN.ravel()), 5 * stddev / np.sqrt(draws))
    error = np.sqrt((np.outer(stddev**2, stddev**2) + expected**2) / draws)
    np.testing.assert_array_less(np.abs(np.cov(drawn.T) - expected), 5 * error)
    # The tolerance tells this covariance from that of weights without bases.
    assert (np.abs(np.diag(POSTERIOR.stddev.ravel() ** 2) - expected) > 10 * error).any()


def test_the_noise_is_that_of_the_layers_name_and_of_the_draw(layer):
    seed = Draw(3, 2).layer_seed("fc_out")
    noise = tf.random.stateless_normal([INPUTS + 1, OUTPUTS], seed, alg="philox")
    np.testing.assert_allclose(weights(layer, Draw(3, 2)), POSTERIOR.draw(noise), atol=1e-5)


def test_without_a_context_it_is_the_mean(layer):
    np.testing.assert_allclose(weights(layer, None), MEAN, atol=1e-6)


def test_before_a_posterior_is_set_every_draw_is_the_mean():
    fresh = LaplaceDense(OUTPUTS)
    fresh.build([None, INPUTS])
    np.testing.assert_allclose(weights(fresh, Draw(3, 2)), weights(fresh, None), atol=1e-6)


def test_it_cannot_be_trained(layer):
    message = "layer fc_out has a Laplace posterior, which is fitted after training; train the"
    with pytest.raises(ValueError, match=message):
        layer(tf.zeros([1, INPUTS]), training=True)
    with randomness(TrainingNoise(1, 2)), pytest.raises(ValueError, match=message):
        layer(tf.zeros([1, INPUTS]))
    network = networks.network("det-laplace", {"width": 1 / 64})
    network.compile("sgd", objective=Objective(), clips=4, seed=1)
    batch = {"waveform": tf.constant(networks.waveforms(2)), "labels": networks.multi_hot(2)}
    with pytest.raises(ValueError, match=message):
        network.train_step(batch)


def test_the_mean_network_is_the_deterministic_one():
    """Head and all: a Laplace head changes what is drawn, not what was trained."""
    laplace = networks.network("det-laplace", {"width": 1 / 64})
    trained = networks.network("deterministic", {"width": 1 / 64})
    named = laplace.named_variables()
    trained.assign({name: named[name] for name in trained.named_variables()})
    clips = networks.waveforms(3)
    np.testing.assert_array_equal(laplace(clips), trained(clips))
    assert set(named) - set(trained.named_variables()) == {
        "fc_out/input_basis",
        "fc_out/output_basis",
        "fc_out/stddev",
    }
