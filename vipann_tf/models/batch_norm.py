"""BatchNorm with exact statistics over replicas, which can be folded into a drawn kernel."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from vipann_tf.models.randomness import Draw, Moments, current_randomness


@tf_keras.utils.register_keras_serializable("vipann_tf")
class BatchNorm(tf_keras.layers.BatchNormalization):
    """Keras's layer with other arithmetic when it is `synchronized` or folded.

    Keras shares sums of x and of x^2 and computes the variance as E[x^2] - E[x]^2. That loses half
    the digits of float32 if the mean is far from 0, as it is for decibels. This layer shares the
    mean first, and then the squared distances from it, as on one device.

    With stored statistics, the layer is a factor and an offset per channel. If a `Draw` has the
    offset, the drawn kernel of the convolution before it contains the factor, and the layer only
    adds the offset.

    Args:
      after: Name of the convolution before it, if there is one.
      **kwargs: Arguments of `tf_keras.layers.BatchNormalization`, whose call arguments and shapes
        the layer has.
    """

    def __init__(self, *, after: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.after = after

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalise the inputs, or add the offset of the draw."""
        context = current_randomness()
        if isinstance(context, Draw):
            if self.name in context.offsets:
                offset = context.offsets[self.name]
                return tf.nn.bias_add(inputs, tf.cast(offset, inputs.dtype))
            if context.observed is not None:
                context.observed[self.name] = self._batch_moments(inputs)
                return self._normalised(inputs, context.observed[self.name])
            if self.name in context.statistics:
                return self._normalised(inputs, context.statistics[self.name])
        return super().call(inputs, training=training, mask=mask)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "after": self.after, "synchronized": self.synchronized}

    def folded(self, moments: Moments | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Return factor and offset of some statistics, float32 [channels].

        Args:
          moments: Mean and variance; by default the stored ones.
        """
        mean, variance = moments or (self.moving_mean, self.moving_variance)
        factor = self.gamma * tf.math.rsqrt(variance + self.epsilon)
        return factor, self.beta - mean * factor

    def _batch_moments(self, inputs: tf.Tensor) -> Moments:
        values = tf.cast(inputs, tf.float32)
        mean, variance = tf.nn.moments(values, list(range(values.shape.rank - 1)))
        return mean, variance

    def _normalised(self, inputs: tf.Tensor, moments: Moments) -> tf.Tensor:
        factor, offset = self.folded(moments)
        return tf.cast(tf.cast(inputs, tf.float32) * factor + offset, inputs.dtype)

    def _sync_calculate_mean_and_var(
        self,
        x: tf.Tensor,
        reduction_axes: Sequence[int],
        keep_dims: bool,
        mask: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        replica = tf.distribute.get_replica_context()
        replicas = replica.num_replicas_in_sync

        def mean_over_replicas(values: tf.Tensor) -> tf.Tensor:
            # Every replica has the same number of rows.
            mean = tf.reduce_mean(values, reduction_axes, keepdims=True)
            return replica.all_reduce(tf.distribute.ReduceOp.SUM, mean) / replicas

        mean = mean_over_replicas(x)
        variance = mean_over_replicas(tf.math.squared_difference(x, mean))
        if not keep_dims:
            mean, variance = (tf.squeeze(part, reduction_axes) for part in (mean, variance))
        return mean, variance
