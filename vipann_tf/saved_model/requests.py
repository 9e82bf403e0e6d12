"""Checks of requests in the graph: a bad request gets an InvalidArgument that says what is wrong.

TensorFlow Serving returns the text of an `Assert` op to the caller. Each check comes before the op
that would fail on the same request with a less clear message.
"""

import tensorflow as tf

from vipann_tf.audio.scale import FULL_SCALE_LIMIT, SCALE_FINDING, SCALE_FIX
from vipann_tf.models.ensemble_architecture import EnsembleArchitecture
from vipann_tf.saved_model.metadata import MAX_DRAWS, ModelInfo


def checked_waveform(waveform: tf.Tensor, *, least: int, exactly: int | None = None) -> tf.Tensor:
    """Return the waveforms [batch, samples] after checks of their shape and values.

    Args:
      waveform: float32; its shape is checked when the graph runs.
      least: Least number of samples.
      exactly: Number of samples of an export with one length.
    """
    # TensorFlow Serving does not compare a request's rank with the signature's, and a rank that is
    # known when tracing would remove the check.
    waveform = tf.compat.v1.placeholder_with_default(waveform, shape=None)
    shape = tf.shape(waveform)
    waveform = require(
        waveform,
        tf.equal(tf.size(shape), 2),
        "waveform must have two axes, [batch, samples]; its shape is",
        shape,
    )
    waveform.set_shape([None, None])
    waveform = require(
        waveform,
        tf.shape(waveform)[0] > 0,
        "waveform has no rows: the batch is empty; its shape is",
        shape,
    )
    length = tf.shape(waveform)[1]
    if exactly is None:
        waveform = require(
            waveform,
            length >= least,
            f"waveform is too short: send at least {least} samples; received",
            length,
        )
    else:
        waveform = require(
            waveform,
            tf.equal(length, exactly),
            f"this model takes waveforms of exactly {exactly} samples; received",
            length,
        )
        waveform.set_shape([None, exactly])
    bad = tf.math.count_nonzero(~tf.math.is_finite(waveform), dtype=tf.int32)
    waveform = require(
        waveform,
        tf.equal(bad, 0),
        "waveform holds NaN or infinite samples; number of them:",
        bad,
    )
    peak = tf.reduce_max(peaks_off_scale(waveform))
    return require(waveform, tf.equal(peak, 0), f"waveform: {SCALE_FINDING}", peak, SCALE_FIX)


def peaks_off_scale(waveforms: tf.Tensor) -> tf.Tensor:
    """Return the peak of each waveform that is not in units of full scale, and 0 for the others.

    The rule is that of `vipann_tf.audio.scale.check_scale`.

    Args:
      waveforms: float32 [batch, samples], finite.

    Returns:
      float32 [batch].
    """
    peaks = tf.reduce_max(tf.abs(waveforms), axis=1)
    fractions = tf.reduce_max(tf.abs(waveforms - tf.round(waveforms)), axis=1)
    off_scale = (peaks > FULL_SCALE_LIMIT) | ((peaks > 1) & tf.equal(fractions, 0))
    return tf.where(off_scale, peaks, tf.zeros_like(peaks))


def checked_samples(num_samples: tf.Tensor) -> tf.Tensor:
    """Return the number of draws asked for, an int32 scalar, after a check of its range."""
    return require(
        tf.reshape(num_samples, []),
        tf.logical_and(tf.reduce_all(num_samples >= 1), tf.reduce_all(num_samples <= MAX_DRAWS)),
        f"num_samples must be from 1 to {MAX_DRAWS}; received",
        num_samples,
    )


def checked_draws(num_samples: tf.Tensor, seed: tf.Tensor, info: ModelInfo) -> tf.Tensor:
    """Return the number of draws asked for, after a check that they have BatchNorm statistics."""
    return require(
        num_samples,
        tf.logical_and(num_samples <= info.num_draws, tf.equal(seed, info.seed)),
        f"this model has BatchNorm statistics of {info.num_draws} draws of seed {info.seed} alone; "
        "received",
        [num_samples, tf.cast(seed, tf.int32)],
    )


def checked_rounds(num_samples: tf.Tensor, network: EnsembleArchitecture) -> tf.Tensor:
    """Return the number of draws asked for, after a check that members count by their weights."""
    return require(
        num_samples,
        tf.equal(num_samples % network.round_size, 0),
        f"num_samples must be a multiple of {network.round_size}, the draws per round of this "
        "ensemble; received",
        num_samples,
    )


def require(
    value: tf.Tensor, holds: tf.Tensor, text: str, received: object, fix: str = ""
) -> tf.Tensor:
    """Return `value` after a check, which runs before anything that uses the result."""
    told = [text, received, fix] if fix else [text, received]
    check = tf.debugging.Assert(holds, told, summarize=8)
    with tf.control_dependencies([check]):
        return tf.identity(value)
