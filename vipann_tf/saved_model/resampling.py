"""Resampling in the graph by a polyphase windowed sinc, the filter of soxr's HQ setting.

Output sample n is at the time n / TO_HZ. With the input x at r Hz and the cutoff fc,

    y[n] = sum_k x[k] h(n / TO_HZ - k / r),
    h(t) = (2 fc / r) sinc(2 fc t) kaiser(t / half length).

20 ms are a whole number of samples at most rates (441 at 22.05 kHz), and 40 ms at the others (441
at 11.025 kHz), so all blocks of that length use the same filters: a block's output is its input,
with some overlap, times one matrix.
"""

import math

import tensorflow as tf

RATES_HZ = (1000, 384_000)  # the least and the greatest
RATE_STEP_HZ = 25  # they are multiples of it
TO_HZ = 32000

# soxr's HQ filters, fitted to its impulse responses by least squares (soxr 1.1): the cutoff as a
# share of the lower Nyquist frequency, half the length in samples of the lower rate, and Kaiser's
# beta. The second values are for multiples of 11025 Hz. The difference to soxr is below -70 dB for
# those, and below -135 dB for 16 and 48 kHz.
_CUTOFF = (0.956872, 0.95684)
_HALF_LENGTH = (97.2, 110.2)
_BETA = (13.04, 16.03)
_OTHER_FAMILY_HZ = 11025


def resample(waveform: tf.Tensor, sample_rate_hz: tf.Tensor) -> tf.Tensor:
    """Resample a waveform to 32 kHz.

    Args:
      waveform: float32 [samples].
      sample_rate_hz: int32 scalar, a multiple of `RATE_STEP_HZ` in the range `RATES_HZ`.

    Returns:
      float32 [round(samples * 32000 / sample_rate_hz)].
    """
    return tf.cond(
        tf.equal(sample_rate_hz, TO_HZ),
        lambda: waveform,
        lambda: _resample(waveform, sample_rate_hz),
    )


def resampled_size(samples: tf.Tensor, sample_rate_hz: tf.Tensor) -> tf.Tensor:
    """Return the number of samples at 32 kHz of so many at another rate; all int64 scalars."""
    return (2 * samples * TO_HZ + sample_rate_hz) // (2 * sample_rate_hz)


def _resample(waveform: tf.Tensor, sample_rate_hz: tf.Tensor) -> tf.Tensor:
    rate = tf.cast(sample_rate_hz, tf.float64)
    lower_hz = tf.minimum(rate, float(TO_HZ))
    other = tf.equal(sample_rate_hz % _OTHER_FAMILY_HZ, 0)
    cutoff, half_length, beta = (
        tf.where(other, tf.constant(pair[1], tf.float64), tf.constant(pair[0], tf.float64))
        for pair in (_CUTOFF, _HALF_LENGTH, _BETA)
    )
    half_s = half_length / lower_hz
    cutoff_hz = cutoff * lower_hz / 2
    half = tf.cast(tf.math.ceil(half_s * rate), tf.int32)  # input samples on either side
    per_s = tf.where(tf.equal(sample_rate_hz % (2 * RATE_STEP_HZ), 0), 2, 1) * RATE_STEP_HZ
    step = sample_rate_hz // per_s  # input samples per block
    block = TO_HZ // per_s  # output samples per block

    # Times are in units of 1 / (rate x block) seconds: an input sample takes `block` units and an
    # output sample `step` units, so the filter is needed only at whole units. It is 0 beyond half
    # its length, which the ends of the grid are.
    taps = 2 * half + step
    reach = (half + 1) * block
    grid = tf.cast(tf.range(-reach, reach + 1), tf.float64)  # units
    grid /= rate * tf.cast(block, tf.float64)  # seconds
    filters = tf.cast(_filter(grid, half_s, cutoff_hz, beta) / rate, tf.float32)
    tap = tf.range(taps)[:, tf.newaxis] - half
    places = tap * block - tf.range(block)[tf.newaxis] * step  # [taps, block]
    matrix = tf.gather(filters, tf.clip_by_value(places, -reach, reach) + reach)

    size = resampled_size(tf.size(waveform, tf.int64), tf.cast(sample_rate_hz, tf.int64))
    length = tf.cast(size, tf.int32)
    blocks = -(-length // block)
    padded = tf.pad(waveform, [[half, taps + step]])
    frames = tf.signal.frame(padded, taps, step)[:blocks]  # [blocks, taps]
    return tf.reshape(tf.matmul(frames, matrix), [-1])[:length]


def _filter(
    seconds: tf.Tensor, half_s: tf.Tensor, cutoff_hz: tf.Tensor, beta: tf.Tensor
) -> tf.Tensor:
    """Compute h(t) times the input rate, float64."""
    inside = tf.maximum(1 - tf.square(seconds / half_s), 0)
    window = tf.math.bessel_i0(beta * tf.sqrt(inside)) / tf.math.bessel_i0(beta)
    window = tf.where(tf.abs(seconds) <= half_s, window, tf.zeros_like(window))
    turns = 2 * math.pi * cutoff_hz * seconds
    safe = tf.where(tf.equal(turns, 0), tf.ones_like(turns), turns)
    sinc = tf.where(tf.equal(turns, 0), tf.ones_like(turns), tf.sin(safe) / safe)
    return 2 * cutoff_hz * sinc * window
