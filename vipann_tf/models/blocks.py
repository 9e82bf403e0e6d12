"""The blocks of PANNs' residual networks (Kong et al., arXiv 1912.10211)."""

import tensorflow as tf
import tf_keras

from vipann_tf.models.architecture import EXPANSION
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.layer_factory import LayerFactory


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


def average_pool(x: tf.Tensor) -> tf.Tensor:
    """[batch, time, frequency, channels] -> [batch, time // 2, frequency // 2, channels]."""
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")
