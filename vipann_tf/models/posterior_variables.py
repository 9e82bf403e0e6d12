"""The variables and settings of a Bayesian layer: posterior, prior, divergence and its weight."""

import math
import zlib
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy.typing as npt
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from vipann_tf.models.mean_field import MeanField, Prior, inverse_softplus

# softplus(-3): the published initial rho as a standard deviation.
INITIAL_STDDEV = math.log1p(math.exp(-3.0))

# The "auto" initial standard deviation, as a share of that of the initial mean.
AUTO_SHARE = 0.1

InitialStddev = float | Literal["auto"]
BiasKind = Literal["deterministic", "normal"]

# `call` casts the variables: sums and products of a posterior stay in float32.
_NEVER_CAST = {"dtype": tf.float32, "experimental_autocast": False}


class PosteriorVariables:
    """A mixin for Keras layers: a normal posterior and prior of a kernel and, if wanted, of a bias.

    The layer's `losses` have kl_weight * KL, computed when `losses` is read: once per step, however
    often the layer is called.
    """

    # Attributes of the Keras layer.
    name: str
    weights: list[tf.Variable]
    dtype_policy: Any
    trainable: bool
    add_weight: Callable[..., tf.Variable]
    add_loss: Callable[..., None]
    activation: Callable[[tf.Tensor], tf.Tensor]
    _track_trackable: Callable[..., Any]

    def _configure(
        self,
        *,
        prior: Prior,
        prior_stddev: float,
        initial_stddev: InitialStddev,
        kl_weight: float | tf.Variable,
        use_bias: bool,
        bias_kind: BiasKind,
        seed: int | None,
    ) -> None:
        for name, chosen, kinds in (
            ("prior", prior, get_args(Prior)),
            ("bias_kind", bias_kind, get_args(BiasKind)),
        ):
            if chosen not in kinds:
                allowed = ", ".join(map(repr, kinds))
                raise ValueError(f"{name} is {chosen!r}; allowed are {allowed}")
        for name, value in (("prior_stddev", prior_stddev), ("initial_stddev", initial_stddev)):
            if value != "auto" and not value > 0:
                raise ValueError(f"{name} is {value}; a standard deviation must be above 0")
        self.prior: Prior = prior
        self.prior_stddev = float(prior_stddev)
        self.initial_stddev: InitialStddev = (
            "auto" if initial_stddev == "auto" else float(initial_stddev)
        )
        self.use_bias = use_bias
        self.bias_kind: BiasKind = bias_kind
        self.bias: tf.Variable | None = None
        self._normal_bias: MeanField | None = None
        self.seed = seed
        self._set_kl_weight(kl_weight)

    def _set_kl_weight(self, kl_weight: float | tf.Variable) -> None:
        if isinstance(kl_weight, tf.Variable):
            if kl_weight.trainable or kl_weight.shape.rank != 0:
                raise ValueError(
                    f"kl_weight is a variable of shape {kl_weight.shape} with trainable="
                    f"{kl_weight.trainable}; it must be a scalar that training leaves alone: "
                    "tf.Variable(1.0, trainable=False)"
                )
            # Saved in checkpoints and SavedModels, but none of the layer's weights: several layers
            # may share it, and a layer made from a config has a number.
            self._track_trackable(kl_weight, "kl_weight")
        elif not 0 <= kl_weight < math.inf:
            raise ValueError(f"kl_weight is {kl_weight}; it must be finite and at least 0")
        # In a function, since Keras would make a weight of an attribute that is a variable.
        self._read_kl_weight: Callable[[], float | tf.Variable] = lambda: kl_weight

    @property
    def kl_weight(self) -> float | tf.Variable:
        """The factor of the KL in the layer's `losses`."""
        return self._read_kl_weight()

    def _build_posterior(self, shape: tuple[int, ...]) -> None:
        # Derived from the name, so that layers of one shape start with different weights.
        seed = zlib.crc32(self.name.encode()) if self.seed is None else self.seed
        mean = tf_keras.initializers.GlorotUniform(seed=seed % 2**31)
        stddev = self._start(shape)
        self._kernel = self._mean_field("kernel", shape, mean, stddev)
        # As attributes, the layer's checkpoints have them.
        self.kernel_loc, self.kernel_rho = self._kernel.loc, self._kernel.rho
        self.kernel_prior_loc = self._kernel.prior_loc
        self.kernel_prior_stddev = self._kernel.prior_stddev
        self.kernel_posterior = self._kernel.posterior_distribution()
        self.add_loss(lambda: tf.cast(self.kl_weight, tf.float32) * self.kl())
        if not self.use_bias:
            return
        if self.bias_kind == "normal":
            zeros = tf_keras.initializers.Zeros()
            self._normal_bias = self._mean_field("bias", shape[-1:], zeros, stddev)
            self.bias_loc, self.bias_rho = self._normal_bias.loc, self._normal_bias.rho
            self.bias_prior_loc = self._normal_bias.prior_loc
            self.bias_prior_stddev = self._normal_bias.prior_stddev
        else:
            self.bias = self.add_weight(
                name="bias", shape=shape[-1:], initializer="zeros", **_NEVER_CAST
            )

    def _mean_field(self, what: str, shape: tuple[int, ...], mean: Any, stddev: float) -> MeanField:
        """Create the variables of a kernel or bias, with initializers of mean and stddev."""
        constant = tf_keras.initializers.Constant
        loc = self.add_weight(name=f"{what}_loc", shape=shape, initializer=mean, **_NEVER_CAST)
        rho = self.add_weight(
            name=f"{what}_rho",
            shape=shape,
            initializer=constant(inverse_softplus(stddev)),
            **_NEVER_CAST,
        )
        if self.prior != "pretrained":
            return MeanField(loc, rho, self.prior, 0.0, self.prior_stddev)
        fixed = {"shape": shape, "trainable": False, **_NEVER_CAST}
        prior_loc = self.add_weight(name=f"{what}_prior_loc", initializer="zeros", **fixed)
        prior_stddev = self.add_weight(
            name=f"{what}_prior_stddev", initializer=constant(self.prior_stddev), **fixed
        )
        return MeanField(loc, rho, self.prior, prior_loc, prior_stddev)

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
        return self._kernel.prior_distribution()

    @property
    def bias_posterior(self) -> tfp.distributions.Distribution | None:
        """The posterior of the bias: `Normal`, or `Deterministic`; `None` without a bias."""
        if self._normal_bias is not None:
            return self._normal_bias.posterior_distribution()
        return None if self.bias is None else tfp.distributions.Deterministic(self.bias)

    @property
    def bias_prior(self) -> tfp.distributions.Normal | None:
        """The prior of the bias; `None` unless its kind is `normal`."""
        return None if self._normal_bias is None else self._normal_bias.prior_distribution()

    def _random(self) -> list[MeanField]:
        return [part for part in (self._kernel, self._normal_bias) if part is not None]

    def stored_variables(self) -> list[tf.Variable]:
        """Return the layer's variables except those of its prior."""
        priors = [side for part in self._random() for side in (part.prior_loc, part.prior_stddev)]
        return [weight for weight in self.weights if not any(weight is side for side in priors)]

    def kernel_stddev(self) -> tf.Tensor:
        """Return the posterior standard deviation, softplus(rho), float32."""
        return self._kernel.stddev()

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
        for part in self._random():
            part.set_prior_to_posterior()

    @property
    def random_weights(self) -> int:
        """The number of weights that have a posterior."""
        return sum(part.count for part in self._random())

    def kl(self, stddev: tf.Tensor | None = None) -> tf.Tensor:
        """Return KL(posterior || prior) summed over the weights: float32 scalar, in nats.

        Args:
          stddev: Precomputed `kernel_stddev()`; computed if `None`.
        """
        kl = self._kernel.kl(self.kernel_stddev() if stddev is None else stddev)
        if self._normal_bias is not None:
            kl += self._normal_bias.kl(self._normal_bias.stddev())
        return kl

    def _own_config(self) -> dict[str, Any]:
        return {
            "activation": tf_keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_kind": self.bias_kind,
            "prior": self.prior,
            "prior_stddev": self.prior_stddev,
            "initial_stddev": self.initial_stddev,
            "kl_weight": float(self.kl_weight),
            "seed": self.seed,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PosteriorVariables":
        """Make a layer from what `get_config` returned."""
        return cls(**config)
