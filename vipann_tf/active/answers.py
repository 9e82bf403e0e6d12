"""Answers of a head to clips, averaged over draws by one compiled function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vipann_tf.models.head import Head
from vipann_tf.models.loss import probabilities
from vipann_tf.task import Task
from vipann_tf.uncertainty import decomposition
from vipann_tf.uncertainty.decomposition import Decomposition

__all__ = ["Answers", "answering"]


@dataclass(frozen=True)
class Answers:
    """Answers of a head to clips, averaged over draws.

    Attributes:
      decomposition: Probabilities and uncertainty, NumPy arrays with clips as the first axis.
      embeddings: The first dense layer's output of the posterior mean, float32 [clips, size].
      task: Task of the head.
      num_networks: Number of networks that were averaged: one if nothing is random.
    """

    decomposition: Decomposition
    embeddings: npt.NDArray[np.float32]
    task: Task
    num_networks: int


def answering(head: Head) -> Callable[[npt.ArrayLike, int, int], Answers]:
    """Return a function of features, a number of draws and a seed, which answers by a head.

    It reads the head's variables at each call. A draw of a seed is the one that the whole network
    has of it.

    Args:
      head: The head.
    """
    architecture = head.architecture

    @functools.partial(
        tf.function,
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, architecture.pooled_size], tf.float32),
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([], tf.int64),
        ],
    )
    def averaged(
        features: tf.Tensor, num_draws: tf.Tensor, seed: tf.Tensor
    ) -> tuple[Decomposition, tf.Tensor]:
        shared = head.run(features, stop="shared")

        def add(index: tf.Tensor, moments: decomposition.Moments) -> tuple[Any, ...]:
            draw = head.draw(seed, index)
            logits = head.run(shared, start="shared", draw=draw)
            return index + 1, decomposition.add(moments, probabilities(logits, architecture.task))

        first = decomposition.start([tf.shape(features)[0], architecture.labels])
        _, moments = tf.while_loop(
            lambda index, _: index <= num_draws, add, (tf.constant(1, tf.int64), first)
        )
        embeddings = head.run(features, stop="embedding")
        return decomposition.finish(moments, architecture.task), embeddings

    def answers(features: npt.ArrayLike, num_draws: int, seed: int) -> Answers:
        count = len(architecture.draw_indices(num_draws))
        found, embeddings = averaged(np.asarray(features, np.float32), count, seed)
        values = Decomposition(*(value.numpy() for value in found))
        return Answers(values, embeddings.numpy(), architecture.task, count)

    return answers
