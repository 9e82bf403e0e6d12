"""The random numbers of the layers, chosen by a context around a call.

Bayesian layers are in one of three modes, which the surrounding context sets:

* `TrainingNoise(seed, step)`: noise for a gradient estimate, different for every example;
* `Draw(seed, index)`: one network of the posterior, the same for every example of every batch;
* no context: the posterior mean.

A compiled function keeps the mode that it was traced in. So while `randomness` is entered,
`tf.function`, and with it `Model.predict`, runs its Python code instead of a trace: slower, but in
the mode of the context. To be fast, pass the draw as an argument: enter the context inside the
function, with the seed and the index of the draw among its inputs. `VIPANN.sample` does so. Only a
`ConcreteFunction` keeps its mode, which is what it is made for.

All numbers are stateless functions of the context and the layer's name, so a step or a draw can be
repeated after a restart, in another process or in an exported SavedModel. Under XLA
(`jit_compile=True`) TensorFlow's random operations return different numbers: a draw is then
another network of the same posterior.
"""

import contextlib
import contextvars
import threading
import warnings
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
        so that the noise does not depend on the number of replicas.
      stddevs: Posterior standard deviations by layer name, computed once for the noise and the KL;
        a missing one is computed by its layer.
      batch: int32 scalar, this replica's number of examples; if `None`, layers ask their inputs.
    """

    seed: tf.Tensor
    step: tf.Tensor
    example_offset: tf.Tensor | int = 0
    stddevs: Mapping[str, tf.Tensor] = field(default_factory=dict)
    batch: tf.Tensor | None = None

    def layer_seed(self, name: str) -> tf.Tensor:
        """Return the key of a layer's random numbers, int64 [2]."""
        return _fold(self.seed, self.step, name)


# Mean and variance of a BatchNorm layer's inputs, float32 [channels].
Moments = tuple[tf.Tensor, tf.Tensor]


@dataclass(frozen=True)
class Draw:
    """One network of the posterior.

    Attributes:
      seed: int64 scalar.
      index: int64 scalar, the number of the draw.
      kernels: Sampled kernels by layer name; a layer without one samples it when it is called.
      offsets: Offsets, float32 [channels], of the BatchNorm layers whose factors are in `kernels`,
        by layer name.
      statistics: Statistics of this draw, by the name of the BatchNorm layer; a layer that is not
        in it uses its stored statistics.
      observed: Where not `None`, BatchNorm layers use the moments of the batch, and put them here.
    """

    seed: tf.Tensor
    index: tf.Tensor
    kernels: Mapping[str, tf.Tensor] = field(default_factory=dict)
    offsets: Mapping[str, tf.Tensor] = field(default_factory=dict)
    statistics: Mapping[str, Moments] = field(default_factory=dict)
    observed: dict[str, Moments] | None = None

    def layer_seed(self, name: str) -> tf.Tensor:
        """Return the key of a layer's random numbers, int64 [2]."""
        return _fold(self.seed, self.index, name)


# A shape for TensorFlow's operations: a list, a TensorShape or a tensor.
Shape = Any

# The value of tf.random.Algorithm that raw operations accept.
_PHILOX = tf.random.Algorithm.PHILOX.value

Randomness = TrainingNoise | Draw | None

_current: contextvars.ContextVar[Randomness] = contextvars.ContextVar("randomness", default=None)


@contextlib.contextmanager
def randomness(context: Randomness) -> Iterator[None]:
    """Set the mode of the layers called inside the `with` block; `None` is the posterior mean.

    Compiled functions that are called inside run eagerly; see above. A Keras model whose first
    `predict` is inside stays eager until it is compiled.
    """
    with _compiled_functions.eager(), randomness_of_layers(context):
        yield


@contextlib.contextmanager
def randomness_of_layers(context: Randomness) -> Iterator[None]:
    """Set the mode as `randomness` does, for code that calls layers and no compiled function."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


class _CompiledFunctions:
    """TensorFlow's switch that makes compiled functions run eagerly, which all threads share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo = contextlib.ExitStack()

    @contextlib.contextmanager
    def eager(self) -> Iterator[None]:
        """Have the switch on until the last user has left, then as it was."""
        with self._lock:
            if self._users == 0:
                before = tf.config.functions_run_eagerly()
                self._undo.callback(tf.config.run_functions_eagerly, before)
                tf.config.run_functions_eagerly(True)
                # It warns of functions of tf.data, which has no layers.
                self._undo.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", "Even though the `tf.config.experimental_run_fun")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._undo.close()


_compiled_functions = _CompiledFunctions()


def current_randomness(training: bool | None = None) -> Randomness:
    """Return the current context; without one, `training=True` returns fresh noise."""
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
    """Draw standard normal float32 numbers, the same ones for every precision."""
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
    """Draw random numbers with one row per example, independent of the number of replicas.

    Args:
      sample: Function of a shape whose first rows do not depend on the number of rows.
      inputs: The batch, [batch, ...].
      noise: Has the position of the batch in the global batch.
      shape: Shape of a row.

    Returns:
      Tensor [batch, *shape].
    """
    batch = tf.shape(inputs)[0] if noise.batch is None else noise.batch
    return sample(tf.concat([[noise.example_offset + batch], shape], 0))[noise.example_offset :]


def _fold(seed: tf.Tensor, index: tf.Tensor, name: str) -> tf.Tensor:
    """Return a key made from seed, index and name, as `tf.random.fold_in` makes it."""
    base = tf.stack([tf.cast(seed, tf.int64), tf.cast(index, tf.int64)])
    mixed = _philox(tf.raw_ops.StatelessRandomUniformFullIntV2, [], base, tf.int64)
    return tf.stack([mixed, tf.constant(zlib.crc32(name.encode()), tf.int64)])


def _philox(
    operation: Callable[..., tf.Tensor], shape: Shape, seed: tf.Tensor, dtype: tf.DType
) -> tf.Tensor:
    """Return what `tf.random.stateless_*` returns for alg="philox", by three operations.

    Those functions scramble the seed by about sixty operations. A Flipout network calls them four
    hundred times: that was two thirds of a training step's graph, and of the time to trace it.
    """
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return operation(shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=dtype)
