"""The VIPANN Keras model: a distribution over networks from waveforms to labels."""

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import tensorflow as tf
import tf_keras

from vipann_tf.audio.logmel import LogMel
from vipann_tf.models import resnet
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.compiled_network import CompiledNetwork
from vipann_tf.models.draw_statistics import DrawStatistics
from vipann_tf.models.elbo_training import ElboTraining
from vipann_tf.models.layer_factory import LayerFactory
from vipann_tf.models.randomness import Draw, current_randomness, randomness_of_layers
from vipann_tf.models.sampling import sample_draw
from vipann_tf.models.training_step import Stage


@tf_keras.utils.register_keras_serializable("vipann_tf")
class VIPANN(ElboTraining, tf_keras.Model):
    """A residual audio network whose trunk and head may each be Bayesian.

    The network is a list of layers with named stages between them. Up to the stage "shared" nothing
    is random: that part is computed once for all draws, and the rest once per draw.

    Args:
      architecture: Depth, width, kinds and labels of the network.
      seed: Seed of the initial weights.
      dtype: Keras dtype policy name; variables, log-mel, logits and losses are always float32.
      synchronized: Whether BatchNorm statistics are shared by all replicas of a `tf.distribute`
        strategy.
      flipout: Keyword arguments of the Flipout layers: `prior_stddev`, `initial_stddev`.
      trunk_flipout: More keyword arguments for the Flipout layers of the trunk: `prior`.

    Call arguments:
      inputs: Waveforms, float32 [batch, samples] at 32 kHz in [-1, 1].
      training: Whether BatchNorm uses the batch's statistics.

    Returns of a call: logits [batch, labels] of the network that the `randomness` context selects;
      without a context, of the posterior mean.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        seed: int = 0,
        dtype: str = "float32",
        synchronized: bool = False,
        flipout: Mapping[str, Any] | None = None,
        trunk_flipout: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name="vipann")
        self.architecture = architecture
        self._initial_seed = seed
        self._synchronized = synchronized
        # Read-only views, since Keras would wrap an attribute that is a dict.
        self._flipout = types.MappingProxyType(dict(flipout or {}))
        self._trunk_flipout = types.MappingProxyType(dict(trunk_flipout or {}))
        self._draw_statistics: DrawStatistics | None = None
        make = LayerFactory(
            architecture,
            seed=seed,
            dtype=dtype,
            synchronized=synchronized,
            conv_flipout={**self._flipout, **self._trunk_flipout},
            dense_flipout=dict(self._flipout),
        )
        self.frontend = LogMel(name="log_mel")
        self.network = resnet.network(make)
        self(tf.zeros([1, 32000]))  # creates the variables

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Compute logits from waveforms."""
        log_mel = self.frontend(inputs)
        context = current_randomness()
        if not isinstance(context, Draw):
            return self.network(log_mel, training=training)
        with randomness_of_layers(self._with_statistics(context)):
            return self.network(log_mel, training=training)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, JSON-compatible."""
        return {
            "architecture": self.architecture.model_dump(mode="json"),
            "seed": self._initial_seed,
            "dtype": self.network.dtype_policy.name,
            "synchronized": self._synchronized,
            "flipout": dict(self._flipout),
            "trunk_flipout": dict(self._trunk_flipout),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "VIPANN":
        """Make a network from what `get_config` returned."""
        return cls(**{**config, "architecture": Architecture(**config["architecture"])})

    # Stages.

    @property
    def precision(self) -> str:
        """The dtype of the computations."""
        return str(self.network.compute_dtype)

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages, in order."""
        return ("waveform", *self.network.stages)

    def run(
        self,
        x: tf.Tensor,
        *,
        start: Stage = "waveform",
        stop: Stage = "logits",
        draw: Draw | None = None,
    ) -> tf.Tensor:
        """Compute one stage of the network from another, in inference mode.

        | stage | values |
        | --- | --- |
        | waveform | float32 [batch, samples] at 32 kHz in [-1, 1] |
        | log_mel | float32 [batch, frames, 64], in dB |
        | shared | [batch, ...]: the last values that do not differ between draws |
        | pooled | [batch, 2048 x width], the trunk's output, of the network's compute dtype |
        | embedding | float32 [batch, 2048 x width], the first dense layer's output |
        | logits | float32 [batch, labels] |

        The position of "shared" depends on what is random: before "pooled" if the trunk is random,
        after it if only the head is, after "embedding" if only the last layer is (a Laplace head),
        and at "logits" if nothing is. `stages` has the order.

        Args:
          x: The values at `start`.
          start: Name of a stage.
          stop: Name of a stage, not before `start`.
          draw: One network of the posterior; `None` is the posterior mean.

        Returns:
          The values at `stop`.

        Raises:
          ValueError: A name is wrong, or `stop` is before `start`.
        """
        if start == "waveform" != stop:
            x, start = self.frontend(x), "log_mel"
        if start == stop == "waveform":
            return x
        with randomness_of_layers(draw and self._with_statistics(draw)):
            outputs = self.network(x, start=start, stop=stop, training=False)
        return tf.cast(outputs, tf.float32) if stop in ("embedding", "logits") else outputs

    def _with_statistics(self, draw: Draw) -> Draw:
        """Return the draw with its BatchNorm statistics, if draws have their own."""
        if self.draw_statistics is None or draw.observed is not None:
            return draw
        return dataclasses.replace(draw, statistics=self.draw_statistics.of(draw.index))

    # The posterior over networks.

    def draw(self, seed: tf.Tensor | int, index: tf.Tensor | int) -> Draw:
        """Sample the kernels of draw `index` of a `seed`, int scalars, for several batches."""
        return sample_draw(self.network.parts(), seed, index, fold=self.draw_statistics is None)

    def sample(self, x: npt.ArrayLike, num_draws: int, seed: int = 0) -> tf.Tensor:
        """Return the logits of draws 1 to `num_draws`, float32 [num_draws, batch, labels].

        They are compiled at the first call. `loss.probabilities` makes probabilities of logits.

        Args:
          x: Waveforms, float32 [batch, samples] at 32 kHz in [-1, 1].
          num_draws: Number of networks, at least 1.
          seed: Seed of the draws.

        Raises:
          ValueError: There are no such draws.
        """
        if num_draws < 1:
            raise ValueError(f"num_draws is {num_draws}; it must be at least 1")
        known = self.draw_statistics
        if known is not None and (known.seed != seed or num_draws > known.num_draws):
            raise ValueError(
                f"num_draws is {num_draws} and seed {seed}, but this network has BatchNorm "
                f"statistics for {known.num_draws} draws of seed {known.seed} alone; choose these"
            )
        network = self.compiled_network
        shared = network.until("shared", tf.convert_to_tensor(x, tf.float32))
        numbers = [tf.constant(index, tf.int64) for index in range(1, num_draws + 1)]
        key = tf.constant(seed, tf.int64)
        return tf.stack([network.logits(shared, network.draw(key, index)) for index in numbers])

    @property
    def draw_statistics(self) -> DrawStatistics | None:
        """BatchNorm statistics of each draw; `None` where draws use the stored statistics."""
        return self._draw_statistics

    @draw_statistics.setter
    def draw_statistics(self, statistics: DrawStatistics | None) -> None:
        self._draw_statistics = statistics
        # Traced functions hold on to what they were traced with.
        self.__dict__.pop("compiled_network", None)

    @functools.cached_property
    def compiled_network(self) -> CompiledNetwork:
        """The compiled functions of inference."""
        return CompiledNetwork(self)

    def twin(
        self, *, dtype: str | None = None, architecture: Architecture | None = None
    ) -> "VIPANN":
        """Return a copy of the network for inference: the same variables without the priors.

        Args:
          dtype: Keras dtype policy; by default that of this network.
          architecture: Architecture with the same variables, for example with other `signs`.
        """
        dtype = dtype or self.network.dtype_policy.name
        twin = VIPANN(architecture or self.architecture, dtype=dtype)
        twin.assign(self.named_variables())
        if twin.architecture == self.architecture:
            twin.draw_statistics = self.draw_statistics  # other signs make other draws
        return twin

    def trunk_layers(self) -> list[tf_keras.layers.Layer]:
        """Return the layers up to the pooled features."""
        layers: list[tf_keras.layers.Layer] = self.network.until("pooled")
        return layers

    def freeze_trunk(self) -> None:
        """Freeze the trunk: no gradient, stored BatchNorm statistics, no KL term."""
        for layer in self.trunk_layers():
            layer.trainable = False
