"""What the tests of the Bayesian layers are held against: closed forms in NumPy, and statistics."""

import numpy as np
import tensorflow as tf

from vipann_tf.models.randomness import randomness

# Of a statistic over its standard error, the largest of up to a few hundred: once in 10,000 seeds.
LARGEST_Z = 5.0


def convolve(inputs, kernel):
    """Convolution with stride 1 and SAME padding, float64 [batch, time, frequency, filters]."""
    height, width = kernel.shape[:2]
    pads = [(0, 0), ((height - 1) // 2, height // 2), ((width - 1) // 2, width // 2), (0, 0)]
    padded = np.pad(np.asarray(inputs, np.float64), pads)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    return np.einsum("btfchw,hwco->btfo", windows, kernel)


def linear(inputs, kernel):
    """What a layer without noise and bias computes: a convolution, or a product for a matrix."""
    inputs, kernel = np.asarray(inputs, np.float64), np.asarray(kernel, np.float64)
    return convolve(inputs, kernel) if kernel.ndim == 4 else inputs @ kernel


def sample(layer, inputs, context, count, seed=17):
    """Outputs float64 [count, batch, ...] of a layer in contexts (seed, 0) to (seed, count - 1)."""

    def one(index):
        with randomness(context(tf.constant(seed, tf.int64), index)):
            return layer(inputs)

    @tf.function(autograph=False)
    def all_of_them():
        indices = tf.range(count, dtype=tf.int64)
        return tf.map_fn(one, indices, fn_output_signature=layer.compute_dtype)

    return all_of_them().numpy().astype(np.float64)


def assert_mean(samples, expected, variance=None):
    """The mean over the first axis is the expected one within its standard error."""
    if variance is None:
        variance = samples.var(axis=0, ddof=1)
    z = (samples.mean(axis=0) - expected) / np.sqrt(variance / len(samples))
    assert np.abs(z).max() < LARGEST_Z, f"largest z {np.abs(z).max()}"


def assert_normal_variance(samples, expected):
    """The variance over the first axis, of normal samples, is the expected one within its error."""
    ratio = samples.var(axis=0, ddof=1) / expected
    z = (ratio - 1) / np.sqrt(2 / (len(samples) - 1))
    assert np.abs(z).max() < LARGEST_Z, f"variance is {ratio.min()} to {ratio.max()} of expected"


# With fixed seeds nothing here is flaky; 4 standard errors are what an honest generator keeps to.
SIGMAS = 4.0


def within_standard_errors(sample, expected):
    sample = np.asarray(sample, np.float64)
    error = sample.std(ddof=1) / np.sqrt(sample.size)
    assert abs(sample.mean() - expected) < SIGMAS * error, (sample.mean(), expected, error)
