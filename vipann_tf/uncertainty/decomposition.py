"""Uncertainty of the data (aleatoric) and of the model (epistemic), streaming over draws.

A posterior draw t gives probabilities p_t; a bar is the mean over draws (Depeweg et al. 2018,
"Decomposition of Uncertainty in Bayesian Deep Learning", eq. 5; Houlsby et al. 2011, "Bayesian
Active Learning", eq. 2; for labels that are independent given the network, one Bernoulli each):

    total     = H(p_bar)          the entropy of the prediction
    aleatoric = mean_t H(p_t)     what remains if the network were known: the data's
    epistemic = total - aleatoric mutual information of label and network: the model's

with H the categorical entropy (multiclass) or the sum over labels of the binary entropies
(multilabel), in nats. `variance_parts` gives the variance form (law of total variance), per label:

    aleatoric = mean_t p_t (1 - p_t),  epistemic = Var_t p_t,  sum = p_bar (1 - p_bar)

`Moments` holds sums over draws only, so memory does not grow with the number of draws. It is a flat
tuple of tensors, which can be merged and can be a loop variable of `tf.while_loop`. Sums are
float64 (a float32 sum over a thousand draws loses the small epistemic part of a large entropy);
results are cast back. Everything is core TensorFlow, so it can be traced into a SavedModel; it also
takes NumPy arrays.

The epistemic part estimated from T draws has a relative bias of about -1/T, because p_bar is
estimated from the same draws.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
from numpy.typing import ArrayLike

from vipann_tf.uncertainty.arrays import check_task

__all__ = [
    "Decomposition",
    "Moments",
    "VarianceParts",
    "add",
    "decompose",
    "finish",
    "merge",
    "start",
    "variance_parts",
]


class Moments(NamedTuple):
    """Sums over draws, all float64; `[...]` is any number of leading axes, usually `[clips]`."""

    count: tf.Tensor  # []: draws so far
    probability: tf.Tensor  # [..., labels]: sum of p
    probability_squared: tf.Tensor  # [..., labels]: sum of p^2
    label_entropy: tf.Tensor  # [..., labels]: sum of the binary entropies h(p), nats
    entropy: tf.Tensor  # [...]: sum of the categorical entropies H(p), nats


class Decomposition(NamedTuple):
    """Mean probabilities and their uncertainty, in nats."""

    probabilities: tf.Tensor  # [..., labels], mean over draws
    label_total: tf.Tensor  # [..., labels], one label against the rest
    label_aleatoric: tf.Tensor  # [..., labels]
    label_epistemic: tf.Tensor  # [..., labels]
    total: tf.Tensor  # [...]
    aleatoric: tf.Tensor  # [...]
    epistemic: tf.Tensor  # [...]


class VarianceParts(NamedTuple):
    """The variance of each label's truth, in two parts."""

    label_aleatoric: tf.Tensor  # [..., labels], mean_t p (1 - p)
    label_epistemic: tf.Tensor  # [..., labels], Var_t p (divided by T, not T - 1)


def start(shape: Sequence[int] | tf.Tensor) -> Moments:
    """Return the moments of no draws.

    Args:
      shape: Shape of one draw's probabilities `[..., labels]`: a tuple or an int tensor such as
        `tf.shape(probs)`.

    Returns:
      Moments that are all zero.
    """
    zeros = tf.zeros(shape, tf.float64)
    return Moments(
        count=tf.zeros([], tf.float64),
        probability=zeros,
        probability_squared=zeros,
        label_entropy=zeros,
        entropy=tf.reduce_sum(zeros, axis=-1),
    )


def add(moments: Moments, probs: ArrayLike | tf.Tensor) -> Moments:
    """Return the moments with one more draw.

    Args:
      moments: Moments of the draws so far.
      probs: Probabilities of one draw, floating `[..., labels]`, in [0, 1]; 0 and 1 are allowed.

    Returns:
      Moments that include this draw, of the same shapes.
    """
    probs = tf.cast(probs, tf.float64)
    return Moments(
        count=moments.count + 1.0,
        probability=moments.probability + probs,
        probability_squared=moments.probability_squared + tf.square(probs),
        label_entropy=moments.label_entropy + _binary_entropy(probs),
        entropy=moments.entropy + _entropy(probs),
    )


def merge(first: Moments, second: Moments) -> Moments:
    """Return the moments of both sets of draws of the same clips."""
    return Moments(*(a + b for a, b in zip(first, second, strict=True)))


