"""The normal posterior and prior of a kernel, and the divergence between them."""

import math
import zlib

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from vipann_tf.models.randomness import TrainingNoise, normal

# softplus(-3): the published initial rho as a standard deviation.
INITIAL_STDDEV = math.log1p(math.exp(-3.0))


class KernelPosterior:
    """What the dense and convolution layers share: a mixin for a Keras layer with a `kernel_loc`.

    Posterior and prior are normal with a mean and a standard deviation a weight; the posterior's is
    softplus(rho). The divergence is not added as a Keras loss in each call: `kl` gives it, once a
    step, in float32.
    """

    def _configure(self, prior: str, prior_stddev: float, initial_stddev: float, seed: int | None):
        if prior not in ("normal", "pretrained"):
            raise ValueError(f"prior is {prior!r}; allowed are 'normal' and 'pretrained'")
        for name, value in (("prior_stddev", prior_stddev), ("initial_stddev", initial_stddev)):
            if not value > 0:
                raise ValueError(f"{name} is {value}; a standard deviation must be above 0")
        self.prior = prior
        self.prior_stddev = float(prior_stddev)
        self.initial_stddev = float(initial_stddev)
        self.seed = seed

    def _build_posterior(self, shape: tuple[int, ...]) -> None:
        # Two layers of one shape must not start alike, so an absent seed comes from the name.
        seed = zlib.crc32(self.name.encode()) if self.seed is None else self.seed
        # Variables are cast by hand in `call`: sums and products of a posterior stay in float32.
        weight = {"shape": shape, "dtype": tf.float32, "experimental_autocast": False}
        self.kernel_loc = self.add_weight(
            name="kernel_loc",
            initializer=tf_keras.initializers.GlorotUniform(seed=seed % 2**31),
            **weight,
        )
        self.kernel_rho = self.add_weight(
            name="kernel_rho",
            initializer=tf_keras.initializers.Constant(inverse_softplus(self.initial_stddev)),
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

    def stored_variables(self) -> list[tf.Variable]:
        """Return the layer's variables without those of its prior."""
        prior = (self.kernel_prior_loc, self.kernel_prior_stddev)
        return [weight for weight in self.weights if not any(weight is part for part in prior)]

    def kernel_stddev(self) -> tf.Tensor:
        """The posterior standard deviation, softplus(rho), float32."""
        return tf.nn.softplus(self.kernel_rho)

    def sample_kernel(self, seed: tf.Tensor) -> tf.Tensor:
        """One kernel of the posterior, float32.

        Args:
          seed: int64 [2].
        """
        return self.kernel_loc + self.kernel_perturbation(seed)

    def kernel_perturbation(self, seed: tf.Tensor) -> tf.Tensor:
        """Sigma . eps of one draw, float32."""
        return self.kernel_stddev() * normal(self.kernel_loc.shape, seed)

    def training_perturbation(self, noise: TrainingNoise) -> tf.Tensor:
        """Sigma . eps of a training step, float32."""
        stddev = noise.stddevs.get(self.name)
        if stddev is None:
            stddev = self.kernel_stddev()
        return stddev * normal(self.kernel_loc.shape, noise.layer_seed(self.name))

    def set_posterior(self, loc, stddev) -> None:
        """Assigns the posterior's mean and standard deviation (arrays of the kernel's shape)."""
        self.kernel_loc.assign(loc)
        self.kernel_rho.assign(inverse_softplus(tf.convert_to_tensor(stddev, tf.float32)))

    def set_prior_to_posterior(self) -> None:
        """Makes the present posterior the prior; the layer must have `prior="pretrained"`."""
        if self.prior != "pretrained":
            raise ValueError(
                f"layer {self.name} has prior {self.prior!r}; build it with prior='pretrained'"
            )
        self.kernel_prior_loc.assign(self.kernel_loc)
        self.kernel_prior_stddev.assign(self.kernel_stddev())

    def kl(self, stddev: tf.Tensor | None = None) -> tf.Tensor:
        """KL(posterior || prior) summed over the kernel's weights: a float32 scalar, in nats.

        The closed form for two normal distributions:
        log(s0 / s) + (s^2 + (m - m0)^2) / (2 s0^2) - 1/2.

        Args:
          stddev: `kernel_stddev()`, where it is at hand.
        """
        stddev = self.kernel_stddev() if stddev is None else stddev
        prior_stddev = tf.convert_to_tensor(self.kernel_prior_stddev)
        scaled_shift = (self.kernel_loc - self.kernel_prior_loc) / prior_stddev
        ratio = stddev / prior_stddev
        return tf.reduce_sum(
            0.5 * (tf.square(ratio) + tf.square(scaled_shift) - 1.0) - tf.math.log(ratio)
        )

    def _own_config(self) -> dict:
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
    def from_config(cls, config: dict):
        return cls(**config)


def inverse_softplus(stddev):
    """Rho such that softplus(rho) is `stddev` (above 0): stddev + log(1 - exp(-stddev)).

    Args:
      stddev: Python float (gives a float) or float32 tensor.
    """
    if isinstance(stddev, float):
        return stddev + math.log(-math.expm1(-stddev))
    return stddev + tf.math.log(-tf.math.expm1(-stddev))
