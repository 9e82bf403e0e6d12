"""Keras's verbs of training, `compile`, `fit`, `evaluate` and `predict`, for the ELBO."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import tensorflow as tf
import tf_keras

from vipann_tf.models.architecture import Architecture
from vipann_tf.models.loss import probabilities
from vipann_tf.models.named_layers import NamedLayers
from vipann_tf.models.objective import Objective
from vipann_tf.models.training_batch import batch_of, inputs_of
from vipann_tf.models.training_step import Augmentation, Stage, TrainingStep

_Step = TypeVar("_Step", bound=Callable[..., Any])
# AutoGraph would convert all code of a step before it is traced, and find nothing to convert: that
# took 10 s of CPU for a ResNet-54, as long as two thirds of the tracing itself.
_as_it_is: Callable[[_Step], _Step] = tf.autograph.experimental.do_not_convert


class ElboTraining(NamedLayers):
    """A mixin for `VIPANN`, before `tf_keras.Model` in the order of bases."""

    # Attributes of the model.
    architecture: Architecture
    frontend: Any
    trainable_variables: Sequence[tf.Variable]
    optimizer: Any
    compiled_metrics: Any
    distribute_strategy: tf.distribute.Strategy

    _step: TrainingStep | None = None
    # Means over an epoch, which no checkpoint has.
    _means: Mapping[str, tf_keras.metrics.Mean] = types.MappingProxyType({})
    _in_fit = False
    _counts_clips = False
    _has_metrics = False

    def compile(
        self,
        optimizer: tf_keras.optimizers.Optimizer | str,
        *,
        objective: Objective | None = None,
        clips: int | None = None,
        seed: int = 0,
        augment_waveform: Augmentation | None = None,
        augment_log_mel: Augmentation | None = None,
        start: Stage = "waveform",
        **kwargs: Any,
    ) -> None:
        """Configure the training.

        Args:
          optimizer: The optimizer.
          objective: Reductions and weight of the loss's terms: `Objective()` has the defaults.
          clips: Number of training clips, the N of KL / N; `None`: `fit` counts its arrays.
          seed: Seed of all noise and augmentation in training.
          augment_waveform: Changes a batch and its labels before the front end.
          augment_log_mel: Changes log-mel and labels after the front end.
          start: The stage that batches contain: `waveform`, or another one as `features`.
          **kwargs: Other arguments of `tf_keras.Model.compile`. Metrics compare probabilities with
            labels [batch, labels].

        Raises:
          ValueError: There is no objective, or another loss.
        """
        if kwargs.get("from_serialized"):
            # From Keras's SavedModel, which has no objective; `fit` will say so.
            super().compile(optimizer=optimizer, **kwargs)  # type: ignore[misc]
            return
        others = [name for name in ("loss", "loss_weights") if kwargs.pop(name, None) is not None]
        if objective is None or others:
            given = f"got {others[0]}" if others else "got no objective"
            raise ValueError(
                f"this network minimises the negative ELBO, whose terms an Objective has: {given}; "
                "use compile(optimizer, objective=Objective())"
            )
        super().compile(optimizer=optimizer, **kwargs)  # type: ignore[misc]
        self._step = TrainingStep(
            objective=objective,
            clips=clips,
            seed=seed,
            augment_waveform=augment_waveform,
            augment_log_mel=augment_log_mel,
            start=start,
        )
        self._counts_clips = clips is None
        self._has_metrics = bool(kwargs.get("metrics") or kwargs.get("weighted_metrics"))
        with self.distribute_strategy.scope():
            names = ("loss", "nll", "kl", "kl_scale")
            means = {name: tf_keras.metrics.Mean(name) for name in names}
        # A read-only view, which Keras does not track.
        self._means = types.MappingProxyType(means)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of `compile`; `None` if there are functions among them."""
        step = self._step
        if step is None or step.augment_waveform or step.augment_log_mel:
            return None
        return {
            **super().get_compile_config(),  # type: ignore[misc]
            "objective": step.objective.model_dump(),
            "clips": None if self._counts_clips else step.clips,
            "seed": step.seed,
            "start": step.start,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the network was that `get_compile_config` described."""
        arguments = tf_keras.saving.deserialize_keras_object(config)
        self.compile(**{**arguments, "objective": Objective(**arguments["objective"])})
        self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self) -> list[tf_keras.metrics.Metric]:
        """All metrics, which Keras resets before each epoch."""
        return [*self._means.values(), *super().metrics]  # type: ignore[misc]

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> tf_keras.callbacks.History:
        """Train as `tf_keras.Model.fit` does, with its arguments by name.

        Logs are means over the clips of an epoch: `loss`, `nll`, `kl` (reduced, not scaled) and
        `kl_scale`; see `evaluate` for those of the validation.

        Args:
          x: Waveforms, float32 [batch, samples], or a dict with `waveform` and `labels`; or a
            dataset of dicts or of tuples (waveforms, labels). With `start`, features.
          y: Labels [batch, labels]; also class numbers [batch] if the task is multiclass.
          **kwargs: Other arguments of `tf_keras.Model.fit`.

        Raises:
          ValueError: The number of clips is not known, or the data have another form.
        """
        self._compiled_step()
        if self._counts_clips:
            self._set_clips(_count(x, kwargs.get("validation_split", 0.0)))
        self._create_variables()
        self._in_fit = True
        try:
            return super().fit(x, y, **kwargs)  # type: ignore[misc]
        finally:
            self._in_fit = False

    def _create_variables(self) -> None:
        """Create those of the optimizer and the metrics: a trace that does so is made twice."""
        with self.distribute_strategy.scope():
            self.optimizer.build(self.trainable_variables)
            if self._has_metrics and not self.compiled_metrics.built:
                row = tf.zeros([1, self.architecture.labels])
                self.compiled_metrics.build(row, row)

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Evaluate as `tf_keras.Model.evaluate` does, with its arguments by name.

        `loss` is `nll` and the KL with its full weight over N, of the network that `test_step` has.

        Args:
          x: Waveforms or features, as in `fit`.
          y: Labels, as in `fit`.
          **kwargs: Other arguments of `tf_keras.Model.evaluate`.

        Raises:
          ValueError: The model is not compiled, the number of training clips is not known, or the
            data have another form.
        """
        self._compiled_step().known_clips()
        return super().evaluate(x, y, **kwargs)  # type: ignore[misc]

    def _set_clips(self, clips: int | None) -> None:
        assert self._step is not None
        if clips != self._step.clips:
            self._step = dataclasses.replace(self._step, clips=clips)
            # Traced functions hold on to the number.
            self.train_function = self.test_function = None
        self._step.known_clips()

    @_as_it_is
    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Take one optimizer step on a batch, or on this replica's part of it.

        Args:
          data: A dict with `labels` [batch, labels], and `waveform` [batch, samples] or `features`
            [batch, ...]; or a tuple of either and labels.

        Returns:
          `loss`, `nll`, `kl` (reduced, not scaled) and `kl_scale`: float32 scalars, whose sum over
          the replicas is the value of the global batch. Within `fit`, the means of the epoch.

        Raises:
          ValueError: The model is not compiled.
        """
        step = self._compiled_step()
        results, labels, logits = step(self, batch_of(data, step.start, self.architecture))
        if self._in_fit:
            replicas = tf.distribute.get_replica_context().num_replicas_in_sync
            batch = tf.shape(labels)[0]
            for name, value in results.items():
                self._means[name].update_state(value * replicas, sample_weight=batch)
            results = {name: self._means[name].result() for name in results}
        return {**results, **self._compared(labels, logits)}

    @_as_it_is
    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Evaluate a batch without noise: the posterior mean, or the draw of a context.

        Returns:
          Means since the last reset: `loss`, which is `nll` and the KL with its full weight over
          N, `nll` and `kl`.
        """
        step = self._compiled_step()
        batch = batch_of(data, step.start, self.architecture)
        results, logits = step.evaluate(self, batch)
        for name, value in results.items():
            self._means[name].update_state(value)
        results = {name: self._means[name].result() for name in results}
        return {**results, **self._compared(batch["labels"], logits)}

    @_as_it_is
    def predict_step(self, data: Any) -> tf.Tensor:
        """Return logits [batch, labels] of the posterior mean, or of the draw of a context.

        Args:
          data: Waveforms [batch, samples], or a dict or tuple that has them; features where the
            network is compiled for them.
        """
        x, _, _ = tf_keras.utils.unpack_x_y_sample_weight(data)
        start: Stage = "waveform" if self._step is None else self._step.start
        return self.logits_of(inputs_of(x, start), start)

    def logits_of(self, batch: Mapping[str, tf.Tensor], start: Stage) -> tf.Tensor:
        """Return the logits of a batch in inference mode, float32 [batch, labels].

        Args:
          batch: `waveform`, or `features` at another stage.
          start: The stage.
        """
        if start == "waveform":
            return self(batch["waveform"], training=False)  # type: ignore[operator]
        return tf.cast(self.network(batch["features"], start=start, training=False), tf.float32)

    def _compared(self, labels: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """Update the user's metrics, if any, and return them."""
        if not self._has_metrics:
            return {}
        self.compiled_metrics.update_state(labels, probabilities(logits, self.architecture.task))
        return {metric.name: metric.result() for metric in self.compiled_metrics.metrics}

    def _compiled_step(self) -> TrainingStep:
        if self._step is None:
            raise ValueError(
                "the model is not compiled, so there is no loss to minimise; call "
                "compile(optimizer, objective=..., clips=..., seed=...) first"
            )
        return self._step


def _count(x: Any, validation_split: float) -> int | None:
    """Return the number of clips of arrays that are trained on; `None` of anything else."""
    parts = tf.nest.flatten(x)
    if not parts or not all(hasattr(part, "shape") and len(part.shape) > 0 for part in parts):
        return None
    return math.floor(int(parts[0].shape[0]) * (1 - validation_split))
