"""Construction of the layers of a network from their common settings."""

import zlib
from collections.abc import Mapping
from typing import Any

import tf_keras

from vipann_tf.models.architecture import Architecture, Head
from vipann_tf.models.batch_norm import BatchNorm
from vipann_tf.models.convolution import Conv2D
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense
from vipann_tf.models.laplace_dense import LaplaceDense

BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5


class LayerFactory:
    """A maker of the layers of one network, with the settings that they share.

    Args:
      architecture: The network.
      seed: Seed of the initial weights.
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
        conv_flipout: Mapping[str, Any] | None = None,
        dense_flipout: Mapping[str, Any] | None = None,
    ) -> None:
        self.architecture = architecture
        self.dtype = dtype
        self._seed = seed
        self._synchronized = synchronized
        self._conv_flipout = dict(conv_flipout or {})
        self._dense_flipout = dict(dense_flipout or {})

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, JSON-compatible."""
        return {
            "architecture": self.architecture.model_dump(mode="json"),
            "seed": self._seed,
            "dtype": self.dtype,
            "synchronized": self._synchronized,
            "conv_flipout": dict(self._conv_flipout),
            "dense_flipout": dict(self._dense_flipout),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LayerFactory":
        """Make a factory from what `get_config` returned."""
        return cls(**{**config, "architecture": Architecture(**config["architecture"])})

    def conv(self, filters: int, size: int, name: str) -> tf_keras.layers.Layer:
        """Make a convolution of stride 1, of the trunk's kind."""
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

    def dense(
        self, units: int, name: str, dtype: str | None = None, *, last: bool = False
    ) -> tf_keras.layers.Layer:
        """Make a dense layer of the head's kind; only the `last` one has a Laplace posterior."""
        seed = self._layer_seed(name)
        dtype = dtype or self.dtype
        if self.architecture.head == "flipout":
            return FlipoutDense(units, seed=seed, name=name, dtype=dtype, **self._dense_flipout)
        laplace = last and self.architecture.head == "laplace"
        make = LaplaceDense if laplace else tf_keras.layers.Dense
        return make(
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
        """Make a BatchNorm for the outputs of `conv`, if there is one."""
        return BatchNorm(
            after=conv and conv.name,
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            gamma_initializer=tf_keras.initializers.Constant(scale),
            synchronized=self._synchronized,
            name=name,
            dtype=dtype or self.dtype,
        )

    def dropout(self, rate: float, kind: Head, name: str) -> Dropout:
        """Make a dropout layer, which has one mask per draw if the kind is `dropout`."""
        return Dropout(rate, monte_carlo=kind == "dropout", name=name, dtype=self.dtype)

    def _layer_seed(self, name: str) -> int:
        return zlib.crc32(f"{self._seed}/{name}".encode()) % 2**31
