"""One optimizer step on a batch: noise, augmentation, loss, gradients."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import tensorflow as tf

from vipann_tf.models.loss import kl_scale, negative_log_likelihood
from vipann_tf.models.objective import Objective
from vipann_tf.models.randomness import TrainingNoise, randomness

if TYPE_CHECKING:
    from vipann_tf.models.vipann import VIPANN

# Stages at which a computation can start and stop; `VIPANN.run` explains them.
Stage = Literal["waveform", "log_mel", "shared", "pooled", "embedding", "logits"]

# (waveforms or log-mel, labels, noise) -> augmented (waveforms or log-mel, labels).
Augmentation = Callable[[tf.Tensor, tf.Tensor, TrainingNoise], tuple[tf.Tensor, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """The computation of `VIPANN.train_step`.

    Attributes:
      objective, clips, seed, augment_waveform, augment_log_mel, start: As in `VIPANN.compile`.
    """

    objective: Objective
    clips: int
    seed: int
    augment_waveform: Augmentation | None = None
    augment_log_mel: Augmentation | None = None
    start: Stage = "waveform"

    def __call__(self, model: VIPANN, data: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Take the step; see `VIPANN.train_step`."""
        replica = tf.distribute.get_replica_context()
        replicas = replica.num_replicas_in_sync
        labels = data["labels"]
        batch = tf.shape(labels)[0]
        step = tf.identity(model.optimizer.iterations)
        noise = TrainingNoise(
            tf.constant(self.seed, tf.int64), step, replica.replica_id_in_sync_group * batch
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
            with randomness(dataclasses.replace(noise, stddevs=stddevs)):
                logits = model.network(inputs, start=start, training=True)
            nll = tf.reduce_sum(
                negative_log_likelihood(
                    logits, labels, model.architecture.task, self.objective.nll_reduction
                )
            ) / tf.cast(batch * replicas, tf.float32)
            kl = model.kl(self.objective.kl_reduction, stddevs) / replicas
            scale = kl_scale(self.objective, step, self.clips)
            loss = nll + scale * kl
        model.optimizer.minimize(loss, model.trainable_variables, tape=tape)
        return {"loss": loss, "nll": nll, "kl": kl, "kl_scale": scale / replicas}