def finish(moments: Moments, task: str, dtype: tf.DType = tf.float32) -> Decomposition:
    """Return the mean probabilities and the decomposition of their uncertainty.

    The epistemic part is never negative, and exactly 0 for one draw.

    Args:
      moments: Moments of at least one draw.
      task: "multilabel" (a clip's uncertainty is the sum over labels of binary entropies) or
        "multiclass" (categorical entropies).
      dtype: Floating type of the results; give that of the probabilities.

    Returns:
      A `Decomposition`.

    Raises:
      UserError: If the task is unknown.
    """
    check_task(task)
    count = moments.count
    probs = moments.probability / count
    label_total = _binary_entropy(probs)
    label_aleatoric = moments.label_entropy / count
    label_epistemic = _difference(label_total, label_aleatoric, count)
    if task == "multilabel":
        total = tf.reduce_sum(label_total, axis=-1)
        aleatoric = tf.reduce_sum(label_aleatoric, axis=-1)
        epistemic = tf.reduce_sum(label_epistemic, axis=-1)
    else:
        total = _entropy(probs)
        aleatoric = moments.entropy / count
        epistemic = _difference(total, aleatoric, count)
    result = Decomposition(
        probabilities=probs,
        label_total=label_total,
        label_aleatoric=label_aleatoric,
        label_epistemic=label_epistemic,
        total=total,
        aleatoric=aleatoric,
        epistemic=epistemic,
    )
    return Decomposition(*(tf.cast(value, dtype) for value in result))


def variance_parts(moments: Moments, dtype: tf.DType = tf.float32) -> VarianceParts:
    """Return the decomposition of the variance of each label.

    Args:
      moments: Moments of at least one draw.
      dtype: Floating type of the results.

    Returns:
      `VarianceParts`, whose sum is p_bar (1 - p_bar).
    """
    probs = moments.probability / moments.count
    second_moment = moments.probability_squared / moments.count
    epistemic = _difference(second_moment, tf.square(probs), moments.count)
    return VarianceParts(tf.cast(probs - second_moment, dtype), tf.cast(epistemic, dtype))


def decompose(sample_probs: ArrayLike | tf.Tensor, task: str) -> Decomposition:
    """Return the decomposition of draws that are all in memory.

    Args:
      sample_probs: Probabilities of every draw, floating `[draws, ..., labels]`: the draws first.
      task: "multilabel" or "multiclass".

    Returns:
      A `Decomposition` in the dtype of `sample_probs`.

    Raises:
      UserError: If the task is unknown.

    Example: two draws are certain of opposite answers, so all uncertainty is the model's:

    >>> result = decompose([[[1.0, 0.0]], [[0.0, 1.0]]], "multiclass")
    >>> [round(float(value[0]), 4) for value in (result.total, result.aleatoric, result.epistemic)]
    [0.6931, 0.0, 0.6931]
    """
    check_task(task)
    samples = tf.convert_to_tensor(sample_probs)
    wide = tf.cast(samples, tf.float64)
    moments = Moments(
        count=tf.cast(tf.shape(samples)[0], tf.float64),
        probability=tf.reduce_sum(wide, axis=0),
        probability_squared=tf.reduce_sum(tf.square(wide), axis=0),
        label_entropy=tf.reduce_sum(_binary_entropy(wide), axis=0),
        entropy=tf.reduce_sum(_entropy(wide), axis=0),
    )
    return finish(moments, task, samples.dtype)


def _binary_entropy(probs: tf.Tensor) -> tf.Tensor:
    """h(p) = -p log p - (1 - p) log(1 - p) in nats; 0 at p = 0 and p = 1."""
    return 0.0 - tf.math.xlogy(probs, probs) - tf.math.xlog1py(1.0 - probs, -probs)


def _entropy(probs: tf.Tensor) -> tf.Tensor:
    """H(p) = -sum_c p_c log p_c over the last axis, in nats; 0 for a certain label."""
    return 0.0 - tf.reduce_sum(tf.math.xlogy(probs, probs), axis=-1)


def _difference(larger: tf.Tensor, smaller: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Return larger - smaller, at least 0.

    It is exactly 0 for one draw, where compilers may round the two equal terms differently.
    """
    return tf.where(count > 1.0, tf.maximum(larger - smaller, 0.0), tf.zeros_like(larger))
