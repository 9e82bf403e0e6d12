"""BatchNorm whose statistics replicas can share without losing digits."""

import tensorflow as tf
import tf_keras


class BatchNorm(tf_keras.layers.BatchNormalization):
    """Keras's layer, with other arithmetic where it is `synchronized`.

    Keras shares sums of x and of x^2 and computes the variance as E[x^2] - E[x]^2. Of decibels, whose
    mean is far from 0, that leaves half the digits of float32. Here the mean is shared first, and the
    squared distances from it second, as on one device.

    Args, call arguments, shapes: Of `tf_keras.layers.BatchNormalization`.
    """

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
