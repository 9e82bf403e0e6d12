"""Which random numbers the layers use: stated once, around a call, instead of drawn by each layer.

Bayesian layers are in one of three modes, which the surrounding context sets:

* `TrainingNoise(seed, step)`: noise for the estimate of a gradient, different for every example;
* `Draw(seed, index)`: one network of the posterior, the same for every example of every batch;
* no context: the posterior mean.

All numbers are stateless functions of the context and the layer's name. A step or a draw can thus
be repeated anywhere: after a restart, in another process, in an exported SavedModel. Under XLA
(`jit_compile=True`) TensorFlow's random operations give other numbers: a draw is then another
network of the same posterior.
"""

import contextlib
import contextvars
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class TrainingNoise:
    """Noise of one training step.

    Attributes:
      seed: int64 scalar, the run's seed.
      step: int64 scalar, the optimizer step.
      example_offset: int32 scalar, position of this replica's first example in the global batch,
        so that replicas together draw what one device would draw.
      stddevs: Precomputed posterior standard deviations of kernels, by layer name, which the KL
        needs too; a layer that is not in it computes its own.
    """

    seed: tf.Tensor
    step: tf.Tensor
    example_offset: tf.Tensor | int = 0
    stddevs: Mapping[str, tf.Tensor] = field(default_factory=dict)

    def layer_seed(self, name: str) -> tf.Tensor:
        """Return the key of a layer's random numbers, int64 [2]."""
        return _fold(self.seed, self.step, name)


@dataclass(frozen=True)
class Draw:
    """One network out of the posterior.

    Attributes:
      seed: int64 scalar.
      index: int64 scalar, number of the draw.
      kernels: Kernels already sampled for this draw, by layer name; a layer that is not in it
        samples its kernel when it is called.
      offsets: Offsets, float32 [channels], of the BatchNorm layers whose factors are in `kernels`,
        by layer name.
    """

    seed: tf.Tensor
    index: tf.Tensor
    kernels: Mapping[str, tf.Tensor] = field(default_factory=dict)
    offsets: Mapping[str, tf.Tensor] = field(default_factory=dict)

    def layer_seed(self, name: str) -> tf.Tensor:
        """Return the key of a layer's random numbers, int64 [2]."""
        return _fold(self.seed, self.index, name)


# A shape as TensorFlow's operations take it: a list, a TensorShape or a tensor.
Shape = Any

# Of tf.random.Algorithm, as the operations take it.
_PHILOX = tf.random.Algorithm.PHILOX.value

Randomness = TrainingNoise | Draw | None

_current: contextvars.ContextVar[Randomness] = contextvars.ContextVar("randomness", default=None)


@contextlib.contextmanager
def randomness(context: Randomness) -> Iterator[None]:
    """Set what the layers called inside the `with` block use; `None` is the posterior mean."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def current_randomness(training: bool | None = None) -> Randomness:
    """Return the context in force; outside any, `training=True` gives fresh noise."""
    context = _current.get()
    if context is None and training:
        fresh = tf.random.uniform([2], maxval=tf.int64.max, dtype=tf.int64)
        return TrainingNoise(fresh[0], fresh[1])
    return context


def rademacher(shape: Shape, seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Draw signs -1 and +1, each with probability one half.

    Args:
      shape: Shape of the result.
      seed: int64 [2].
      dtype: Floating dtype of the result.
    """
    bits = _philox(tf.raw_ops.StatelessRandomUniformFullIntV2, shape, seed, tf.int32)
    # An arithmetic shift leaves the sign bit: 0 or -1.
    return tf.cast(2 * tf.bitwise.right_shift(bits, 31) + 1, dtype)


def normal(shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Draw standard normal float32 numbers; lower precisions cast them: a draw is one draw."""
    return _philox(tf.raw_ops.StatelessRandomNormalV2, shape, seed, tf.float32)


def uniform(shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Draw uniform float32 numbers in [0, 1)."""
    return _philox(tf.raw_ops.StatelessRandomUniformV2, shape, seed, tf.float32)


def per_example(
    sample: Callable[[tf.Tensor], tf.Tensor],
    inputs: tf.Tensor,
    noise: TrainingNoise,
    shape: Shape,
) -> tf.Tensor:
    """Draw random numbers with one row per example, the rows being those of the global batch.

    Args:
      sample: Function of a shape whose first rows do not depend on the number of rows.
      inputs: The batch, [batch, ...].
      noise: Says where the batch lies in the global batch.
      shape: Shape of a row.

    Returns:
      Tensor [batch, *shape].
    """
    batch = tf.shape(inputs)[0]
    return sample(tf.concat([[noise.example_offset + batch], shape], 0))[noise.example_offset :]


def _fold(seed: tf.Tensor, index: tf.Tensor, name: str) -> tf.Tensor:
    """Return what `tf.random.fold_in` makes of (seed, index) and the name."""
    base = tf.stack([tf.cast(seed, tf.int64), tf.cast(index, tf.int64)])
    mixed = _philox(tf.raw_ops.StatelessRandomUniformFullIntV2, [], base, tf.int64)
    return tf.stack([mixed, tf.constant(zlib.crc32(name.encode()), tf.int64)])


def _philox(
    operation: Callable[..., tf.Tensor], shape: Shape, seed: tf.Tensor, dtype: tf.DType
) -> tf.Tensor:
    """Return what `tf.random.stateless_*` does for alg="philox", by three operations.

    Those functions scramble the seed by some sixty operations in the graph. A Flipout network has
    four hundred such calls: they were two thirds of the graph of a training step, and of the time
    to
    trace and optimise it.
    """
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return operation(shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=dtype)
