"""BatchNorm that replicas can share without losing digits, and that a drawn kernel can take over."""

import tensorflow as tf
import tf_keras

from vipann_tf.models.randomness import Draw, current_randomness


class BatchNorm(tf_keras.layers.BatchNormalization):
    """Keras's layer, with other arithmetic where it is `synchronized` or folded.

    Keras shares sums of x and of x^2 and computes the variance as E[x^2] - E[x]^2. Of decibels, whose
    mean is far from 0, that leaves half the digits of float32. Here the mean is shared first, and the
    squared distances from it second, as on one device.

    With its stored statistics the layer is a factor and an offset a channel. Where a `Draw` has its
    offset, the factor is in the drawn kernel of the convolution before it, and the offset is all there is
    to do.

    Args:
      after: Name of the convolution before it, if there is one.

    Other args, call arguments, shapes: Of `tf_keras.layers.BatchNormalization`.
    """

    def __init__(self, *, after: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.after = after

    def call(self, inputs, training=None, mask=None):
        context = current_randomness()
        if isinstance(context, Draw) and self.name in context.offsets:
            offset = context.offsets[self.name]
            return tf.nn.bias_add(inputs, tf.cast(offset, inputs.dtype))
        return super().call(inputs, training=training, mask=mask)

    def folded(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Factor and offset of the stored statistics, float32 [channels]."""
        factor = self.gamma * tf.math.rsqrt(self.moving_variance + self.epsilon)
        return factor, self.beta - self.moving_mean * factor

    def _sync_calculate_mean_and_var(self, x, reduction_axes, keep_dims, mask=None):
        replica = tf.distribute.get_replica_context()
        replicas = replica.num_replicas_in_sync

        def mean_over_replicas(values):
            # Every replica has as many rows.
            mean = tf.reduce_mean(values, reduction_axes, keepdims=True)
            return replica.all_reduce(tf.distribute.ReduceOp.SUM, mean) / replicas

        mean = mean_over_replicas(x)
        variance = mean_over_replicas(tf.math.squared_difference(x, mean))
        if not keep_dims:
            mean, variance = (tf.squeeze(part, reduction_axes) for part in (mean, variance))
        return mean, variance
