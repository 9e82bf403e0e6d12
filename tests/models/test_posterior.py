"""Posterior, prior and divergence against TensorFlow Probability and a closed-form optimum."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from scipy import optimize

from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense
from vipann_tf.models.loss import kl_scale
from vipann_tf.models.mean_field import inverse_softplus
from vipann_tf.models.objective import Objective
from vipann_tf.models.randomness import TrainingNoise, randomness


def make(kind, **kwargs):
    layer = FlipoutDense(3, **kwargs) if kind == "dense" else FlipoutConv2D(3, (3, 2), **kwargs)
    layer.build([None, 4] if kind == "dense" else [None, None, None, 2])
    return layer


def randomise(layer, seed):
    random = np.random.default_rng(seed)
    shape = layer.kernel_loc.shape
    layer.set_posterior(random.normal(size=shape), random.uniform(0.01, 2.0, shape))
    return layer


def normal(loc, stddev):
    return tfp.distributions.Normal(np.float64(loc), np.float64(stddev))


def posterior(layer):
    return normal(layer.kernel_loc, np.logaddexp(0, np.float64(layer.kernel_rho)))


@pytest.mark.parametrize("kind", ["conv", "dense"])
@pytest.mark.parametrize("prior_stddev", [1.0, 0.3])
def test_kl_is_that_of_tfp(kind, prior_stddev):
    layer = randomise(make(kind, prior_stddev=prior_stddev), 3)
    expected = tfp.distributions.kl_divergence(posterior(layer), normal(0, prior_stddev))
    assert layer.kl().dtype == tf.float32
    np.testing.assert_allclose(layer.kl(), np.sum(expected), rtol=1e-5)


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_pretrained_prior_is_the_posterior_that_was(kind):
    layer = randomise(make(kind, prior="pretrained", prior_stddev=0.3), 3)
    before = posterior(layer)
    np.testing.assert_allclose(  # until then, the prior is N(0, prior_stddev^2)
        layer.kl(), np.sum(tfp.distributions.kl_divergence(before, normal(0, 0.3))), rtol=1e-5
    )
    layer.set_prior_to_posterior()
    assert layer.kl() == 0
    randomise(layer, 4)
    expected = tfp.distributions.kl_divergence(posterior(layer), before)
    np.testing.assert_allclose(layer.kl(), np.sum(expected), rtol=1e-5)
    frozen = {variable.name.split("/")[-1] for variable in layer.non_trainable_variables}
    assert frozen == {"kernel_prior_loc:0", "kernel_prior_stddev:0"}


def test_prior_of_a_layer_that_has_none_stored():
    layer = make("dense", name="fc1")
    with pytest.raises(ValueError, match="layer fc1 has prior 'normal'; build it with prior='pret"):
        layer.set_prior_to_posterior()


def test_set_posterior_takes_standard_deviations():
    layer = make("dense")
    stddev = np.geomspace(1e-6, 30, 12).reshape([4, 3])
    layer.set_posterior(np.arange(12.0).reshape([4, 3]), stddev)
    np.testing.assert_array_equal(layer.kernel_loc, np.arange(12).reshape([4, 3]))
    np.testing.assert_allclose(layer.kernel_stddev(), stddev, rtol=1e-5)
    np.testing.assert_array_equal(layer.kernel_posterior.stddev(), layer.kernel_stddev())


@pytest.mark.parametrize(
    ("kind", "parent", "inputs"),
    [
        ("dense", tfp.layers.DenseFlipout, (2, 4)),
        ("conv", tfp.layers.Convolution2DFlipout, (2, 5, 7, 2)),
    ],
)
@pytest.mark.parametrize("prior", ["normal", "pretrained"])
def test_layers_stand_where_tfps_do(kind, parent, inputs, prior):
    layer = randomise(make(kind, prior=prior, prior_stddev=0.5), 3)
    assert isinstance(layer, parent)
    divergence = tfp.distributions.kl_divergence(layer.kernel_posterior, layer.kernel_prior)
    assert float(tf.reduce_sum(divergence)) == pytest.approx(float(layer.kl()), rel=1e-5)
    assert layer.kernel_posterior.sample(seed=1).shape == layer.kernel_loc.shape
    assert layer.compute_output_shape(inputs) == layer(tf.zeros(inputs)).shape


@pytest.mark.parametrize("stddev", [1e-6, 0.05, 1.0, 40.0])
def test_inverse_softplus(stddev):
    assert np.logaddexp(0, inverse_softplus(stddev)) == pytest.approx(stddev, rel=1e-6)
    assert np.logaddexp(0, inverse_softplus(tf.constant(stddev))) == pytest.approx(stddev, rel=1e-5)


def test_kl_is_lowest_where_posterior_and_prior_meet():
    layer = make("dense", prior_stddev=0.5, initial_stddev=0.5)
    layer.kernel_loc.assign(tf.zeros([4, 3]))
    with tf.GradientTape() as tape:
        kl = layer.kl()
    assert float(kl) == pytest.approx(0, abs=1e-5)
    for gradient in tape.gradient(kl, [layer.kernel_loc, layer.kernel_rho]):
        np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_linear_regression_recovers_the_mean_field_posterior():
    """Known noise s, correlated inputs, prior N(0, p^2): the exact posterior has the precision.

    A = X'X / s^2 + I / p^2 and the mean A^-1 X'y / s^2. The normal with independent weights that is
    nearest to it in KL(q || p) has that mean, and the standard deviation A_ii^(-1/2) (Bishop,
    Pattern Recognition and Machine Learning, equation 10.12 ff.).
    """
    examples, batch, noise_stddev, prior_stddev = 96, 32, 0.5, 0.4
    random = np.random.default_rng(8)
    inputs = random.normal(size=[examples, 3]) * [0.3, 0.6, 1.0]
    inputs[:, 1] += 0.4 * inputs[:, 2]
    targets = inputs @ [[1.5], [-1.0], [0.8]] + noise_stddev * random.normal(size=[examples, 1])
    precision = inputs.T @ inputs / noise_stddev**2 + np.eye(3) / prior_stddev**2
    mean = np.linalg.solve(precision, inputs.T @ targets / noise_stddev**2)[:, 0]
    stddev = 1 / np.sqrt(np.diag(precision))
    # The prior pulls by more than the tolerance; a factor c of the KL would make sigma sqrt(c) as
    # large.
    unpulled = np.linalg.lstsq(inputs, targets, rcond=None)[0][:, 0]
    assert np.abs(unpulled / mean - 1).max() > 0.1

    steps, averaged = 3000, 1500
    layer = FlipoutDense(1, use_bias=False, prior_stddev=prior_stddev, name="regression")
    layer.build([None, 3])
    schedule = tf_keras.optimizers.schedules.CosineDecay(0.03, steps, alpha=0.02)
    optimizer = tf_keras.optimizers.Adam(schedule)
    optimizer.build(layer.trainable_variables)
    x = tf.constant(inputs.reshape([-1, batch, 3]), tf.float32)
    y = tf.constant(targets.reshape([-1, batch, 1]), tf.float32)
    objective = Objective(kl_reduction="sum")

    @tf.function(autograph=False)
    def train():
        def step(index, loc_sum, stddev_sum):
            part = index % len(x)
            with tf.GradientTape() as tape:
                with randomness(TrainingNoise(tf.constant(1, tf.int64), index)):
                    error = layer(x[part]) - y[part]
                nll = tf.reduce_mean(tf.reduce_sum(tf.square(error), -1)) / (2 * noise_stddev**2)
                loss = nll + kl_scale(objective, index, examples) * layer.kl()
            optimizer.minimize(loss, layer.trainable_variables, tape=tape)
            late = tf.cast(index >= steps - averaged, tf.float32) / averaged
            loc_sum += late * layer.kernel_loc
            return index + 1, loc_sum, stddev_sum + late * layer.kernel_stddev()

        start = (tf.constant(0, tf.int64), tf.zeros([3, 1]), tf.zeros([3, 1]))
        return tf.while_loop(lambda index, *_: index < steps, step, start)

    _, loc, sigma = train()
    np.testing.assert_allclose(loc.numpy()[:, 0], mean, rtol=0.05)
    np.testing.assert_allclose(sigma.numpy()[:, 0], stddev, rtol=0.05)


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_an_empirical_prior_is_the_one_of_least_divergence(kind):
    layer = randomise(make(kind, prior="empirical"), 3)

    def divergence(log_stddev):
        prior = normal(0.0, np.exp(log_stddev))
        return float(tf.reduce_sum(posterior(layer).kl_divergence(prior)))

    best = optimize.minimize_scalar(divergence, bounds=(-5, 5), method="bounded")
    assert float(layer.kl()) == pytest.approx(best.fun, rel=1e-5)
    assert float(layer.kernel_prior.stddev()) == pytest.approx(np.exp(best.x), rel=1e-3)


def test_the_gradient_under_an_empirical_prior_is_that_of_the_least_divergence():
    layer = randomise(make("dense", prior="empirical"), 3)
    with tf.GradientTape() as tape:
        kl = layer.kl()
    (gradient,) = tape.gradient(kl, [layer.kernel_loc])

    def least(flat):
        mean = flat.reshape(layer.kernel_loc.shape)
        variance = np.logaddexp(0, np.float64(layer.kernel_rho)) ** 2
        # At the best s the quadratic terms add up to n / 2, and 1/2 is subtracted n times.
        s = np.sqrt(np.mean(mean**2 + variance))
        return np.sum(np.log(s) - np.log(variance) / 2)

    start = np.float64(layer.kernel_loc).ravel()
    expected = optimize.approx_fprime(start, least, 1e-6).reshape(gradient.shape)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("kind", "fans"), [("conv", 6 * (2 + 3)), ("dense", 4 + 3)])
def test_an_automatic_start_is_a_tenth_of_the_initial_spread(kind, fans):
    layer = make(kind, initial_stddev="auto")
    # The Glorot initializer's standard deviation (Glorot & Bengio 2010, equation 16).
    np.testing.assert_allclose(layer.kernel_stddev(), 0.1 * np.sqrt(2 / fans), rtol=1e-5)
    assert layer.get_config()["initial_stddev"] == "auto"
