"""Bayesian layers: mean-field normal posteriors over kernels, trained by Flipout.

The context of `vipann_tf.models.randomness` has the random numbers and selects the mode:

* training: the Flipout estimator of Wen et al., "Flipout" (arXiv 1803.04386), equation 4,
  y = x * mu + ((x . r) * (sigma . eps)) . s, where * is the convolution or matrix product, and r
  and s are random signs;
* draw: y = x * (mu + sigma . eps), the same network for every example;
* mean: y = x * mu.

Posterior, prior, divergence and the choice of the mode are in `vipann_tf.models.posterior`.
"""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from vipann_tf.models.architecture import Signs
from vipann_tf.models.convolution import convolve
from vipann_tf.models.flipout_convolution import flipout_convolution
from vipann_tf.models.mean_field import Prior
from vipann_tf.models.posterior import KernelPosterior
from vipann_tf.models.posterior_variables import INITIAL_STDDEV, BiasKind, InitialStddev
from vipann_tf.models.randomness import Draw, TrainingNoise, per_example, rademacher


@tf_keras.utils.register_keras_serializable("vipann_tf")
class FlipoutConv2D(KernelPosterior, tfp.layers.Convolution2DFlipout):
    """Convolution with an independent normal posterior over each kernel weight.

    It extends TFP's layer to keep its type and interface: `isinstance` works, `kernel_posterior`
    and `kernel_prior` are TFP distributions, the KL is in `losses`, and `filters`, `kernel_size`
    and `compute_output_shape` are TFP's. It replaces `build`, `call` and the config, because TFP's
    layer draws stateful random numbers, fails under a mixed-precision policy, adds the divergence
    in each call and stores lambdas. Outside training it is the posterior mean or, in a `randomness`
    context, a draw; TFP's layer is random in every call. Padding and bias have other defaults.

    Args:
      filters: Number of output channels.
      kernel_size: One int, or (time, frequency).
      strides, dilation_rate: One int, or (time, frequency).
      padding: `same` or `valid`.
      activation: Function of the outputs, or its name in Keras.
      use_bias: Whether to add a bias.
      bias_kind: Of a bias, if any: `deterministic` is a trained number per channel; `normal` has a
        posterior and prior like the kernel's, and one value for all examples of a draw or step.
      signs: `channel` draws one sign per example and channel, as in the Flipout paper;
        `activation` draws one per example, pixel and channel, as in the training of the published
        VI-PANN weights. With `activation`, a draw fixes the perturbation and signs for all clips.
      prior: `normal` is N(0, prior_stddev^2); `set_prior_to_posterior` sets `pretrained`;
        `empirical` is N(0, s^2) with the s that fits the layer's posterior best.
      prior_stddev: Standard deviation of the prior.
      initial_stddev: Standard deviation of the initial posterior; `auto` is a tenth of the standard
        deviation of the initial mean, so that it fits networks of any width.
      kl_weight: Factor of the KL in `losses`: 1 / N for a loss that is a mean over examples, with N
        training examples. TFP's `kernel_divergence_fn` has this place. A variable, which must not
        be trainable, can change during training; a config has its value. `VIPANN.fit` has an
        objective of its own, and does not read `losses`.
      seed: Seed of the initial mean (Glorot uniform); `None` derives it from the layer's name.
      name, trainable, dtype: As in every Keras layer. Other arguments of the parent are refused,
        since `call` would ignore them.

    Call arguments:
      inputs: [batch, time, frequency, channels].
      training: Without a `randomness` context, whether to use fresh training noise.

    Input shape: [batch, time, frequency, channels].

    Output shape: [batch, time, frequency, filters], the middle axes as strides and padding say.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        *,
        strides: int | tuple[int, int] = 1,
        padding: str = "same",
        dilation_rate: int | tuple[int, int] = 1,
        activation: Any = None,
        use_bias: bool = False,
        bias_kind: BiasKind = "deterministic",
        signs: Signs = "channel",
        prior: Prior = "normal",
        prior_stddev: float = 1.0,
        initial_stddev: InitialStddev = INITIAL_STDDEV,
        kl_weight: float | tf.Variable = 1.0,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            dilation_rate=dilation_rate,
            activation=activation,
            name=name,
            trainable=trainable,
            dtype=dtype,
        )
        if signs not in ("channel", "activation"):
            raise ValueError(f"signs is {signs!r}; allowed are 'channel' and 'activation'")
        if self.padding not in ("same", "valid"):
            raise ValueError(f"padding is {padding!r}; allowed are 'same' and 'valid'")
        self.signs = signs
        # What `convolve` and `flipout_convolution` compute.
        steps = {*self.strides, *self.dilation_rate}
        self._is_dense = self.padding == "same" and steps == {1}
        self._configure(
            prior=prior,
            prior_stddev=prior_stddev,
            initial_stddev=initial_stddev,
            kl_weight=kl_weight,
            use_bias=use_bias,
            bias_kind=bias_kind,
            seed=seed,
        )

    def build(self, input_shape: Any) -> None:
        """Create the variables.

        Args:
          input_shape: Shape of the inputs; its last axis must be known.
        """
        channels = int(tf.TensorShape(input_shape)[-1])
        self._build_posterior((*self.kernel_size, channels, self.filters))
        self.input_spec = tf_keras.layers.InputSpec(ndim=4, axes={-1: channels})
        self.built = True

    def _apply(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        kernel = tf.cast(kernel, self.compute_dtype)
        if self._is_dense:
            return convolve(inputs, kernel)
        padding = self.padding.upper()
        return tf.nn.conv2d(inputs, kernel, self.strides, padding, dilations=self.dilation_rate)

    def _flipout(
        self, inputs: tf.Tensor, perturbation: tf.Tensor, context: TrainingNoise | Draw
    ) -> tf.Tensor:
        sign_in, sign_out = self._signs(inputs, context)
        if self.signs == "channel" and self._is_dense:
            return flipout_convolution(inputs, self.kernel_loc, perturbation, sign_in, sign_out)
        outputs = self._apply(inputs, self.kernel_loc)
        return outputs + self._apply(inputs * sign_in, perturbation) * sign_out

    def _signs(
        self, inputs: tf.Tensor, context: TrainingNoise | Draw
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return signs for the inputs and outputs of the perturbation, broadcastable to them."""
        outputs = self.compute_output_shape(inputs.shape)

        def signs(like: tf.TensorShape, which: str) -> tf.Tensor:
            seed = context.layer_seed(f"{self.name}/{which}")
            pixels = [1, 1] if self.signs == "channel" else self._pixels(inputs, which)
            shape = tf.stack([*pixels, like[-1]])
            if isinstance(context, TrainingNoise):
                drawn = per_example(
                    lambda s: rademacher(s, seed, self.compute_dtype), inputs, context, shape
                )
            else:
                drawn = rademacher(tf.concat([[1], shape], 0), seed, self.compute_dtype)
            # The static shape is lost, since the shape is a tensor.
            if self.signs == "channel":
                drawn.set_shape([None, 1, 1, like[-1]])
            else:
                drawn.set_shape([None, *like[1:]])
            return drawn

        return signs(inputs.shape, "sign_in"), signs(outputs, "sign_out")

    def _pixels(self, inputs: tf.Tensor, which: str) -> list[tf.Tensor]:
        """Return time and frequency of the inputs or outputs, int32 scalars."""
        pixels: list[tf.Tensor] = tf.unstack(tf.shape(inputs)[1:3])
        if which == "sign_in" or self._is_dense:
            return pixels
        lost = [0, 0]
        if self.padding == "valid":
            reach = zip(self.kernel_size, self.dilation_rate, strict=True)
            lost = [(size - 1) * rate for size, rate in reach]
        each = zip(pixels, lost, self.strides, strict=True)
        return [-(-(size - gone) // stride) for size, gone, stride in each]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "signs": self.signs,
            **self._own_config(),
        }


@tf_keras.utils.register_keras_serializable("vipann_tf")
class FlipoutDense(KernelPosterior, tfp.layers.DenseFlipout):
    """Dense layer with an independent normal posterior over each kernel weight.

    `FlipoutConv2D` says why the layer extends TFP's, and how it differs.

    Args:
      units: Number of outputs.
      activation, use_bias, bias_kind, prior, prior_stddev, initial_stddev, kl_weight, seed: As in
        `FlipoutConv2D`, and so the others.
      name, trainable, dtype: As in every Keras layer.

    Call arguments:
      inputs: [batch, features].
      training: Without a `randomness` context, whether to use fresh training noise.

    Input shape: [batch, features].

    Output shape: [batch, units].
    """

    def __init__(
        self,
        units: int,
        *,
        activation: Any = None,
        use_bias: bool = True,
        bias_kind: BiasKind = "deterministic",
        prior: Prior = "normal",
        prior_stddev: float = 1.0,
        initial_stddev: InitialStddev = INITIAL_STDDEV,
        kl_weight: float | tf.Variable = 1.0,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(units, activation=activation, name=name, trainable=trainable, dtype=dtype)
        self._configure(
            prior=prior,
            prior_stddev=prior_stddev,
            initial_stddev=initial_stddev,
            kl_weight=kl_weight,
            use_bias=use_bias,
            bias_kind=bias_kind,
            seed=seed,
        )

    def build(self, input_shape: Any) -> None:
        """Create the variables.

        Args:
          input_shape: Shape of the inputs; its last axis must be known.
        """
        features = int(tf.TensorShape(input_shape)[-1])
        self._build_posterior((features, self.units))
        self.input_spec = tf_keras.layers.InputSpec(ndim=2, axes={-1: features})
        self.built = True

    def _apply(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return tf.linalg.matmul(inputs, tf.cast(kernel, self.compute_dtype))

    def _flipout(
        self, inputs: tf.Tensor, perturbation: tf.Tensor, context: TrainingNoise | Draw
    ) -> tf.Tensor:
        assert isinstance(context, TrainingNoise)  # a draw is a kernel
        features = self.kernel_loc.shape[0]
        seed = context.layer_seed(f"{self.name}/signs")
        signs = per_example(
            lambda shape: rademacher(shape, seed, self.compute_dtype),
            inputs,
            context,
            [features + self.units],
        )
        signs.set_shape([None, features + self.units])
        sign_in, sign_out = signs[:, :features], signs[:, features:]
        perturbed = self._apply(inputs * sign_in, perturbation) * sign_out
        return self._apply(inputs, self.kernel_loc) + perturbed

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"units": self.units, **self._own_config()}
