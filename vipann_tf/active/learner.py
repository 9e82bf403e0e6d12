"""Training of a new head on features of clips, again and again, with one compiled function.

The training is that of `transfer` in mode `fixed`: its layers, initial weights, noise, objective,
optimizer, schedule and number of steps. A training of the same clips differs in their order alone,
which is a permutation in each epoch, by NumPy's PCG64 of [seed, epoch]. The whole loop is one
TensorFlow function, traced once for a number of steps: a recipe with `training.steps` keeps that
number when labels are added.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vipann_tf.active.answers import Answers, answering
from vipann_tf.active.settings import check_recipe
from vipann_tf.errors import UserError
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.head import Head
from vipann_tf.models.training_step import TrainingStep
from vipann_tf.recipes import TransferRecipe
from vipann_tf.task import Task
from vipann_tf.training.determinism import set_determinism
from vipann_tf.training.laplace import fit_laplace
from vipann_tf.training.loop import mean_losses
from vipann_tf.training.optimizer import averaged_variables, make_optimizer
from vipann_tf.training.transfer import transferred_architecture

__all__ = ["HeadLearner", "TrainedHead"]

Array = npt.NDArray[np.float32]
# What a step returns, and the columns of its row in a log.
_LOGGED = ("loss", "nll", "kl", "kl_scale", "learning_rate")


@dataclass(frozen=True)
class TrainedHead:
    """A head that was trained.

    Attributes:
      weights: Its variables by the names that they have in the whole network.
      log: A row per step, with the columns of a training's log.
      outcome: What the metadata of a model say of its training.
    """

    weights: Mapping[str, Array]
    log: Sequence[Mapping[str, float]]
    outcome: Mapping[str, Any]


class HeadLearner:
    """Trains heads of one recipe for one set of labels on the features of one trunk.

    Args:
      recipe: A transfer of mode `fixed` by det, det-flip or det-laplace, as `transfer` reads it.
      base: Network whose trunk gives the features, such as `Trunk.architecture`.
      labels: Names of the labels, in the order of the outputs.
      task: Whether clips have one label or any number.

    Attributes:
      recipe, labels: The arguments.
      architecture: The whole network that a head belongs to.

    Raises:
      UserError: The recipe asks for what features don't allow, or does not fit the trunk.
    """

    def __init__(
        self, recipe: TransferRecipe, base: Architecture, labels: Sequence[str], task: Task
    ) -> None:
        check_recipe(recipe)
        self.recipe, self.labels = recipe, list(labels)
        self.architecture = transferred_architecture(recipe, base, len(labels), task, "the base")
        set_determinism(recipe.training)
        self._head = self._new_head(recipe.training.seed)
        laplace = self.architecture.head == "laplace"
        self._answering = Head(self.architecture) if laplace else self._head
        self._answers = answering(self._answering)
        self._steps = 0
        self._loop: Any = None
        self._first_state: list[npt.NDArray[Any]] = []

    def train(self, features: npt.ArrayLike, labels: npt.ArrayLike) -> TrainedHead:
        """Train a new head from its initial weights.

        Args:
          features: Pooled features of the labelled clips, float32 [clips, 2048 x width].
          labels: Their labels, multi-hot [clips, labels].

        Raises:
          UserError: The arrays do not fit, a label has no clip, or the loss is not finite.
        """
        started = time.monotonic()
        inputs, truth = self._checked(features, labels)
        empty = self._empty_labels(truth)
        seed, batch = self.recipe.training.seed, self.recipe.training.batch_size
        steps = self.recipe.training.steps_for(len(inputs))
        self._prepare(steps)
        order = batch_order(len(inputs), steps, batch, seed)
        values = self._loop(inputs, truth, order, len(inputs), seed).numpy().astype(float)
        if not np.isfinite(values).all():
            step = int(np.argmin(np.isfinite(values).all(axis=1))) + 1
            raise UserError(
                f"the loss is not finite from step {step} on; lower optimizer.learning_rate or set "
                "optimizer.clip_norm"
            )
        log = [
            {"step": i + 1, "epoch": ((i + 1) * batch - 1) // len(inputs)}
            | dict(zip(_LOGGED, row, strict=True))
            for i, row in enumerate(values.tolist())
        ]
        weights, found = self._finished(inputs, truth)
        outcome = {
            "steps": steps,
            "seconds": round(time.monotonic() - started, 1),
            **mean_losses(log[-max(steps // 10, 1) :]),
            **found,
            **({"empty_labels": empty} if empty else {}),
        }
        return TrainedHead(weights, log, outcome)

    def answer(self, head: TrainedHead, features: npt.ArrayLike) -> Answers:
        """Average a head's draws over clips: the numbers and the seed are those of the export.

        Args:
          head: From `train`.
          features: float32 [clips, 2048 x width], of one clip or more.
        """
        wanted = self.recipe.export
        self._answering.assign(head.weights)
        return self._answers(features, wanted.num_draws, wanted.seed)

    def _checked(self, features: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Array, Array]:
        inputs, truth = np.asarray(features, np.float32), np.asarray(labels, np.float32)
        wanted = (len(inputs), self.architecture.pooled_size), (len(inputs), len(self.labels))
        if not len(inputs) or (inputs.shape, truth.shape) != wanted:
            raise UserError(
                f"features have shape {list(inputs.shape)} and labels {list(truth.shape)}; use "
                f"[clips, {wanted[0][1]}] and [clips, {wanted[1][1]}], with one clip or more"
            )
        return inputs, truth

    def _empty_labels(self, truth: Array) -> list[str]:
        empty = [
            name for name, any_ in zip(self.labels, truth.max(axis=0), strict=True) if not any_
        ]
        multiclass = self.architecture.task == "multiclass"
        if empty and multiclass and not self.recipe.data.allow_empty_labels:
            raise UserError(
                f"no clip is labelled {', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''}; "
                "label one of each, leave these labels out, or set data.allow_empty_labels=true"
            )
        return empty

    def _new_head(self, seed: int) -> Head:
        variational = self.recipe.variational
        return Head(
            self.architecture.trained,
            seed=seed,
            flipout={
                "prior_stddev": variational.prior_stddev,
                "initial_stddev": variational.initial_stddev,
                "prior": "empirical" if variational.prior == "empirical" else "normal",
            },
        )

    @functools.cached_property
    def _first_weights(self) -> dict[str, Array]:
        head = self._new_head(self.recipe.training.seed)
        return {name: variable.numpy() for name, variable in head.named_variables().items()}

    def _prepare(self, steps: int) -> None:
        """Reset weights and optimizer, and make both anew for another number of steps."""
        head = self._head
        if steps != self._steps:
            head.optimizer = make_optimizer(
                self.recipe.optimizer,
                steps=steps,
                precision=self.recipe.training.precision,
                stddev_variables=[layer.kernel_rho for layer in head.bayesian_layers],
            )
            head.optimizer.build(head.trainable_variables)
            self._first_state = [variable.numpy() for variable in head.optimizer.variables]
            self._loop = self._compiled_loop()
            self._steps = steps
        head.assign(self._first_weights)
        for variable, value in zip(head.optimizer.variables, self._first_state, strict=True):
            variable.assign(value)
        for average, variable in self._averages():
            average.assign(variable)

    def _averages(self) -> list[tuple[tf.Variable, tf.Variable]]:
        """Return the moving averages to export with their variables; none without averaging."""
        trained = self._head.trainable_variables
        pairs = zip(averaged_variables(self._head.optimizer, trained), trained, strict=True)
        return [(average, variable) for average, variable in pairs if average is not variable]

    def _compiled_loop(self) -> Callable[..., tf.Tensor]:
        head, objective = self._head, self.recipe.objective

        @functools.partial(
            tf.function,
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, self.architecture.pooled_size], tf.float32),
                tf.TensorSpec([None, len(self.labels)], tf.float32),
                tf.TensorSpec([None, None], tf.int32),
                tf.TensorSpec([], tf.float64),
                tf.TensorSpec([], tf.int64),
            ],
        )
        def loop(
            features: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, clips: tf.Tensor, seed: Any
        ) -> tf.Tensor:
            take_step = TrainingStep(objective, clips, seed, start="pooled")

            def step(rows: tf.Tensor) -> tf.Tensor:
                batch = {"features": tf.gather(features, rows), "labels": tf.gather(labels, rows)}
                results, _, _ = take_step(head, batch)
                results["learning_rate"] = tf.convert_to_tensor(head.optimizer.learning_rate)
                return tf.stack([results[name] for name in _LOGGED])

            row = tf.TensorSpec([len(_LOGGED)], tf.float32)
            return tf.map_fn(step, order, fn_output_signature=row, parallel_iterations=1)

        return loop

    def _finished(self, inputs: Array, truth: Array) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return the weights to export, and what a Laplace posterior adds to the outcome."""
        averages = {id(variable): average for average, variable in self._averages()}
        named = self._head.named_variables()
        weights = {name: averages.get(id(x), x).numpy() for name, x in named.items()}
        if self._answering is self._head:
            return weights, {}
        head = self._answering
        head.assign(weights, partial=True)
        embedding = head.run(tf.constant(inputs), stop="embedding")
        precision = self.recipe.variational.laplace_precision
        found = fit_laplace(head, [(embedding, tf.constant(truth))], precision)
        return {name: x.numpy() for name, x in head.named_variables().items()}, found


def batch_order(clips: int, steps: int, batch_size: int, seed: int) -> npt.NDArray[np.int32]:
    """Return the clips of each batch of a training, int32 [steps, batch_size].

    Epochs follow each other without a gap, as in the batches of data sets: each clip is used once
    before any is used again.

    Args:
      clips: Number of clips, at least 1.
      steps: Number of batches.
      batch_size: Clips per batch.
      seed: Seed of the permutations.
    """
    epochs = -(-steps * batch_size // clips)
    orders = [np.random.default_rng([seed, epoch]).permutation(clips) for epoch in range(epochs)]
    return np.concatenate(orders)[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)
