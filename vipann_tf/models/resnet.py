"""The residual networks of PANNs (Kong et al., arXiv 1912.10211), as a list of layers.

Each function returns layers to be called one after another, so that a caller can tell which come
before the first random one. Every weight-bearing layer has a name that is unique in the network
("stage2.block0.conv1"): it keys the layer's variables and its random numbers.
"""

import zlib

import tensorflow as tf
import tf_keras

from vipann_tf.models.architecture import (
    EXPANSION,
    STAGE_BLOCKS,
    STAGE_PLANES,
    STEM_FILTERS,
    TOP_FILTERS,
    Architecture,
    Kind,
)
from vipann_tf.models.batch_norm import BatchNorm
from vipann_tf.models.convolution import Conv2D
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense

BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5


class LayerFactory:
    """Makes the layers of one network: what they have in common is said once.

    Args:
      architecture: The network.
      seed: Of the initial weights.
      dtype: Keras dtype policy name, e.g. `float32` or `mixed_bfloat16`.
      synchronized: Whether BatchNorm statistics are shared by all replicas.
      conv_flipout, dense_flipout: Keyword arguments of the Flipout layers (prior, prior_stddev,
        initial_stddev).
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        seed: int = 0,
        dtype: str = "float32",
        synchronized: bool = False,
        conv_flipout: dict | None = None,
        dense_flipout: dict | None = None,
    ):
        self.architecture = architecture
        self.dtype = dtype
        self._seed = seed
        self._synchronized = synchronized
        self._conv_flipout = conv_flipout or {}
        self._dense_flipout = dense_flipout or {}

    def conv(self, filters: int, size: int, name: str) -> tf_keras.layers.Layer:
        seed = self._layer_seed(name)
        if self.architecture.trunk == "flipout":
            return FlipoutConv2D(
                filters,
                size,
                signs=self.architecture.signs,
                seed=seed,
                name=name,
                dtype=self.dtype,
                **self._conv_flipout,
            )
        return Conv2D(
            filters,
            size,
            kernel_initializer=tf_keras.initializers.GlorotUniform(seed=seed),
            name=name,
            dtype=self.dtype,
        )

    def dense(self, units: int, name: str, dtype: str | None = None) -> tf_keras.layers.Layer:
        seed = self._layer_seed(name)
        dtype = dtype or self.dtype
        if self.architecture.head == "flipout":
            return FlipoutDense(units, seed=seed, name=name, dtype=dtype, **self._dense_flipout)
        return tf_keras.layers.Dense(
            units,
            kernel_initializer=tf_keras.initializers.GlorotUniform(seed=seed),
            name=name,
            dtype=dtype,
        )

    def norm(
        self,
        name: str,
        conv: tf_keras.layers.Layer | None = None,
        scale: float = 1.0,
        dtype: str | None = None,
    ) -> BatchNorm:
        """BatchNorm, of what `conv` gives where there is one."""
        return BatchNorm(
            after=conv and conv.name,
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            gamma_initializer=tf_keras.initializers.Constant(scale),
            synchronized=self._synchronized,
            name=name,
            dtype=dtype or self.dtype,
        )

    def dropout(self, rate: float, kind: Kind, name: str) -> Dropout:
        return Dropout(rate, monte_carlo=kind == "dropout", name=name, dtype=self.dtype)

    def _layer_seed(self, name: str) -> int:
        return zlib.crc32(f"{self._seed}/{name}".encode()) % 2**31


class MelNorm(tf_keras.layers.Layer):
    """BatchNorm over mel bands, and a channel axis: [batch, frames, mels] -> [batch, frames, mels, 1].

    In float32 under every policy: bfloat16 rounds -100 dB to a quarter of a decibel.
    """

    def __init__(self, make: LayerFactory):
        super().__init__(name="mel_norm", dtype="float32")
        self.norm = make.norm("bn0", dtype="float32")

    def call(self, inputs):
        return self.norm(inputs)[..., tf.newaxis]


class AveragePool(tf_keras.layers.Layer):
    """Average over 2 x 2 pixels without padding: an odd last row or column is left out."""

    def call(self, inputs):
        return average_pool(inputs)


class ConvBlock(tf_keras.layers.Layer):
    """Two 3 x 3 convolutions, each with BatchNorm and ReLU, and an optional 2 x 2 average pooling."""

    def __init__(self, make: LayerFactory, filters: int, *, pool: bool, name: str):
        super().__init__(name=name, dtype=make.dtype)
        self.conv1 = make.conv(filters, 3, f"{name}.conv1")
        self.norm1 = make.norm(f"{name}.bn1", self.conv1)
        self.conv2 = make.conv(filters, 3, f"{name}.conv2")
        self.norm2 = make.norm(f"{name}.bn2", self.conv2)
        self.pool = pool

    def call(self, inputs):
        x = tf.nn.relu(self.norm1(self.conv1(inputs)))
        x = tf.nn.relu(self.norm2(self.conv2(x)))
        return average_pool(x) if self.pool else x


class ResidualBlock(tf_keras.layers.Layer):
    """A residual block; what a basic block and a bottleneck share.

    Args:
      make: Makes the layers.
      planes: Channels inside the block.
      halve: Whether both axes are halved by average pooling, before the convolutions and on the
        shortcut.
      project: Whether the shortcut is a 1 x 1 convolution rather than the identity.
      name: Prefix of the layers' names.
    """

    def __init__(self, make: LayerFactory, planes: int, *, halve: bool, project: bool, name: str):
        super().__init__(name=name, dtype=make.dtype)
        self.halve = halve
        outputs = planes * EXPANSION[make.architecture.depth]
        self.shortcut_conv = make.conv(outputs, 1, f"{name}.shortcut.conv") if project else None
        self.shortcut_norm = (
            make.norm(f"{name}.shortcut.bn", self.shortcut_conv) if project else None
        )

    def call(self, inputs):
        x = average_pool(inputs) if self.halve else inputs
        shortcut = x
        if self.shortcut_conv is not None:
            shortcut = self.shortcut_conv(x)
            shortcut = self.shortcut_norm(shortcut)
        return tf.nn.relu(self.residual(x) + shortcut)

    def residual(self, x):
        """The residual branch, [batch, time, frequency, channels] -> the same axes."""
        raise NotImplementedError


class BasicBlock(ResidualBlock):
    """Two 3 x 3 convolutions: the block of depths 22 and 38."""

    def __init__(self, make: LayerFactory, planes: int, *, name: str, **kwargs):
        super().__init__(make, planes, name=name, **kwargs)
        self.conv1 = make.conv(planes, 3, f"{name}.conv1")
        self.norm1 = make.norm(f"{name}.bn1", self.conv1)
        self.dropout = Dropout(
            make.architecture.dropout_block, name=f"{name}.dropout", dtype=make.dtype
        )
        self.conv2 = make.conv(planes, 3, f"{name}.conv2")
        self.norm2 = make.norm(f"{name}.bn2", self.conv2, scale=0.0)

    def residual(self, x):
        x = tf.nn.relu(self.norm1(self.conv1(x)))
        x = self.dropout(x)
        return self.norm2(self.conv2(x))


class Bottleneck(ResidualBlock):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, the last with four times the channels: depth 54."""

    def __init__(self, make: LayerFactory, planes: int, *, name: str, **kwargs):
        super().__init__(make, planes, name=name, **kwargs)
        self.conv1 = make.conv(planes, 1, f"{name}.conv1")
        self.norm1 = make.norm(f"{name}.bn1", self.conv1)
        self.conv2 = make.conv(planes, 3, f"{name}.conv2")
        self.norm2 = make.norm(f"{name}.bn2", self.conv2)
        self.dropout = Dropout(
            make.architecture.dropout_block, name=f"{name}.dropout", dtype=make.dtype
        )
        self.conv3 = make.conv(planes * EXPANSION[54], 1, f"{name}.conv3")
        self.norm3 = make.norm(f"{name}.bn3", self.conv3, scale=0.0)

    def residual(self, x):
        x = tf.nn.relu(self.norm1(self.conv1(x)))
        x = tf.nn.relu(self.norm2(self.conv2(x)))
        x = self.dropout(x)
        return self.norm3(self.conv3(x))


