"""Layers called one after another, with names for the values between them."""

import types
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras


@tf_keras.utils.register_keras_serializable("vipann_tf")
class Chain(tf_keras.layers.Layer):
    """Layers called one after another, each of which casts its inputs itself.

    Args:
      layers: The layers, in order.
      stages: The number of layers before each named stage.
      **kwargs: `name`, `trainable` and `dtype`, as in every Keras layer.

    Call arguments:
      inputs: The values at `start`.
      start, stop: Names of stages; by default the first layer's inputs and the last's outputs.
      training: Keras passes it to every layer that takes it.

    Input shape: that of the layer after `start`.

    Output shape: that of the layer before `stop`.
    """

    def __init__(
        self,
        layers: Sequence[tf_keras.layers.Layer],
        stages: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.layers = list(layers)
        # A read-only view, since Keras would wrap an attribute that is a dict.
        self._depths = types.MappingProxyType(dict(stages or {}))

    def call(
        self,
        inputs: tf.Tensor,
        start: str | None = None,
        stop: str | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Call the layers between two stages."""
        first = self._depth(start) if start else 0
        last = self._depth(stop) if stop else len(self.layers)
        if last < first:
            raise ValueError(
                f"stop is {stop!r}, which is before start, {start!r}; the stages of this network "
                f"are, in their order, {', '.join(self.stages)}"
            )
        for layer in self.layers[first:last]:
            inputs = layer(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        layers = [tf_keras.layers.serialize(layer) for layer in self.layers]
        return {**super().get_config(), "layers": layers, "stages": dict(self._depths)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Chain":
        """Make a chain from what `get_config` returned."""
        layers = [tf_keras.layers.deserialize(layer) for layer in config["layers"]]
        return cls(**{**config, "layers": layers})

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages, in order."""
        return tuple(sorted(self._depths, key=self._depths.__getitem__))

    def until(self, stage: str) -> list[tf_keras.layers.Layer]:
        """Return the layers before a stage, in order."""
        return self.layers[: self._depth(stage)]

    def parts(self, stop: str | None = None) -> list[tf_keras.layers.Layer]:
        """Return the layers that contain no others, in order, up to the stage `stop` if given."""
        return parts(self.until(stop) if stop else self.layers)

    def _depth(self, stage: str) -> int:
        if stage not in self._depths:
            raise ValueError(f"stage is {stage!r}; it must be one of {', '.join(self.stages)}")
        return self._depths[stage]


def parts(layers: Sequence[tf_keras.layers.Layer]) -> list[tf_keras.layers.Layer]:
    """Return the given layers, or the layers inside them, that contain no others."""
    found = [part for layer in layers for part in layer._flatten_layers()]
    return [part for part in found if not any(part._flatten_layers(include_self=False))]
