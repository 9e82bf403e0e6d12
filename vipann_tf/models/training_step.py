"""One optimizer step on a batch: noise, augmentation, loss, gradients. And its evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import tensorflow as tf

from vipann_tf.models.loss import kl_scale, negative_log_likelihood
from vipann_tf.models.objective import Objective
from vipann_tf.models.randomness import TrainingNoise, randomness_of_layers

if TYPE_CHECKING:
    from vipann_tf.models.architecture import Architecture
    from vipann_tf.models.elbo_training import ElboTraining
    from vipann_tf.models.posterior import KernelPosterior

# Stages at which a computation can start and stop; `VIPANN.run` explains them.
Stage = Literal["waveform", "log_mel", "shared", "pooled", "embedding", "logits"]

# (waveforms or log-mel, labels, noise) -> augmented (waveforms or log-mel, labels).
Augmentation = Callable[[tf.Tensor, tf.Tensor, TrainingNoise], tuple[tf.Tensor, tf.Tensor]]


class Trainable(Protocol):
    """What a step trains: a `VIPANN`, or a `Head`, which takes features and has no front end."""

    architecture: Architecture
    frontend: Any
    network: Any
    optimizer: Any

    @property
    def trainable_variables(self) -> Sequence[tf.Variable]:
        """The variables that the optimizer changes."""

    @property
    def bayesian_layers(self) -> list[KernelPosterior]:
        """The Flipout layers, in order."""

    def kl(self, reduction: str, stddevs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return the KL of the layers being trained; see `VIPANN.kl`."""


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """The computations of `VIPANN.train_step` and `VIPANN.test_step`.

    Attributes:
      objective, clips, seed, augment_waveform, augment_log_mel, start: As in `VIPANN.compile`.
        `clips` and `seed` may also be tensors (float64 and int64 scalars), so that one trace serves
        trainings that differ in them.
    """

    objective: Objective
    clips: int | tf.Tensor | None
    seed: int | tf.Tensor
    augment_waveform: Augmentation | None = None
    augment_log_mel: Augmentation | None = None
    start: Stage = "waveform"

    def __call__(
        self, model: Trainable, data: Mapping[str, tf.Tensor]
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """Take the step, and return its results, labels and logits; see `VIPANN.train_step`."""
        replica = tf.distribute.get_replica_context()
        replicas = replica.num_replicas_in_sync
        labels = data["labels"]
        batch = tf.shape(labels)[0]
        step = tf.identity(model.optimizer.iterations)
        noise = TrainingNoise(
            tf.convert_to_tensor(self.seed, tf.int64),
            step,
            replica.replica_id_in_sync_group * batch,
        )
        if self.start == "waveform":
            start, inputs = "log_mel", data["waveform"]
            if self.augment_waveform is not None:
                inputs, labels = self.augment_waveform(inputs, labels, noise)
            inputs = model.frontend(inputs)
            if self.augment_log_mel is not None:
                inputs, labels = self.augment_log_mel(inputs, labels, noise)
        else:
            start, inputs = self.start, data["features"]
        with tf.GradientTape() as tape:
            stddevs = {layer.name: layer.kernel_stddev() for layer in model.bayesian_layers}
            with randomness_of_layers(dataclasses.replace(noise, stddevs=stddevs, batch=batch)):
                logits = model.network(inputs, start=start, training=True)
            nll = tf.reduce_sum(
                negative_log_likelihood(
                    logits, labels, model.architecture.task, self.objective.nll_reduction
                )
            ) / tf.cast(batch * replicas, tf.float32)
            kl = model.kl(self.objective.kl_reduction, stddevs) / replicas
            scale = kl_scale(self.objective, step, self.known_clips())
            loss = nll + scale * kl
        model.optimizer.minimize(loss, model.trainable_variables, tape=tape)
        results = {"loss": loss, "nll": nll, "kl": kl, "kl_scale": scale / replicas}
        return results, labels, logits

    def evaluate(
        self, model: ElboTraining, data: Mapping[str, tf.Tensor]
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Return what a batch has without noise and augmentation, and the logits.

        The weight of the KL is that of the end of a warm-up, so that epochs can be compared.

        Returns:
          `loss` and `nll`, float32 [batch], and `kl`, float32 scalar; and logits [batch, labels].
        """
        logits = model.logits_of(data, self.start)
        nll = negative_log_likelihood(
            logits, data["labels"], model.architecture.task, self.objective.nll_reduction
        )
        kl = model.kl(self.objective.kl_reduction)
        loss = nll + self.objective.kl_weight / self.known_clips() * kl
        return {"loss": loss, "nll": nll, "kl": kl}, logits

    def known_clips(self) -> int | tf.Tensor:
        """Return the number of training clips.

        Raises:
          ValueError: It is not known.
        """
        if self.clips is None:
            raise ValueError(
                "the number of training clips, the N of KL / N, is not known: give it as "
                "compile(..., clips=N). `fit` counts arrays, but no datasets and generators"
            )
        return self.clips
