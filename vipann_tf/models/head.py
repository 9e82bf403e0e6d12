"""The head of a network alone, which takes the features of a deterministic trunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from vipann_tf.models import resnet
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.layer_factory import LayerFactory
from vipann_tf.models.named_layers import NamedLayers
from vipann_tf.models.randomness import Draw, randomness_of_layers
from vipann_tf.models.sampling import sample_draw
from vipann_tf.models.training_step import Stage


class Head(NamedLayers):
    """The two dense layers of a `VIPANN` of the same architecture, without its trunk.

    Initial weights, noise, draws and names of the variables are those of the whole network, so
    that a head trained alone can be put into it. Building one takes a hundredth of the time.

    Args:
      architecture: The whole network; its trunk must be deterministic.
      seed, dtype, flipout: As of `VIPANN`.

    Attributes:
      optimizer: What `TrainingStep` changes the weights with; given by who trains.

    Raises:
      ValueError: The trunk is random: its features differ from draw to draw.
    """

    frontend: Any = None  # a head takes features
    optimizer: Any = None

    def __init__(
        self,
        architecture: Architecture,
        *,
        seed: int = 0,
        dtype: str = "float32",
        flipout: Mapping[str, Any] | None = None,
    ) -> None:
        if architecture.trunk != "deterministic":
            raise ValueError(
                f"the trunk is {architecture.trunk}; a head alone needs a deterministic one"
            )
        self.architecture = architecture
        make = LayerFactory(architecture, seed=seed, dtype=dtype, dense_flipout=flipout)
        self.network = resnet.head(make)
        self.network(tf.zeros([1, architecture.pooled_size]))  # creates the variables

    @property
    def trainable_variables(self) -> Sequence[tf.Variable]:
        """The variables that an optimizer changes."""
        variables: Sequence[tf.Variable] = self.network.trainable_variables
        return variables

    def run(
        self,
        x: tf.Tensor,
        *,
        start: Stage = "pooled",
        stop: Stage = "logits",
        draw: Draw | None = None,
    ) -> tf.Tensor:
        """Compute one stage of the head from another, in inference mode; see `VIPANN.run`.

        Args:
          x: The values at `start`, float [batch, size].
          start: "pooled", "shared" or "embedding".
          stop: "shared", "embedding" or "logits", not before `start`.
          draw: One network of the posterior; `None` is the posterior mean.

        Returns:
          The values at `stop`, float [batch, size].
        """
        with randomness_of_layers(draw):
            outputs = self.network(x, start=start, stop=stop, training=False)
        return tf.cast(outputs, tf.float32) if stop in ("embedding", "logits") else outputs

    def draw(self, seed: tf.Tensor | int, index: tf.Tensor | int) -> Draw:
        """Sample the kernels of draw `index` of a `seed`, int scalars, for several batches."""
        return sample_draw(self.network.parts(), seed, index)
