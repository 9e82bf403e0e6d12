"""Log-mel spectrogram: the frontend that the published checkpoints were trained with.

    log_mel[t, m] = 10 log10(max(sum_k mel[k, m] |STFT[t, k]|^2, 1e-10))

Frontend and constants: PANNs (Kong et al., arXiv 1912.10211, section II-A and its published
checkpoints, which store the STFT kernels and the mel matrix). `tf.signal`'s own mel matrix follows
the HTK scale without normalisation and differs; the one here is Slaney's (Auditory Toolbox,
Technical Report 1998-010, Interval Research), with triangles of equal area.
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from vipann_tf.errors import UserError

__all__ = [
    "FFT_LENGTH",
    "HOP_SAMPLES",
    "MAX_HZ",
    "MEL_BANDS",
    "MIN_HZ",
    "MIN_SAMPLES",
    "POWER_FLOOR",
    "SAMPLE_RATE_HZ",
    "LogMel",
    "log_mel",
    "mel_matrix",
    "num_frames",
    "periodic_hann",
]

# PANNs' published settings (arXiv 1912.10211, section V-A; the checkpoints store the results).
SAMPLE_RATE_HZ = 32000
FFT_LENGTH = 1024  # also the window length
HOP_SAMPLES = 320  # 10 ms
MEL_BANDS = 64
MIN_HZ = 50.0
MAX_HZ = 14000.0
POWER_FLOOR = 1e-10  # -100 dB

# Centring reflects half a window on either side, without repeating the edge sample.
MIN_SAMPLES = FFT_LENGTH // 2 + 1

# Slaney's scale: linear up to 1 kHz, 3 mels per 200 Hz, then logarithmic, 27 mels per factor 6.4.
_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    logarithmic = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ_PER_MEL, logarithmic)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    logarithmic = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ_PER_MEL, logarithmic)


@functools.cache
def mel_matrix() -> np.ndarray:
    """Return triangular mel filters on Slaney's scale, normalised to equal areas.

    The corners are `MEL_BANDS + 2` frequencies equally spaced in mels from `MIN_HZ` to `MAX_HZ`;
    filter m rises from corner m to m + 1, falls to m + 2, and is scaled by 2 / (its width in Hz).

    Returns:
      Read-only float64 array `[FFT_LENGTH // 2 + 1, MEL_BANDS]`, power per bin to power per band.
    """
    bins_hz = np.arange(FFT_LENGTH // 2 + 1) * (SAMPLE_RATE_HZ / FFT_LENGTH)
    low_mel, high_mel = _hz_to_mel(np.array([MIN_HZ, MAX_HZ]))
    corners_hz = _mel_to_hz(np.linspace(low_mel, high_mel, MEL_BANDS + 2))
    low, centre, high = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    rising = (bins_hz[:, None] - low) / (centre - low)
    falling = (high - bins_hz[:, None]) / (high - centre)
    matrix = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))
    matrix.flags.writeable = False  # cached: shared by every caller
    return matrix


@functools.cache
def periodic_hann() -> np.ndarray:
    """Return the window `0.5 - 0.5 cos(2 pi n / FFT_LENGTH)`: read-only float64 `[FFT_LENGTH]`."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FFT_LENGTH) / FFT_LENGTH)
    window.flags.writeable = False
    return window


def num_frames(num_samples: int) -> int:
    """Return how many frames `log_mel` gives for a waveform of `num_samples` samples."""
    return num_samples // HOP_SAMPLES + 1


def log_mel(waveform: tf.Tensor) -> tf.Tensor:
    """Compute the log-mel spectrogram of waveforms, in decibels re full-scale power.

    It uses core TensorFlow ops only, in float32, and goes into a SavedModel unchanged. Frames, one
    FFT and real^2 + imag^2 was the fastest form in the benchmarks; the others were `tf.signal.stft`
    with `tf.abs`, an STFT by matrix product as the checkpoints store it, and squares through
    `tf.bitcast`.

    Args:
      waveform: `[batch, samples]`, float32 in [-1, 1] at `SAMPLE_RATE_HZ`; either axis may be
        unknown when traced; at least `MIN_SAMPLES` samples.

    Returns:
      `[batch, samples // HOP_SAMPLES + 1, MEL_BANDS]`, float32, dB, at least -100.

    Raises:
      UserError: The number of samples is known and less than `MIN_SAMPLES`.
      tf.errors.InvalidArgumentError: The same, found when the graph runs.
    """
    waveform = tf.convert_to_tensor(waveform, tf.float32)
    known_samples = waveform.shape[-1]
    if known_samples is not None and known_samples < MIN_SAMPLES:
        raise UserError(
            f"waveform has {known_samples} samples; the spectrogram needs at least {MIN_SAMPLES} "
            f"({MIN_SAMPLES / SAMPLE_RATE_HZ:.3f} s at {SAMPLE_RATE_HZ} Hz). Pad the clip to 1 s."
        )
    if known_samples is None:
        long_enough = tf.debugging.assert_greater_equal(
            tf.shape(waveform)[-1],
            MIN_SAMPLES,
            message=f"waveform is too short: the spectrogram needs {MIN_SAMPLES} samples or more",
        )
        with tf.control_dependencies([long_enough]):  # else the padding would fail first
            waveform = tf.identity(waveform)
    half = FFT_LENGTH // 2
    padded = tf.pad(waveform, [[0, 0], [half, half]], mode="REFLECT")
    frames = tf.signal.frame(padded, FFT_LENGTH, HOP_SAMPLES)  # [batch, frames, FFT_LENGTH]
    spectrum = tf.signal.rfft(frames * tf.constant(periodic_hann(), tf.float32))
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    mel_power = tf.tensordot(power, tf.constant(mel_matrix(), tf.float32), 1)
    decibels_per_neper = 10.0 / np.log(10.0)
    return decibels_per_neper * tf.math.log(tf.maximum(mel_power, POWER_FLOOR))


@tf_keras.saving.register_keras_serializable(package="vipann_tf")
class LogMel(tf_keras.layers.Layer):
    """`log_mel` as a layer without weights, in float32 under every global policy.

    In bfloat16 the decibels of weak bands would lose all precision, so the dtype is not an
    argument. Under a mixed policy the layers after this one cast its output themselves.

    Args:
      **kwargs: `name` and the other arguments of a Keras layer; a `dtype` is ignored.

    Call arguments:
      waveform: `[batch, samples]`, float32 in [-1, 1] at `SAMPLE_RATE_HZ`.

    Input shape:
      `[batch, samples]`, either may be unknown.

    Output shape:
      `[batch, samples // HOP_SAMPLES + 1, MEL_BANDS]`, float32, dB.

    >>> LogMel()(tf.zeros([2, 32000])).shape
    TensorShape([2, 101, 64])
    """

    def __init__(self, **kwargs: Any):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.input_spec = tf_keras.layers.InputSpec(ndim=2)

    def call(self, waveform: tf.Tensor) -> tf.Tensor:
        """Compute the log-mel spectrogram; see the class."""
        return log_mel(waveform)

    def compute_output_shape(self, input_shape: Any) -> tf.TensorShape:
        """Return `[batch, frames, MEL_BANDS]` for `[batch, samples]`."""
        batch, samples = tf.TensorShape(input_shape)
        return tf.TensorShape([batch, None if samples is None else num_frames(samples), MEL_BANDS])
