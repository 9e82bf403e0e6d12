"""The layers of the residual networks against NumPy, and how many there are."""

import numpy as np
import pytest
import tf_keras

from tests.helpers import networks
from tests.helpers.oracles import convolve
from vipann_tf.models import blocks, chain, resnet
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.flipout import FlipoutConv2D
from vipann_tf.models.layer_factory import LayerFactory


def factory(depth=22, kind="deterministic", **kwargs):
    return LayerFactory(networks.architecture(kind, depth=depth, width=1 / 64), **kwargs)


def convolutions(depth, kind="deterministic", **kwargs):
    """The convolutions of a trunk by name, built."""
    layers = chain.Chain(resnet.trunk(factory(depth, kind, **kwargs)))
    layers(np.zeros([1, 32, 64], np.float32))
    kind = FlipoutConv2D if kind == "flipout" else tf_keras.layers.Conv2D
    return {part.name: part for part in layers.parts() if isinstance(part, kind)}


def random(*shape):
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def pooled(x):
    """2 x 2 average pooling that leaves out an odd last row or column."""
    batch, time, mels, channels = x.shape
    x = x[:, : time // 2 * 2, : mels // 2 * 2]
    return x.reshape([batch, time // 2, 2, mels // 2, 2, channels]).mean(axis=(2, 4))


@pytest.mark.parametrize(("time", "frequency"), [(6, 4), (7, 4), (6, 5), (7, 5)])
def test_average_pool(time, frequency):
    x = random(2, time, frequency, 3)
    np.testing.assert_allclose(blocks.AveragePool()(x), pooled(x), rtol=1e-5, atol=1e-6)


def test_global_pool():
    x = random(2, 7, 4, 3)
    mean = x.mean(axis=2)
    expected = mean.max(axis=1) + mean.mean(axis=1)
    np.testing.assert_allclose(blocks.GlobalPool()(x), expected, rtol=1e-5, atol=1e-6)


def test_mel_norm_has_statistics_of_each_band():
    layer, x = blocks.MelNorm(factory()), random(3, 9, 64) * np.arange(1, 65) - 40
    layer(x)
    layer.norm.moving_mean.assign(x.mean(axis=(0, 1)))
    layer.norm.moving_variance.assign(x.var(axis=(0, 1)))
    outputs = layer(x).numpy()
    assert outputs.shape == (3, 9, 64, 1)
    expected = (x - x.mean(axis=(0, 1))) / np.sqrt(x.var(axis=(0, 1)) + 1e-5)
    np.testing.assert_allclose(outputs[..., 0], expected, rtol=1e-3, atol=1e-4)


def relu(x):
    return np.maximum(x, 0)


def normalised(layer, x):
    """BatchNorm on stored statistics, epsilon 1e-5."""
    gamma, beta, mean, variance = layer.get_weights()
    return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta


def randomised(layer, x):
    """The layer, built and with every variable random."""
    layer(x)
    generator = np.random.default_rng(4)
    for variable in layer.weights:
        variable.assign(generator.uniform(0.3, 1.2, variable.shape) * generator.choice([-1, 1]))
    for part in chain.parts([layer]):
        if isinstance(part, tf_keras.layers.BatchNormalization):
            part.moving_variance.assign(np.abs(part.moving_variance))
    return layer


def branch(block, x, parts):
    """Convolutions 1 to `parts`, each with BatchNorm, ReLU between them."""
    for part in range(1, parts + 1):
        x = convolve(x, getattr(block, f"conv{part}").kernel)
        x = normalised(getattr(block, f"norm{part}"), x)
        x = relu(x) if part < parts else x
    return x


@pytest.mark.parametrize("pool", [True, False])
def test_conv_block(pool):
    x = random(2, 7, 5, 3)
    block = randomised(blocks.ConvBlock(factory(), 4, pool=pool, name="block"), x)
    expected = relu(branch(block, x, 2))
    expected = pooled(expected) if pool else expected
    np.testing.assert_allclose(block(x), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("halve", [True, False])
@pytest.mark.parametrize("project", [True, False])
@pytest.mark.parametrize(("depth", "kind", "parts"), [(22, "BasicBlock", 2), (54, "Bottleneck", 3)])
def test_residual_block(depth, kind, parts, halve, project):
    planes, outputs = 2, 2 if depth == 22 else 8
    x = random(2, 7, 5, 3 if project else outputs)
    make = getattr(blocks, kind)
    block = randomised(make(factory(depth), planes, halve=halve, project=project, name="block"), x)
    halved = pooled(x) if halve else x
    shortcut = halved
    if project:
        shortcut = normalised(block.shortcut_norm, convolve(halved, block.shortcut_conv.kernel))
    expected = relu(branch(block, halved, parts) + shortcut)
    assert block(x).shape == (2, 3 if halve else 7, 2 if halve else 5, outputs)
    np.testing.assert_allclose(block(x), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("depth", [22, 54])
def test_residual_branches_start_at_0(depth):
    x = random(2, 6, 4, 2 if depth == 22 else 8)
    make = blocks.BasicBlock if depth == 22 else blocks.Bottleneck
    block = make(factory(depth), 2, halve=False, project=False, name="block")
    np.testing.assert_array_equal(block(x), relu(x))


# Two in either convolution block; in the stages those of the blocks, and a projection wherever the
# channels change: stages 2 to 4 of basic blocks, all stages of bottlenecks.
@pytest.mark.parametrize(
    ("depth", "number"),
    [(22, 4 + 2 * 8 + 3), (38, 4 + 2 * 16 + 3), (54, 4 + 3 * 16 + 4)],
)
def test_number_of_convolutions(depth, number):
    names = list(convolutions(depth))
    assert len(names) == len(set(names)) == number
    assert sum(name.endswith("shortcut.conv") for name in names) == (4 if depth == 54 else 3)


def test_initial_kernels_depend_on_seed_and_name():
    kernels = {name: layer.kernel.numpy() for name, layer in convolutions(22).items()}
    again, other = convolutions(22), convolutions(22, seed=1)
    flipout = convolutions(22, "flipout")
    for name, kernel in kernels.items():
        np.testing.assert_array_equal(kernel, again[name].kernel)
        assert not np.isclose(kernel, other[name].kernel).all()
        np.testing.assert_array_equal(kernel, flipout[name].kernel_loc)  # Glorot, too
    alike = kernels["stage1.block0.conv1"], kernels["stage1.block1.conv1"]
    assert not np.isclose(*alike).all()


def test_settings_of_batch_norm_are_the_published_ones():
    norm = factory(synchronized=True).norm("bn1")
    assert (norm.momentum, norm.epsilon, norm.synchronized) == (0.9, 1e-5, True)
    assert not factory().norm("bn1").synchronized


def test_flipout_arguments_reach_their_layers():
    make = factory(
        kind="flipout",
        conv_flipout={"prior": "pretrained", "prior_stddev": 0.5},
        dense_flipout={"prior_stddev": 0.25, "initial_stddev": 0.1},
    )
    conv, dense = make.conv(2, 3, "conv"), make.dense(2, "fc1")
    assert (conv.prior, conv.prior_stddev, dense.prior) == ("pretrained", 0.5, "normal")
    assert (dense.prior_stddev, dense.initial_stddev) == (0.25, 0.1)


@pytest.mark.parametrize("kind", list(networks.KINDS))
def test_dropouts(kind):
    trunk_kind, head_kind, _ = networks.KINDS[kind]
    rates = {"dropout_conv": 0.3, "dropout_dense": 0.4, "dropout_block": 0.15}
    make = LayerFactory(networks.architecture(kind, depth=54, width=1 / 64, **rates))

    def dropouts(layers):
        parts = [part for part in chain.parts(layers) if isinstance(part, Dropout)]
        return {part.name: (part.rate, part.monte_carlo) for part in parts}

    network = resnet.network(make)
    trunk = dropouts(network.until("pooled"))
    head = dropouts(network.layers[len(network.until("pooled")) :])
    blocks = [trunk.pop(name) for name in list(trunk) if name.startswith("stage")]
    assert blocks == [(0.15, False)] * 16  # in training only, whatever the kind
    in_trunk, in_head = trunk_kind == "dropout", head_kind == "dropout"
    assert trunk == {f"dropout{i}": (0.3, in_trunk) for i in (1, 2, 3)}
    assert head == {f"dropout{i}": (0.4, in_head) for i in (4, 5)}
