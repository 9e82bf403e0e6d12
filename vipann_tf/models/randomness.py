"""Which random numbers the layers use: stated once, around a call, instead of drawn by each layer.

Bayesian layers are in one of three modes, which the surrounding context sets:

* `TrainingNoise(seed, step)`: noise for the estimate of a gradient, different for every example;
* `Draw(seed, index)`: one network of the posterior, the same for every example of every batch;
* no context: the posterior mean.

All numbers are stateless functions of the context and the layer's name. A step or a draw can thus be
repeated anywhere: after a restart, in another process, in an exported SavedModel.
"""

import contextlib
import contextvars
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import tensorflow as tf


@dataclass(frozen=True)
class TrainingNoise:
    """Noise of one training step.

    Attributes:
      seed: int64 scalar, the run's seed.
      step: int64 scalar, the optimizer step.
      example_offset: int32 scalar, position of this replica's first example in the global batch,
        so that replicas together draw what one device would draw.
      stddevs: Posterior standard deviations of kernels, by layer name, where they have been computed
        already; the KL needs them too.
    """

    seed: tf.Tensor
    step: tf.Tensor
    example_offset: tf.Tensor | int = 0
    stddevs: Mapping[str, tf.Tensor] = field(default_factory=dict)

    def layer_seed(self, name: str) -> tf.Tensor:
        return _fold(self.seed, self.step, name)


@dataclass(frozen=True)
class Draw:
    """One network out of the posterior.

    Attributes:
      seed: int64 scalar.
      index: int64 scalar, number of the draw.
      kernels: Kernels already sampled for this draw, by layer name; a layer that is not in it
        samples its kernel when it is called.
      offsets: Of the BatchNorm layers whose factors are in `kernels`, by layer name: float32 [channels].
    """

    seed: tf.Tensor
    index: tf.Tensor
    kernels: Mapping[str, tf.Tensor] = field(default_factory=dict)
    offsets: Mapping[str, tf.Tensor] = field(default_factory=dict)

    def layer_seed(self, name: str) -> tf.Tensor:
        return _fold(self.seed, self.index, name)


# Of tf.random.Algorithm, as the operations take it.
_PHILOX = tf.random.Algorithm.PHILOX.value

Randomness = TrainingNoise | Draw | None

_current: contextvars.ContextVar[Randomness] = contextvars.ContextVar("randomness", default=None)


@contextlib.contextmanager
def randomness(context: Randomness) -> Iterator[None]:
    """Sets what the layers called inside the `with` block use; `None` is the posterior mean."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def current_randomness(training: bool | None = None) -> Randomness:
    """The context in force; a layer called with `training=True` outside any gets fresh noise."""
    context = _current.get()
    if context is None and training:
        fresh = tf.random.uniform([2], maxval=tf.int64.max, dtype=tf.int64)
        return TrainingNoise(fresh[0], fresh[1])
    return context


def rademacher(shape, seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Random signs -1 and +1, each with probability one half.

    Args:
      shape: Shape of the result.
      seed: int64 [2].
      dtype: Floating dtype of the result.
    """
    bits = _philox(tf.raw_ops.StatelessRandomUniformFullIntV2, shape, seed, tf.int32)
    # An arithmetic shift leaves the sign bit: 0 or -1.
    return tf.cast(2 * tf.bitwise.right_shift(bits, 31) + 1, dtype)


def normal(shape, seed: tf.Tensor) -> tf.Tensor:
    """Standard normal float32 numbers; lower precisions cast them, so that a draw is one draw."""
    return _philox(tf.raw_ops.StatelessRandomNormalV2, shape, seed, tf.float32)


def uniform(shape, seed: tf.Tensor) -> tf.Tensor:
    """Uniform float32 numbers in [0, 1)."""
    return _philox(tf.raw_ops.StatelessRandomUniformV2, shape, seed, tf.float32)


def per_example(sample, inputs: tf.Tensor, noise: TrainingNoise, shape) -> tf.Tensor:
    """Random numbers with one row an example, the rows being those of the global batch.

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
    """What `tf.random.fold_in` makes of (seed, index) and the name."""
    base = tf.stack([tf.cast(seed, tf.int64), tf.cast(index, tf.int64)])
    mixed = _philox(tf.raw_ops.StatelessRandomUniformFullIntV2, [], base, tf.int64)
    return tf.stack([mixed, tf.constant(zlib.crc32(name.encode()), tf.int64)])


def _philox(operation, shape, seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """What `tf.random.stateless_*` gives for alg="philox", by three operations.

    Those functions scramble the seed by some sixty operations in the graph. A Flipout network has
    four hundred such calls: they were two thirds of the graph of a training step, and of the time to
    trace and optimise it.
    """
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return operation(shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=dtype)