class GlobalPool(tf_keras.layers.Layer):
    """Mean over frequency, then maximum plus mean over time: [batch, time, freq, c] -> [batch, c]."""

    def call(self, inputs):
        x = tf.reduce_mean(inputs, axis=-2)
        return tf.reduce_max(x, axis=-2) + tf.reduce_mean(x, axis=-2)


def trunk(make: LayerFactory) -> list[tf_keras.layers.Layer]:
    """Layers from log-mel [batch, frames, mels] to pooled features [batch, 2048 x width]."""
    architecture = make.architecture
    channels = architecture.channels
    block = Bottleneck if architecture.depth == 54 else BasicBlock

    def dropout(name):
        return make.dropout(architecture.dropout_conv, architecture.trunk, name)

    layers = [
        MelNorm(make),
        ConvBlock(make, channels(STEM_FILTERS), pool=True, name="conv_block1"),
        dropout("dropout1"),
    ]
    inputs = channels(STEM_FILTERS)
    for stage, (planes, blocks) in enumerate(
        zip(STAGE_PLANES, STAGE_BLOCKS[architecture.depth], strict=True), start=1
    ):
        outputs = channels(planes) * EXPANSION[architecture.depth]
        for index in range(blocks):
            layers.append(
                block(
                    make,
                    channels(planes),
                    halve=stage > 1 and index == 0,
                    project=inputs != outputs,
                    name=f"stage{stage}.block{index}",
                )
            )
            inputs = outputs
    return [
        *layers,
        AveragePool(name="pool", dtype=make.dtype),
        dropout("dropout2"),
        ConvBlock(make, channels(TOP_FILTERS), pool=False, name="conv_block_after1"),
        dropout("dropout3"),
        GlobalPool(name="global_pool", dtype=make.dtype),
    ]


def head(make: LayerFactory) -> list[tf_keras.layers.Layer]:
    """Layers from pooled features to logits [batch, labels]; the embedding is the third's output."""
    architecture = make.architecture

    def dropout(name):
        return make.dropout(architecture.dropout_dense, architecture.head, name)

    return [
        dropout("dropout4"),
        make.dense(architecture.embedding_size, "fc1"),
        tf_keras.layers.ReLU(name="relu1", dtype=make.dtype),
        dropout("dropout5"),
        make.dense(architecture.labels, "fc_out", dtype="float32"),  # logits are never rounded
    ]


class Chain(tf_keras.layers.Layer):
    """Layers called one after another, each of which casts its inputs itself.

    Args:
      layers: The layers, in order.

    Call arguments:
      inputs: What `layers[start]` takes.
      start, stop: Which layers to call: `layers[start:stop]`.
      training: Passed on by Keras to every layer that takes it.
    """

    def __init__(self, layers: list[tf_keras.layers.Layer], **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.layers = layers

    def call(self, inputs, start=0, stop=None, training=None):
        for layer in self.layers[start:stop]:
            inputs = layer(inputs)
        return inputs


# Layers of `head` up to the embedding.
EMBEDDING_LAYERS = 3


def average_pool(x: tf.Tensor) -> tf.Tensor:
    """[batch, time, frequency, channels] -> [batch, time // 2, frequency // 2, channels]."""
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")
