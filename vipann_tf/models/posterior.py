"""The modes of the Bayesian layers, and the sum of their KL divergences."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from vipann_tf.models.architecture import Signs
from vipann_tf.models.posterior_variables import PosteriorVariables
from vipann_tf.models.randomness import Draw, Randomness, TrainingNoise, current_randomness, normal


class KernelPosterior(PosteriorVariables):
    """A mixin for the Bayesian dense and convolution layers of Keras.

    Posterior and prior are normal with a mean and a standard deviation per weight; the posterior's
    standard deviation is softplus(rho).

    A subclass defines how it applies a kernel (`_apply`) and how it perturbs the examples of a
    batch in training (`_flipout`).
    """

    compute_dtype: str  # of the Keras layer

    # Attributes that a subclass may have.
    signs: Signs = "channel"

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
        bias = self._bias(context)
        if bias is not None:
            outputs = outputs + tf.cast(bias, self.compute_dtype)
        return self.activation(outputs)

    def _bias(self, context: Randomness) -> tf.Tensor | None:
        """Return the bias of a mode, which all examples of a batch share."""
        if self._normal_bias is None or context is None:
            return self.bias if self._normal_bias is None else self._normal_bias.loc
        noise = normal(self._normal_bias.loc.shape, context.layer_seed(f"{self.name}/bias"))
        return self._normal_bias.loc + self._normal_bias.stddev() * noise

    def drawn_kernel(self, draw: Draw) -> tf.Tensor:
        """Return what `Draw.kernels` holds for this layer, float32.

        It is the kernel or, with signs per `activation`, its perturbation sigma . eps.
        """
        seed = draw.layer_seed(self.name)
        return (
            self.sample_kernel(seed) if self.signs == "channel" else self.kernel_perturbation(seed)
        )

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
        layer.kl(stddevs.get(layer.name)) / (layer.random_weights if reduction == "mean" else 1)
        for layer in layers
        if layer.trainable
    ]
    return tf.add_n(terms) if terms else tf.zeros([])
