"""The Flipout layers against closed forms: moments, correlations, gradients, configuration."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.oracles import assert_mean, assert_normal_variance, linear, sample
from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense
from vipann_tf.models.randomness import Draw, TrainingNoise, randomness

SAMPLES = 3000
LAYERS = ["conv-channel", "conv-activation", "dense"]


def make(kind, **kwargs):
    """A layer with a random posterior, its mean and standard deviation, and a batch of 3."""
    random = np.random.default_rng(3)
    if kind == "dense":
        layer = FlipoutDense(3, use_bias=False, name="dense", **kwargs)
        inputs = random.normal(size=[3, 4])
    else:
        layer = FlipoutConv2D(3, (3, 2), signs=kind.removeprefix("conv-"), name=kind, **kwargs)
        # As many channels as filters: signs of inputs and outputs that were the same would show.
        inputs = random.normal(size=[3, 5, 4, 3])
    layer.build(inputs.shape)
    loc = random.normal(size=layer.kernel_loc.shape)
    stddev = random.uniform(0.1, 1.0, layer.kernel_loc.shape)
    layer.set_posterior(loc, stddev)
    return layer, loc, stddev, tf.constant(inputs, tf.float32)


def noise(seed=5, step=8, offset=0):
    return TrainingNoise(seed, step, offset)


def call(layer, inputs, context):
    with randomness(context):
        return layer(inputs).numpy()


@pytest.fixture(scope="module", params=LAYERS)
def case(request):
    return make(request.param)


@functools.cache
def drawn(kind, context):
    """Outputs for a batch whose second example is the first once more, over draws or steps."""
    layer, loc, stddev, inputs = make(kind)
    inputs = tf.gather(inputs, [0, 0, 2])
    return loc, stddev, inputs, sample(layer, inputs, context, SAMPLES)


def test_mean_mode_is_the_posterior_mean(case):
    layer, loc, _, inputs = case
    np.testing.assert_allclose(layer(inputs), linear(inputs, loc), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer(inputs, training=False), layer(inputs))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("context", [Draw, TrainingNoise])
def test_mean_and_variance_are_the_closed_form(kind, context):
    loc, stddev, inputs, outputs = drawn(kind, context)
    variance = linear(np.square(inputs), np.square(stddev))
    assert_mean(outputs, linear(inputs, loc), variance)
    assert_normal_variance(outputs, variance)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("context", [Draw, TrainingNoise])
def test_examples_share_a_draw_and_not_the_noise_of_a_step(kind, context):
    loc, stddev, inputs, outputs = drawn(kind, context)
    perturbation = outputs - linear(inputs, loc)
    variance = linear(np.square(inputs), np.square(stddev))
    product = perturbation[:, 0] * perturbation[:, 1] / variance[0]
    if context is Draw:
        np.testing.assert_allclose(perturbation[:, 0], perturbation[:, 1], atol=1e-5)
        assert_mean(product, 1.0)
    else:
        assert_mean(product, 0.0)
        # Uncorrelated, not independent: one kernel perturbation serves the batch.
        assert np.abs(perturbation[:, 0] - perturbation[:, 1]).mean() > 0.1


@pytest.mark.parametrize("kind", LAYERS)
def test_inputs_and_outputs_have_signs_of_their_own(kind):
    """By the fourth moments of the perturbations p and q of two equal examples in a step.

    Given signs r and s of inputs and outputs, p and q are normal with the correlation
    s_p s_q sum_i r_pi r_qi a_i / sum_i a_i, where i counts the independent signs that reach an
    output and a_i is the variance that comes with one. So in units of the variance
    E[p^2 q^2] = 1 + 2 sum_i a_i^2 / (sum_i a_i)^2, which would be 3 without signs of inputs. For
    two outputs E[p q p' q'] is 0, which it would not be without signs of outputs.
    """
    loc, stddev, inputs, outputs = drawn(kind, TrainingNoise)
    variances = np.square(inputs)[0:1], np.square(stddev)
    if kind == "conv-channel":
        channels = [(variances[0][..., i : i + 1], variances[1][:, :, i : i + 1]) for i in range(3)]
        squares = sum(np.square(linear(*channel)) for channel in channels)
    else:
        squares = linear(*map(np.square, variances))
    variance = linear(*variances)
    perturbation = outputs - linear(inputs, loc)
    product = perturbation[:, 0] * perturbation[:, 1] / variance[0]
    axes = tuple(range(1, product.ndim))  # pooled over outputs, which makes the error smaller
    expected = np.mean(1 + 2 * squares / np.square(variance))
    assert_mean(np.mean(np.square(product), axis=axes), expected)
    for first, second in [(0, 1), (0, 2), (1, 2)]:
        pair = product[..., first] * product[..., second]
        assert_mean(pair.reshape([len(pair), -1]).mean(axis=1), 0.0)


@pytest.mark.parametrize("context", [Draw, TrainingNoise])
def test_signs_an_activation_average_out_over_a_feature_map(context):
    # A 1 x 1 kernel on a constant map: signs a channel keep the map constant, signs an activation
    # make its 30 pixels uncorrelated.
    inputs, stddev = tf.ones([1, 6, 5, 2]), np.array([[0.3, 0.5, 0.7], [0.2, 0.4, 0.9]])
    for signs, pixels in [("channel", 1), ("activation", 30)]:
        layer = FlipoutConv2D(3, 1, signs=signs, name=signs)
        layer.build(inputs.shape)
        layer.set_posterior(np.zeros([1, 1, 2, 3]), stddev[None, None])
        outputs = sample(layer, inputs, context, SAMPLES)
        assert_normal_variance(outputs, np.square(stddev).sum(axis=0))
        assert_mean(np.square(outputs.mean(axis=(1, 2, 3))), np.square(stddev).sum(axis=0) / pixels)


def test_signs_of_a_draw_are_those_of_every_clip_length():
    # The sign fields start alike, whatever the number of frames; a 1 x 1 kernel keeps frames apart.
    layer = FlipoutConv2D(3, 1, signs="activation")
    inputs = tf.random.stateless_normal([2, 9, 4, 2], [1, 2])
    draw = Draw(3, 4)
    np.testing.assert_allclose(
        call(layer, inputs, draw)[:, :5], call(layer, inputs[:, :5], draw), rtol=1e-5, atol=1e-6
    )


def gradients(layer, inputs, target, context):
    """Estimates of the gradient of a quadratic loss, float64 [SAMPLES, 2, weights]."""

    def one(index):
        with tf.GradientTape() as tape, randomness(context(tf.constant(23, tf.int64), index)):
            loss = 0.5 * tf.reduce_sum(tf.square(layer(inputs) - target))
        loc, rho = tape.gradient(loss, [layer.kernel_loc, layer.kernel_rho])
        return tf.stack([tf.reshape(loc, [-1]), tf.reshape(rho, [-1])])

    @tf.function(autograph=False)
    def all_of_them():
        indices = tf.range(SAMPLES, dtype=tf.int64)
        return tf.map_fn(one, indices, fn_output_signature=tf.float32)

    return all_of_them().numpy().astype(np.float64)


def expected_gradient(layer, inputs, target):
    """Of E[loss] = 0.5 sum((x * mu - t)^2 + x^2 * sigma^2), which is exact: [2, weights].

    The derivative of a linear map's output by its kernel is its output for unit kernels.
    """
    loc, stddev = layer.kernel_loc.numpy(), layer.kernel_stddev().numpy()
    units = np.eye(loc.size).reshape([loc.size, *loc.shape])
    error = linear(inputs, loc) - target
    by_loc = [np.sum(error * linear(inputs, unit)) for unit in units]
    squared = [np.sum(linear(np.square(inputs), unit)) for unit in units]
    slope = 1 - np.exp(-stddev)  # of softplus, at the rho that gives this value
    return np.stack([by_loc, np.array(squared) * (stddev * slope).ravel()])


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_unbiased(kind):
    layer, _, _, inputs = make(kind)
    # Eight more examples: what Flipout is for shows in a batch.
    inputs = tf.concat([inputs, tf.random.stateless_normal([8, *inputs.shape[1:]], [4, 4])], 0)
    target = np.random.default_rng(6).normal(size=layer(inputs).shape)
    expected = expected_gradient(layer, inputs, target)
    flipout = gradients(layer, inputs, target, TrainingNoise)
    assert_mean(flipout, expected)
    if kind != "conv-activation":  # whose draws have signs: no plain reparameterisation
        reparameterised = gradients(layer, inputs, target, Draw)
        assert_mean(reparameterised, expected)
        together = flipout.var(axis=0) + reparameterised.var(axis=0)
        assert_mean(flipout, reparameterised.mean(axis=0), together)
        assert flipout.var(axis=0).sum() < 0.75 * reparameterised.var(axis=0).sum()


@pytest.mark.parametrize("offset", [1, 2])
def test_replicas_draw_the_noise_of_the_global_batch(case, offset):
    layer, _, _, inputs = case
    whole = call(layer, inputs, noise())
    part = call(layer, inputs[offset:], noise(offset=offset))
    np.testing.assert_allclose(part, whole[offset:], rtol=1e-5, atol=1e-5)
    assert np.abs(call(layer, inputs[offset:], noise()) - part).max() > 0.1


def test_noise_depends_on_seed_index_and_name(case):
    layer, loc, _, inputs = case
    for context in (noise, Draw):
        first = call(layer, inputs, context(5, 8))
        np.testing.assert_array_equal(first, call(layer, inputs, context(5, 8)))
        for other in (context(6, 8), context(5, 9), context(8, 5)):
            assert np.abs(first - call(layer, inputs, other)).max() > 0.1
    twin = type(layer).from_config({**layer.get_config(), "name": "another"})
    twin.build(inputs.shape)
    twin.set_posterior(loc, layer.kernel_stddev())
    assert np.abs(call(twin, inputs, Draw(5, 8)) - call(layer, inputs, Draw(5, 8))).max() > 0.1


def test_a_sampled_kernel_is_the_one_sampled_in_the_call(case):
    layer, _, _, inputs = case
    draw = Draw(5, 8)
    kernel = layer.drawn_kernel(draw)
    sampled = Draw(5, 8, {layer.name: kernel})
    np.testing.assert_array_equal(call(layer, inputs, sampled), call(layer, inputs, draw))
    doubled = Draw(5, 8, {layer.name: 2 * kernel})
    assert np.abs(call(layer, inputs, doubled) - call(layer, inputs, draw)).max() > 0.1


def test_training_without_a_context_has_fresh_noise(case):
    layer, loc, _, inputs = case
    first, second = layer(inputs, training=True), layer(inputs, training=True)
    assert np.abs(first - second).max() > 0.1
    assert np.abs(first - linear(inputs, loc)).max() > 0.1


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("context", [None, noise(), Draw(5, 8)])
def test_bfloat16_computes_what_float32_does(kind, context):
    full, _, _, inputs = make(kind)
    mixed, _, _, _ = make(kind, dtype="mixed_bfloat16")
    with randomness(context):
        expected, outputs = full(inputs), mixed(inputs)
    assert (expected.dtype, outputs.dtype) == (tf.float32, tf.bfloat16)
    # 8 bits of mantissa: each of the few dozen products and the sum are off by 2^-9 at most.
    scale = linear(np.abs(inputs), np.abs(full.kernel_loc) + 3 * full.kernel_stddev()).max()
    assert np.abs(tf.cast(outputs, tf.float32) - expected).max() < 4 * 2**-9 * scale
    assert {variable.dtype for variable in mixed.variables} == {tf.float32}
    assert mixed.kl().dtype == tf.float32
    np.testing.assert_array_equal(mixed.kl(), full.kl())


@pytest.mark.parametrize("context", [noise(), Draw(5, 8), None])
def test_dense_bias_is_added_once_and_has_no_noise(context):
    inputs = tf.random.stateless_normal([3, 4], [1, 2])
    layer, plain = FlipoutDense(2, name="fc"), FlipoutDense(2, use_bias=False, name="fc")
    outputs, without = call(layer, inputs, context), call(plain, inputs, context)
    np.testing.assert_array_equal(outputs, without)  # it starts at 0
    layer.bias.assign([3.0, -1.0])
    np.testing.assert_allclose(call(layer, inputs, context) - without, [[3, -1]] * 3, rtol=1e-6)
    assert plain.bias is None
