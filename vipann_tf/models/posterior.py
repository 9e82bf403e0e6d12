"""The normal posterior and prior of a kernel, and their KL divergence."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy.typing as npt
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from vipann_tf.models.architecture import Signs
from vipann_tf.models.randomness import Draw, TrainingNoise, current_randomness, normal

# softplus(-3): the published initial rho as a standard deviation.
INITIAL_STDDEV = math.log1p(math.exp(-3.0))

# The "auto" initial standard deviation, as a share of that of the initial mean.
AUTO_SHARE = 0.1

Prior = Literal["normal", "pretrained", "empirical"]
InitialStddev = float | Literal["auto"]


class KernelPosterior:
    """A mixin for the Bayesian dense and convolution layers of Keras.

    Posterior and prior are normal with a mean and a standard deviation per weight; the posterior's
    standard deviation is softplus(rho). The divergence is not added as a Keras loss in each call:
    `kl` returns it, once per step, in float32.

    A subclass defines how it applies a kernel (`_apply`) and how it perturbs the examples of a
    batch in training (`_flipout`).
    """

    # Attributes of the Keras layer.
    name: str
    trainable: bool
    compute_dtype: str
    dtype_policy: Any
    weights: list[tf.Variable]
    add_weight: Callable[..., tf.Variable]

    # Attributes that a subclass may have.
    signs: Signs = "channel"
    bias: tf.Variable | None = None

    def _apply(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Return the layer's outputs for a kernel, without the bias."""
        raise NotImplementedError

    def _flipout(
        self, inputs: tf.Tensor, perturbation: tf.Tensor, context: TrainingNoise | Draw
    ) -> tf.Tensor:
        """Return the outputs with random signs of the perturbation, without the bias."""
        raise NotImplementedError

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Compute in the mode that the `randomness` context selects; see the module `flipout`."""
        inputs = tf.cast(inputs, self.compute_dtype)
        context = current_randomness(training)
        if context is None:
            outputs = self._apply(inputs, self.kernel_loc)
        elif isinstance(context, TrainingNoise):
            outputs = self._flipout(inputs, self.training_perturbation(context), context)
        else:
            drawn = context.kernels.get(self.name)
            if drawn is None:
                # Wait for the inputs: else the kernels of all layers are in memory at once.
                with tf.control_dependencies([inputs]):
                    drawn = self.drawn_kernel(context)
            if self.signs == "channel":
                outputs = self._apply(inputs, drawn)
            else:
                outputs = self._flipout(inputs, drawn, context)
        return outputs if self.bias is None else outputs + tf.cast(self.bias, self.compute_dtype)

    def drawn_kernel(self, draw: Draw) -> tf.Tensor:
        """Return what `Draw.kernels` holds for this layer, float32.

        It is the kernel or, with signs per `activation`, its perturbation sigma . eps.
        """
        seed = draw.layer_seed(self.name)
        return (
            self.sample_kernel(seed) if self.signs == "channel" else self.kernel_perturbation(seed)
        )

    def _configure(
        self, prior: Prior, prior_stddev: float, initial_stddev: InitialStddev, seed: int | None
    ) -> None:
        if prior not in get_args(Prior):
            allowed = ", ".join(map(repr, get_args(Prior)))
            raise ValueError(f"prior is {prior!r}; allowed are {allowed}")
        for name, value in (("prior_stddev", prior_stddev), ("initial_stddev", initial_stddev)):
            if value != "auto" and not value > 0:
                raise ValueError(f"{name} is {value}; a standard deviation must be above 0")
        self.prior: Prior = prior
        self.prior_stddev = float(prior_stddev)
        self.initial_stddev: InitialStddev = (
            "auto" if initial_stddev == "auto" else float(initial_stddev)
        )
        self.seed = seed

    def _build_posterior(self, shape: tuple[int, ...]) -> None:
        # Derived from the name, so that layers of one shape start with different weights.
        seed = zlib.crc32(self.name.encode()) if self.seed is None else self.seed
        # `call` casts the variables: sums and products of a posterior stay in float32.
        weight: dict[str, Any] = {
            "shape": shape,
            "dtype": tf.float32,
            "experimental_autocast": False,
        }
        self.kernel_loc = self.add_weight(
            name="kernel_loc",
            initializer=tf_keras.initializers.GlorotUniform(seed=seed % 2**31),
            **weight,
        )
        self.kernel_rho = self.add_weight(
            name="kernel_rho",
            initializer=tf_keras.initializers.Constant(inverse_softplus(self._start(shape))),
            **weight,
        )
        if self.prior == "pretrained":
            self.kernel_prior_loc = self.add_weight(
                name="kernel_prior_loc", initializer="zeros", trainable=False, **weight
            )
            self.kernel_prior_stddev = self.add_weight(
                name="kernel_prior_stddev",
                initializer=tf_keras.initializers.Constant(self.prior_stddev),
                trainable=False,
                **weight,
            )
        else:
            self.kernel_prior_loc = 0.0
            self.kernel_prior_stddev = self.prior_stddev
        self.kernel_posterior = tfp.distributions.Normal(
            self.kernel_loc, tfp.util.DeferredTensor(self.kernel_rho, tf.nn.softplus)
        )

    def _start(self, shape: tuple[int, ...]) -> float:
        """Return the initial standard deviation of a kernel of this shape."""
        if self.initial_stddev != "auto":
            return self.initial_stddev
        *window, inputs, outputs = shape
        # The standard deviation of the Glorot initializer of the mean.
        return AUTO_SHARE * math.sqrt(2 / (math.prod(window) * (inputs + outputs)))

    @property
    def kernel_prior(self) -> tfp.distributions.Normal:
        """The prior of the kernel's weights."""
        stddev = self._prior_stddev(self.kernel_stddev())
        return tfp.distributions.Normal(self.kernel_prior_loc, stddev)

    def _prior_stddev(self, stddev: tf.Tensor) -> tf.Tensor:
        """Return the standard deviation of the prior for that of the posterior.

        For an `empirical` prior N(0, s^2), s^2 = mean(m^2 + stddev^2) minimises the divergence
        (empirical Bayes; MacKay 1995). The derivative with respect to s is 0 at that minimum, so
        the gradient stops there.
        """
        if self.prior != "empirical":
            return tf.convert_to_tensor(self.kernel_prior_stddev)
        second_moment = tf.reduce_mean(tf.square(self.kernel_loc) + tf.square(stddev))
        return tf.stop_gradient(tf.sqrt(second_moment))

    def stored_variables(self) -> list[tf.Variable]:
        """Return the layer's variables except those of its prior."""
        prior = (self.kernel_prior_loc, self.kernel_prior_stddev)
        return [weight for weight in self.weights if not any(weight is part for part in prior)]

    def kernel_stddev(self) -> tf.Tensor:
        """Return the posterior standard deviation, softplus(rho), float32."""
        return tf.nn.softplus(self.kernel_rho)

    def sample_kernel(self, seed: tf.Tensor) -> tf.Tensor:
        """Draw a kernel from the posterior, float32.

        Args:
          seed: int64 [2].
        """
        return self.kernel_loc + self.kernel_perturbation(seed)

    def kernel_perturbation(self, seed: tf.Tensor) -> tf.Tensor:
        """Draw sigma . eps, float32.

        Args:
          seed: int64 [2].
        """
        return self.kernel_stddev() * normal(self.kernel_loc.shape, seed)

    def training_perturbation(self, noise: TrainingNoise) -> tf.Tensor:
        """Draw sigma . eps for a training step, float32."""
        stddev = noise.stddevs.get(self.name)
        if stddev is None:
            stddev = self.kernel_stddev()
        return stddev * normal(self.kernel_loc.shape, noise.layer_seed(self.name))

    def set_posterior(self, loc: npt.ArrayLike, stddev: npt.ArrayLike) -> None:
        """Assign the posterior's mean and standard deviation (arrays of the kernel's shape)."""
        self.kernel_loc.assign(loc)
        self.kernel_rho.assign(inverse_softplus(tf.convert_to_tensor(stddev, tf.float32)))

    def set_prior_to_posterior(self) -> None:
        """Make the current posterior the prior.

        Raises:
          ValueError: The layer was not built with `prior="pretrained"`.
        """
        if self.prior != "pretrained":
            raise ValueError(
                f"layer {self.name} has prior {self.prior!r}; build it with prior='pretrained'"
            )
        self.kernel_prior_loc.assign(self.kernel_loc)
        self.kernel_prior_stddev.assign(self.kernel_stddev())

    def kl(self, stddev: tf.Tensor | None = None) -> tf.Tensor:
        """Return KL(posterior || prior) summed over the kernel's weights: float32 scalar, in nats.

        The closed form for two normal distributions is
        log(s0 / s) + (s^2 + (m - m0)^2) / (2 s0^2) - 1/2.

        Args:
          stddev: Precomputed `kernel_stddev()`; computed if `None`.
        """
        stddev = self.kernel_stddev() if stddev is None else stddev
        prior_stddev = self._prior_stddev(stddev)
        scaled_shift = (self.kernel_loc - self.kernel_prior_loc) / prior_stddev
        ratio = stddev / prior_stddev
        return tf.reduce_sum(
            0.5 * (tf.square(ratio) + tf.square(scaled_shift) - 1.0) - tf.math.log(ratio)
        )

    def _own_config(self) -> dict[str, Any]:
        return {
            "prior": self.prior,
            "prior_stddev": self.prior_stddev,
            "initial_stddev": self.initial_stddev,
            "seed": self.seed,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "KernelPosterior":
        """Make a layer from what `get_config` returned."""
        return cls(**config)


def sum_of_kl(
    layers: Sequence[KernelPosterior],
    reduction: str = "sum",
    stddevs: Mapping[str, tf.Tensor] | None = None,
) -> tf.Tensor:
    """Return the KL of the trainable layers: float32 scalar in nats, 0 if there are none.

    Args:
      layers: Flipout layers.
      reduction: `sum` or `mean` over the weights of a layer; layers are always summed.
      stddevs: Precomputed posterior standard deviations by layer name; others are computed.
    """
    stddevs = stddevs or {}
    terms = [
        layer.kl(stddevs.get(layer.name))
        / (layer.kernel_loc.shape.num_elements() if reduction == "mean" else 1)
        for layer in layers
        if layer.trainable
    ]
    return tf.add_n(terms) if terms else tf.zeros([])


def inverse_softplus(stddev: float | tf.Tensor) -> float | tf.Tensor:
    """Return rho such that softplus(rho) is `stddev` (above 0): stddev + log(1 - exp(-stddev)).

    Args:
      stddev: Python float (returns a float) or float32 tensor.
    """
    if isinstance(stddev, float):
        return stddev + math.log(-math.expm1(-stddev))
    return stddev + tf.math.log(-tf.math.expm1(-stddev))
