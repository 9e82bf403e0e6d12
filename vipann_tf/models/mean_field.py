"""Independent normal posteriors and priors of an array of weights, and their KL divergence."""

import dataclasses
import math
from typing import Literal

import tensorflow as tf
import tensorflow_probability as tfp

Prior = Literal["normal", "pretrained", "empirical"]


@dataclasses.dataclass(frozen=True)
class MeanField:
    """The posterior N(loc, softplus(rho)^2) and the prior of each weight of an array.

    Attributes:
      loc: float32 variable, the posterior mean.
      rho: float32 variable; the posterior standard deviation is softplus(rho).
      prior: As in `FlipoutConv2D`.
      prior_loc: Mean of the prior: a number, or a variable for `pretrained`.
      prior_stddev: Its standard deviation, unless the prior is `empirical`.
    """

    loc: tf.Variable
    rho: tf.Variable
    prior: Prior
    prior_loc: float | tf.Variable
    prior_stddev: float | tf.Variable

    @property
    def count(self) -> int:
        """The number of weights."""
        return int(self.loc.shape.num_elements())

    def stddev(self) -> tf.Tensor:
        """Return the posterior standard deviation, float32."""
        return tf.nn.softplus(self.rho)

    def stddev_of_prior(self, stddev: tf.Tensor) -> tf.Tensor:
        """Return the standard deviation of the prior for that of the posterior.

        For an `empirical` prior N(0, s^2), s^2 = mean(m^2 + stddev^2) minimises the divergence
        (empirical Bayes; MacKay 1995). The derivative with respect to s is 0 at that minimum, so
        the gradient stops there.

        Args:
          stddev: Standard deviation of the posterior, float32.
        """
        if self.prior != "empirical":
            return tf.convert_to_tensor(self.prior_stddev)
        second_moment = tf.reduce_mean(tf.square(self.loc) + tf.square(stddev))
        return tf.stop_gradient(tf.sqrt(second_moment))

    def kl(self, stddev: tf.Tensor) -> tf.Tensor:
        """Return KL(posterior || prior) summed over the weights: float32 scalar, in nats.

        The closed form for two normal distributions is
        log(s0 / s) + (s^2 + (m - m0)^2) / (2 s0^2) - 1/2.

        Args:
          stddev: `stddev()`, which the noise of a step may have computed already.
        """
        prior_stddev = self.stddev_of_prior(stddev)
        scaled_shift = (self.loc - self.prior_loc) / prior_stddev
        ratio = stddev / prior_stddev
        return tf.reduce_sum(
            0.5 * (tf.square(ratio) + tf.square(scaled_shift) - 1.0) - tf.math.log(ratio)
        )

    def set_prior_to_posterior(self) -> None:
        """Make the current posterior the prior, which must be `pretrained`."""
        loc, stddev = self.prior_loc, self.prior_stddev
        assert not isinstance(loc, float) and not isinstance(stddev, float)
        loc.assign(self.loc)
        stddev.assign(self.stddev())

    def posterior_distribution(self) -> tfp.distributions.Normal:
        """Return the posterior, which follows the variables."""
        return tfp.distributions.Normal(self.loc, tfp.util.DeferredTensor(self.rho, tf.nn.softplus))

    def prior_distribution(self) -> tfp.distributions.Normal:
        """Return the prior as it is now."""
        return tfp.distributions.Normal(self.prior_loc, self.stddev_of_prior(self.stddev()))


def inverse_softplus(stddev: float | tf.Tensor) -> float | tf.Tensor:
    """Return rho such that softplus(rho) is `stddev` (above 0): stddev + log(1 - exp(-stddev)).

    Args:
      stddev: Python float (returns a float) or float32 tensor.
    """
    if isinstance(stddev, float):
        return stddev + math.log(-math.expm1(-stddev))
    return stddev + tf.math.log(-tf.math.expm1(-stddev))
