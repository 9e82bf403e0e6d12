"""The optimizer, against a second one that has no options, and against formulas."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from vipann_tf.models.flipout import FlipoutDense
from vipann_tf.models.randomness import TrainingNoise, randomness
from vipann_tf.recipes import Optimizer
from vipann_tf.training.optimizer import averaged_variables, make_optimizer

START = np.array([1.0, -2.0, 3.0], np.float32)
GRADIENTS = np.array([[0.3, -0.1, 2.0], [-0.2, 0.5, 1.0], [4.0, 0.0, -1.0]], np.float32)


def make(recipe: Optimizer, variables, steps=3, **kwargs):
    optimizer = make_optimizer(recipe, steps=steps, precision="float32", **kwargs)
    optimizer.build(variables)
    return optimizer


def path(optimizer, variables) -> list[np.ndarray]:
    """Values of the first variable after each step."""
    values = []
    for gradient in GRADIENTS:
        optimizer.apply_gradients([(tf.constant(gradient), variable) for variable in variables])
        values.append(variables[0].numpy())
    return values


def kernel(name="kernel"):
    return tf.Variable(START, name=name)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_trunk_has_a_rate_of_its_own(schedule):
    common = {"schedule": schedule, "weight_decay": 0.1, "warmup_steps": 1}
    trunk, head, alone = kernel(), kernel(), kernel()
    two = make(
        Optimizer(learning_rate=0.1, trunk_learning_rate=0.02, **common),
        [trunk, head],
        trunk_variables=[trunk],
    )
    path(two, [trunk, head])
    for variable, rate in ((trunk, 0.02), (head, 0.1)):
        alone = kernel()
        path(make(Optimizer(learning_rate=rate, **common), [alone]), [alone])
        np.testing.assert_allclose(variable.numpy(), alone.numpy(), rtol=1e-6)
    assert not np.allclose(trunk.numpy(), head.numpy(), atol=1e-3)


def test_two_rates_in_a_graph():
    trunk, head = kernel(), kernel()
    recipe = Optimizer(learning_rate=0.1, trunk_learning_rate=0.02)
    optimizer = make(recipe, [trunk, head], trunk_variables=[trunk])

    @tf.function
    def step(gradient):
        optimizer.apply_gradients([(gradient, trunk), (gradient, head)])

    step(tf.constant(GRADIENTS[0]))
    # Adam's first step is the learning rate times the gradient's sign.
    np.testing.assert_allclose(trunk.numpy(), START - 0.02 * np.sign(GRADIENTS[0]), rtol=1e-5)
    np.testing.assert_allclose(head.numpy(), START - 0.1 * np.sign(GRADIENTS[0]), rtol=1e-5)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_averages_follow_their_formula():
    variable = kernel()
    optimizer = make(Optimizer(learning_rate=0.1, ema_momentum=0.7), [variable])
    expected = START
    for value in path(optimizer, [variable]):
        expected = 0.7 * expected + 0.3 * value
    (average,) = averaged_variables(optimizer, [variable])
    np.testing.assert_allclose(average.numpy(), expected, rtol=1e-6)


def test_no_averages():
    variable = kernel()
    assert averaged_variables(make(Optimizer(), [variable]), [variable]) == [variable]


def test_without_options_it_is_adam():
    ours, theirs = kernel(), kernel()
    path(make(Optimizer(learning_rate=0.1), [ours]), [ours])
    adam = tf_keras.optimizers.Adam(0.1)
    path(adam, [theirs])
    # One kernel in place of fifteen operations: rounded elsewhere.
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5)


def test_decay_spares_biases_and_spreads():
    for name, spared in {
        "kernel": False,
        "kernel_loc": False,
        "kernel_rho": True,
        "bias": True,
    }.items():
        plain, decayed = kernel(name), kernel(name)
        path(make(Optimizer(learning_rate=0.1), [plain]), [plain])
        path(make(Optimizer(learning_rate=0.1, weight_decay=0.5), [decayed]), [decayed])
        assert np.array_equal(plain.numpy(), decayed.numpy()) == spared, name


def test_clipping_is_of_the_global_norm():
    """Adam does not see a common factor of its gradients, so it shows in the moments."""
    one, other = kernel(), kernel()
    optimizer = make(Optimizer(clip_norm=0.5), [one, other])
    optimizer.apply_gradients(
        [(tf.constant(GRADIENTS[0]), one), (tf.constant(GRADIENTS[1]), other)]
    )
    norm = np.sqrt(np.sum(GRADIENTS[:2] ** 2))
    np.testing.assert_allclose(
        optimizer._momentums[0].numpy(), 0.1 * GRADIENTS[0] * 0.5 / norm, rtol=1e-5
    )


def test_warm_up_and_cosine():
    def rates(**settings):
        variable = kernel()
        optimizer = make(Optimizer(learning_rate=0.8, **settings), [variable], steps=6)
        found = []
        for _ in range(6):
            optimizer.apply_gradients([(tf.zeros(3), variable)])
            found.append(float(optimizer.learning_rate))
        return found

    assert rates() == pytest.approx([0.8] * 6)
    assert rates(warmup_steps=2) == pytest.approx([0.4, 0.6, 0.8, 0.8, 0.8, 0.8])
    cosine = [0.4 * (1 + np.cos(np.pi * step / 6)) for step in range(6)]
    assert rates(schedule="cosine") == pytest.approx(cosine, rel=1e-5)
    falling = [0.4 * (1 + np.cos(np.pi * step / 4)) for step in range(4)]
    assert rates(schedule="cosine", warmup_steps=2) == pytest.approx([0, 0.4, *falling], rel=1e-5)


def test_factors_of_a_variable_in_two_groups_are_multiplied():
    recipe = Optimizer(
        learning_rate=0.1, trunk_learning_rate=0.02, stddev_learning_rate_factor=20.0
    )
    both, trunk, head = kernel("kernel_rho"), kernel(), kernel("kernel_rho")
    optimizer = make(
        recipe, [both, trunk, head], trunk_variables=[both, trunk], stddev_variables=[both, head]
    )
    optimizer.apply_gradients(
        [(tf.constant(GRADIENTS[0]), variable) for variable in (both, trunk, head)]
    )
    # Adam's first step is the learning rate times the gradient's sign.
    for variable, rate in ((both, 0.4), (trunk, 0.02), (head, 2.0)):
        expected = START - rate * np.sign(GRADIENTS[0])
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_standard_deviations_reach_the_analytic_posterior_in_a_tenth_of_the_steps():
    """Bayesian linear regression on an orthogonal design: its posterior is mean-field and known."""
    noise_stddev, weights = 0.5, 4
    # Each weight sees sum(x^2) = 1.25 of its input, so its precision is 1 + 1.25 / 0.25 = 6.
    inputs = tf.tile(np.sqrt(1.25 / 32) * tf.eye(weights), [32, 1])
    targets = inputs @ tf.constant([[0.7], [-1.2], [0.1], [2.0]])
    analytic = 6**-0.5

    def trained_stddev(steps: int, factor: float) -> np.ndarray:
        layer = FlipoutDense(1, use_bias=False, seed=1, name="regression")
        layer.build([None, weights])
        recipe = Optimizer(
            learning_rate=2e-3, schedule="cosine", stddev_learning_rate_factor=factor
        )
        variables = [layer.kernel_loc, layer.kernel_rho]
        optimizer = make(recipe, variables, steps, stddev_variables=[layer.kernel_rho])

        @tf.function
        def step(number):
            with (
                tf.GradientTape() as tape,
                randomness(TrainingNoise(tf.constant(3, tf.int64), number)),
            ):
                residuals = layer(inputs) - targets
                nll = tf.reduce_sum(residuals**2) / (2 * noise_stddev**2)
                loss = nll + layer.kl()
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))

        for number in tf.range(steps, dtype=tf.int64):
            step(number)
        return layer.kernel_stddev().numpy()

    # One draw of the noise per step leaves the result within a tenth of the analytic one.
    np.testing.assert_allclose(trained_stddev(300, 20.0), analytic, rtol=0.12)
    np.testing.assert_allclose(trained_stddev(3000, 1.0), analytic, rtol=0.12)
    assert np.all(trained_stddev(300, 1.0) < 0.2 * analytic)
