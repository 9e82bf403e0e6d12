"""The VIPANN Keras model: a distribution over networks from waveforms to labels."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import tensorflow as tf
import tf_keras

from vipann_tf.audio.logmel import LogMel
from vipann_tf.models import resnet
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.batch_norm import BatchNorm
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense
from vipann_tf.models.loss import kl_scale, negative_log_likelihood, probabilities
from vipann_tf.models.objective import Objective
from vipann_tf.models.randomness import Draw, TrainingNoise, randomness
from vipann_tf.models.traced import Traced

# (log-mel or features, labels, noise) -> the same two, changed; see `VIPANN.prepare_training`.
Augmentation = Callable[[tf.Tensor, tf.Tensor, TrainingNoise], tuple[tf.Tensor, tf.Tensor]]


@tf_keras.utils.register_keras_serializable("vipann_tf")
class VIPANN(tf_keras.Model):
    """A residual audio network whose trunk and head may each be Bayesian.

    The network is a list of layers. Those before the first random one make the `prefix`, which does
    not differ between draws and is computed once; the others make the `suffix`, computed a draw.

    Args:
      architecture: What to build.
      seed: Of the initial weights.
      dtype: Keras dtype policy name; variables, log-mel, logits and losses are float32 in all.
      synchronized: Whether BatchNorm statistics are shared by all replicas of a `tf.distribute`
        strategy.
      flipout: Keyword arguments of the Flipout layers: `prior_stddev`, `initial_stddev`.
      trunk_flipout: More of them, for those of the trunk: `prior`.

    Call arguments:
      inputs: Waveforms, float32 [batch, samples] at 32 kHz in [-1, 1].
      training: Whether BatchNorm uses the batch's statistics.

    Returns of a call: logits [batch, labels], of the network that the `randomness` context says:
      the posterior mean outside any.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        seed: int = 0,
        dtype: str = "float32",
        synchronized: bool = False,
        flipout: dict | None = None,
        trunk_flipout: dict | None = None,
    ):
        super().__init__(name="vipann")
        self.architecture = architecture
        # A function, since Keras would wrap an attribute that is a dict.
        self._settings = lambda: {
            "architecture": architecture.model_dump(mode="json"),
            "seed": seed,
            "dtype": dtype,
            "synchronized": synchronized,
            "flipout": flipout,
            "trunk_flipout": trunk_flipout,
        }
        make = resnet.LayerFactory(
            architecture,
            seed=seed,
            dtype=dtype,
            synchronized=synchronized,
            conv_flipout={**(flipout or {}), **(trunk_flipout or {})},
            dense_flipout=flipout,
        )
        self.frontend = LogMel(name="log_mel")
        trunk = resnet.trunk(make)
        self.trunk_depth = len(trunk)
        self.network = resnet.Chain(trunk + resnet.head(make), name="network", dtype=dtype)
        self.prefix_depth = next(
            (i for i, layer in enumerate(self.network.layers) if _is_random(layer)),
            len(self.network.layers),
        )
        self(tf.zeros([1, 32000]))  # creates the variables

    def call(self, inputs, training=None):
        return self.network(self.frontend(inputs), training=training)

    def get_config(self) -> dict:
        return self._settings()

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> "VIPANN":
        return cls(**{**config, "architecture": Architecture(**config["architecture"])})

    # The posterior over networks.

    @property
    def bayesian_layers(self) -> list[FlipoutConv2D | FlipoutDense]:
        """The Flipout layers, in order."""
        return [
            layer
            for layer in self.network._flatten_layers()
            if isinstance(layer, (FlipoutConv2D, FlipoutDense))
        ]

    def draw(self, seed, index) -> Draw:
        """Network number `index` of a seed, its kernels sampled: worth it for several batches.

        In lower precision BatchNorm is folded into the kernels. TensorFlow does that itself to float32
        convolutions, and to no others.

        Args:
          seed, index: int scalars.
        """
        draw = Draw(seed, index)
        norms = {
            layer.after: layer
            for layer in self.network._flatten_layers()
            if isinstance(layer, BatchNorm) and layer.compute_dtype != "float32"
        }
        kernels, offsets = {}, {}
        for layer in self.bayesian_layers:
            kernel = layer.drawn_kernel(draw)
            # Signs an activation have a second kernel, the mean's.
            if layer.name in norms and layer.signs == "channel":
                norm = norms[layer.name]
                factor, offsets[norm.name] = norm.folded()
                kernel *= factor
            kernels[layer.name] = tf.cast(kernel, layer.compute_dtype)
        return Draw(seed, index, kernels, offsets)

    @functools.cached_property
    def traced(self) -> Traced:
        """`prefix`, `draw` and `suffix_logits`, compiled."""
        return Traced(self)

    def prefix(self, waveform: tf.Tensor) -> tf.Tensor:
        """What all draws have in common: waveforms [batch, samples] -> features [batch, ...]."""
        return self.network(self.frontend(waveform), stop=self.prefix_depth, training=False)

    def suffix(self, features: tf.Tensor, draw: Draw | None, temperature: float = 1.0) -> tf.Tensor:
        """Probabilities float32 [batch, labels] of one network (`None`: the mean), given `prefix`.

        Args:
          features: What `prefix` gave.
          draw: The network.
          temperature: Divides the logits: above 1 the answers are less sure.
        """
        logits = self.suffix_logits(features, draw)
        return probabilities(logits / temperature, self.architecture.task)

    def suffix_logits(self, features: tf.Tensor, draw: Draw | None) -> tf.Tensor:
        """Logits float32 [batch, labels] of one network (`None`: the mean), given `prefix`."""
        with randomness(draw):
            logits = self.network(features, start=self.prefix_depth, training=False)
        return tf.cast(logits, tf.float32)

    def pooled(self, waveform: tf.Tensor) -> tf.Tensor:
        """The trunk's output of the posterior-mean network, [batch, 2048 x width]."""
        return self.network(self.frontend(waveform), stop=self.trunk_depth, training=False)

    def embed(self, waveform: tf.Tensor) -> tf.Tensor:
        """The embedding of the posterior-mean network, float32 [batch, 2048 x width]."""
        stop = self.trunk_depth + resnet.EMBEDDING_LAYERS
        embedding = self.network(self.frontend(waveform), stop=stop, training=False)
        return tf.cast(embedding, tf.float32)

    def kl(
        self, reduction: str = "sum", stddevs: Mapping[str, tf.Tensor] | None = None
    ) -> tf.Tensor:
        """KL of the layers being trained, in nats: float32 scalar, 0 where none is Bayesian.

        Args:
          reduction: Over the weights of a layer, `sum` or `mean`; layers are summed.
          stddevs: Posterior standard deviations by layer name, where they are at hand.
        """
        stddevs = stddevs or {}
        terms = [
            layer.kl(stddevs.get(layer.name))
            / (layer.kernel_loc.shape.num_elements() if reduction == "mean" else 1)
            for layer in self.bayesian_layers
            if layer.trainable
        ]
        return tf.add_n(terms) if terms else tf.zeros([])

    # Variables.

    def named_variables(self) -> dict[str, tf.Variable]:
        """Every variable of the network as `<layer>/<variable>`, priors left out."""
        named = {}
        for layer in self.network._flatten_layers():
            for variable in layer._trainable_weights + layer._non_trainable_weights:
                name = variable.name.split("/")[-1].split(":")[0]
                if not name.startswith("kernel_prior"):
                    named[f"{layer.name}/{name}"] = variable
        return named

    def trunk_layers(self) -> list[tf_keras.layers.Layer]:
        """The layers up to the pooled features."""
        return self.network.layers[: self.trunk_depth]

    def trunk_variable_layers(self) -> list[tf_keras.layers.Layer]:
        """The trunk's layers that hold variables, whatever block they are in."""
        return [
            part
            for layer in self.trunk_layers()
            for part in layer._flatten_layers()
            if part._trainable_weights or part._non_trainable_weights
        ]

    def freeze_trunk(self) -> None:
        """Keeps the trunk as it is: no gradient, stored BatchNorm statistics, no KL term."""
        for layer in self.trunk_layers():
            layer.trainable = False

    # Training.

    def prepare_training(
        self,
        objective: Objective,
        *,
        clips: int,
        seed: int,
        augment_waveform: Augmentation | None = None,
        augment_log_mel: Augmentation | None = None,
        start: int | None = None,
    ) -> None:
        """Says what `train_step` minimises; call it beside `compile`.

        Args:
          objective: The loss.
          clips: Number of training clips, the N of KL / N.
          seed: Of all noise and augmentation in training.
          augment_waveform, augment_log_mel: Change a batch and its labels, before and after the
            front end.
          start: Where batches hold features instead of waveforms, the layer that takes them.
        """
        self._objective = objective
        self._clips = clips
        self._seed = seed
        self._augment_waveform = augment_waveform
        self._augment_log_mel = augment_log_mel
        self._start = start

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One optimizer step on a batch; inside a strategy, on this replica's part of it.

        Args:
          data: `waveform` [batch, samples] (or `features` [batch, ...]) and `labels` [batch, labels].

        Returns:
          `loss`, `nll`, `kl` (as reduced, unscaled) and `kl_scale`: float32 scalars that replicas
          sum to those of the global batch.
        """
        replica = tf.distribute.get_replica_context()
        replicas = replica.num_replicas_in_sync
        inputs, labels = data.get("waveform", data.get("features")), data["labels"]
        batch = tf.shape(labels)[0]
        step = tf.identity(self.optimizer.iterations)
        noise = TrainingNoise(
            tf.constant(self._seed, tf.int64), step, replica.replica_id_in_sync_group * batch
        )
        if "waveform" in data:
            if self._augment_waveform is not None:
                inputs, labels = self._augment_waveform(inputs, labels, noise)
            inputs = self.frontend(inputs)
            if self._augment_log_mel is not None:
                inputs, labels = self._augment_log_mel(inputs, labels, noise)
        with tf.GradientTape() as tape:
            stddevs = {layer.name: layer.kernel_stddev() for layer in self.bayesian_layers}
            with randomness(dataclasses.replace(noise, stddevs=stddevs)):
                logits = self.network(inputs, start=self._start or 0, training=True)
            nll = tf.reduce_sum(
                negative_log_likelihood(
                    logits, labels, self.architecture.task, self._objective.nll_reduction
                )
            ) / tf.cast(batch * replicas, tf.float32)
            kl = self.kl(self._objective.kl_reduction, stddevs) / replicas
            scale = kl_scale(self._objective, step, self._clips)
            loss = nll + scale * kl
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        return {"loss": loss, "nll": nll, "kl": kl, "kl_scale": scale / replicas}


def _is_random(layer: tf_keras.layers.Layer) -> bool:
    """Whether two draws can give different outputs of a layer."""
    return any(
        isinstance(part, (FlipoutConv2D, FlipoutDense))
        or (isinstance(part, Dropout) and part.monte_carlo and part.rate > 0)
        for part in layer._flatten_layers()
    )
