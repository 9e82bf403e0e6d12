"""The blocks of PANNs' residual networks (Kong et al., arXiv 1912.10211)."""

from typing import Any

import tensorflow as tf
import tf_keras

from vipann_tf.models.architecture import EXPANSION
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.layer_factory import LayerFactory


class _Block(tf_keras.layers.Layer):
    """A layer composed of others by a `LayerFactory`, which its config contains."""

    def __init__(self, make: LayerFactory, *, name: str, dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype or make.dtype)
        self._make = make

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, and `trainable`."""
        return {"make": self._make.get_config(), "name": self.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "_Block":
        """Make a block from what `get_config` returned."""
        arguments = {**config, "make": LayerFactory.from_config(config["make"])}
        trainable = arguments.pop("trainable")
        block = cls(**arguments)
        block.trainable = trainable  # also sets it for the parts
        return block


@tf_keras.utils.register_keras_serializable("vipann_tf")
class MelNorm(_Block):
    """BatchNorm over mel bands that adds an axis: [batch, time, mels] -> [batch, time, mels, 1].

    It computes in float32 under every policy: bfloat16 rounds -100 dB to a quarter of a decibel.

    Args:
      make: Makes the layers.
      name: Name of the layer.
    """

    def __init__(self, make: LayerFactory, *, name: str = "mel_norm") -> None:
        super().__init__(make, name=name, dtype="float32")
        self.norm = make.norm("bn0", dtype="float32")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalise each band, and add the channel axis."""
        return self.norm(inputs)[..., tf.newaxis]


@tf_keras.utils.register_keras_serializable("vipann_tf")
class AveragePool(tf_keras.layers.Layer):
    """Average over 2 x 2 pixels without padding: an odd last row or column is dropped."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Compute [batch, time // 2, frequency // 2, channels]."""
        return average_pool(inputs)


@tf_keras.utils.register_keras_serializable("vipann_tf")
class ConvBlock(_Block):
    """Two 3 x 3 convolutions, each with BatchNorm and ReLU.

    Args:
      make: Makes the layers.
      filters: Number of output channels.
      pool: Whether 2 x 2 average pooling follows.
      name: Name of the layer, and prefix of its parts' names.

    Input shape: [batch, time, frequency, channels].

    Output shape: [batch, time, frequency, filters], the middle axes halved by pooling.
    """

    def __init__(self, make: LayerFactory, filters: int, *, pool: bool, name: str) -> None:
        super().__init__(make, name=name)
        self.filters = filters
        self.conv1 = make.conv(filters, 3, f"{name}.conv1")
        self.norm1 = make.norm(f"{name}.bn1", self.conv1)
        self.conv2 = make.conv(filters, 3, f"{name}.conv2")
        self.norm2 = make.norm(f"{name}.bn2", self.conv2)
        self.pool = pool

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, and `trainable`."""
        return {**super().get_config(), "filters": self.filters, "pool": self.pool}

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Compute the block's outputs."""
        x = tf.nn.relu(self.norm1(self.conv1(inputs)))
        x = tf.nn.relu(self.norm2(self.conv2(x)))
        return average_pool(x) if self.pool else x


class _ResidualBlock(_Block):
    """The common part of basic blocks and bottlenecks.

    Args:
      make: Makes the layers.
      planes: Channels inside the block.
      halve: Whether both axes are halved by average pooling, before the convolutions and on the
        shortcut.
      project: Whether the shortcut is a 1 x 1 convolution rather than the identity.
      name: Name of the layer, and prefix of its parts' names.
    """

    def __init__(
        self, make: LayerFactory, planes: int, *, halve: bool, project: bool, name: str
    ) -> None:
        super().__init__(make, name=name)
        self.planes = planes
        self.halve = halve
        self.project = project
        if project:
            outputs = planes * EXPANSION[make.architecture.depth]
            self.shortcut_conv = make.conv(outputs, 1, f"{name}.shortcut.conv")
            self.shortcut_norm = make.norm(f"{name}.shortcut.bn", self.shortcut_conv)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, and `trainable`."""
        own = {"planes": self.planes, "halve": self.halve, "project": self.project}
        return {**super().get_config(), **own}

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Compute the block's outputs."""
        x = average_pool(inputs) if self.halve else inputs
        shortcut = self.shortcut_norm(self.shortcut_conv(x)) if self.project else x
        return tf.nn.relu(self.residual(x) + shortcut)

    def residual(self, x: tf.Tensor) -> tf.Tensor:
        """Compute the residual branch, [batch, time, frequency, outputs]."""
        raise NotImplementedError


@tf_keras.utils.register_keras_serializable("vipann_tf")
class BasicBlock(_ResidualBlock):
    """Two 3 x 3 convolutions: the block of depths 22 and 38.

    Args:
      make: Makes the layers.
      planes: Number of channels inside the block and of its outputs.
      halve: Whether both axes are halved by average pooling, before the convolutions and on the
        shortcut.
      project: Whether the shortcut is a 1 x 1 convolution rather than the identity.
      name: Name of the layer, and prefix of its parts' names.

    Input shape: [batch, time, frequency, channels].

    Output shape: [batch, time, frequency, planes], the middle axes halved by `halve`.
    """

    def __init__(
        self, make: LayerFactory, planes: int, *, halve: bool, project: bool, name: str
    ) -> None:
        super().__init__(make, planes, halve=halve, project=project, name=name)
        self.conv1 = make.conv(planes, 3, f"{name}.conv1")
        self.norm1 = make.norm(f"{name}.bn1", self.conv1)
        self.dropout = Dropout(
            make.architecture.dropout_block, name=f"{name}.dropout", dtype=make.dtype
        )
        self.conv2 = make.conv(planes, 3, f"{name}.conv2")
        self.norm2 = make.norm(f"{name}.bn2", self.conv2, scale=0.0)

    def residual(self, x: tf.Tensor) -> tf.Tensor:
        """Compute the residual branch, [batch, time, frequency, outputs]."""
        x = tf.nn.relu(self.norm1(self.conv1(x)))
        x = self.dropout(x)
        return self.norm2(self.conv2(x))


@tf_keras.utils.register_keras_serializable("vipann_tf")
class Bottleneck(_ResidualBlock):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, the last with four times the channels: depth 54.

    Args:
      make, planes, halve, project, name: As in `BasicBlock`.

    Input shape: [batch, time, frequency, channels].

    Output shape: [batch, time, frequency, 4 x planes], the middle axes halved by `halve`.
    """

    def __init__(
        self, make: LayerFactory, planes: int, *, halve: bool, project: bool, name: str
    ) -> None:
        super().__init__(make, planes, halve=halve, project=project, name=name)
        self.conv1 = make.conv(planes, 1, f"{name}.conv1")
        self.norm1 = make.norm(f"{name}.bn1", self.conv1)
        self.conv2 = make.conv(planes, 3, f"{name}.conv2")
        self.norm2 = make.norm(f"{name}.bn2", self.conv2)
        self.dropout = Dropout(
            make.architecture.dropout_block, name=f"{name}.dropout", dtype=make.dtype
        )
        self.conv3 = make.conv(planes * EXPANSION[54], 1, f"{name}.conv3")
        self.norm3 = make.norm(f"{name}.bn3", self.conv3, scale=0.0)

    def residual(self, x: tf.Tensor) -> tf.Tensor:
        """Compute the residual branch, [batch, time, frequency, outputs]."""
        x = tf.nn.relu(self.norm1(self.conv1(x)))
        x = tf.nn.relu(self.norm2(self.conv2(x)))
        x = self.dropout(x)
        return self.norm3(self.conv3(x))


@tf_keras.utils.register_keras_serializable("vipann_tf")
class GlobalPool(tf_keras.layers.Layer):
    """Mean over frequency, then maximum plus mean over time: [batch, channels]."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Pool [batch, time, frequency, channels]."""
        x = tf.reduce_mean(inputs, axis=-2)
        return tf.reduce_max(x, axis=-2) + tf.reduce_mean(x, axis=-2)


def average_pool(x: tf.Tensor) -> tf.Tensor:
    """Average 2 x 2 pixels: [batch, time // 2, frequency // 2, channels]."""
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")
