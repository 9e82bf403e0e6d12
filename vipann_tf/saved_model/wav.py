"""WAV files as requests, which the graph parses, mixes to mono and resamples.

A file that has no answer does not fail the others of its batch: it has an error in words.
"""

from collections.abc import Callable

import tensorflow as tf

from vipann_tf.audio.scale import SCALE_FINDING, SCALE_FIX
from vipann_tf.saved_model.metadata import MIN_SECONDS
from vipann_tf.saved_model.requests import peaks_off_scale, require
from vipann_tf.saved_model.resampling import RATE_STEP_HZ, RATES_HZ, TO_HZ, resample, resampled_size
from vipann_tf.saved_model.riff import first_error, read_layout, read_samples, words

# The level of a mix, relative to its channels, below which they cancel each other: -20 dB. It is
# -3 dB for channels that have nothing in common, and falls to this for inverted ones alone.
CANCELLED_POWER = 1e-2


def decode(
    contents: tf.Tensor, *, exactly: int | None = None, time_expansion: float = 1.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode a WAV file to the mean of its channels at 32 kHz.

    Args:
      contents: string scalar, a whole file of integers of 8 to 32 bits or of floats.
      exactly: Number of samples of an export with one length.
      time_expansion: How many times to slow recordings down.

    Returns:
      The waveform, float32 [samples], and an error, a string scalar. One of the two is empty.
    """
    nothing = tf.zeros([0])
    layout = read_layout(contents)
    rate_hz, allowed = _slowed_rate(layout.sample_rate_hz, time_expansion)
    step_hz, least_hz, most_hz = (time_expansion * hz for hz in (RATE_STEP_HZ, *RATES_HZ))
    error = first_error(
        (tf.equal(layout.error, ""), layout.error),
        (
            allowed,
            words(
                f"the WAV file's sample rate must be a multiple of {step_hz:.10g} Hz from "
                f"{least_hz:.10g} to {most_hz:.10g} Hz; it is",
                layout.sample_rate_hz,
            ),
        ),
        *_length_checks(layout.frames, rate_hz, exactly, time_expansion),
    )

    def read() -> tuple[tf.Tensor, tf.Tensor]:
        samples = read_samples(contents, layout)
        bad = tf.math.count_nonzero(~tf.math.is_finite(samples))
        peak = peaks_off_scale(tf.reshape(samples, [1, -1]))[0]
        mix = tf.reduce_mean(samples, axis=-1)
        power = tf.reduce_mean(tf.square(samples))
        error = first_error(
            (tf.equal(bad, 0), words("the WAV file holds NaN or infinite samples:", bad)),
            (tf.equal(peak, 0), words(SCALE_FINDING, peak, ";", SCALE_FIX)),
            (
                tf.reduce_mean(tf.square(mix)) >= CANCELLED_POWER * power,
                "the channels of the WAV file cancel each other (one is inverted); send one alone",
            ),
        )
        return tf.where(tf.equal(error, ""), mix, tf.zeros_like(mix)), error

    waveform, error = tf.cond(tf.equal(error, ""), read, lambda: (nothing, error))
    waveform = tf.cond(
        tf.equal(error, ""),
        lambda: resample(waveform, tf.cast(rate_hz, tf.int32)),
        lambda: nothing,
    )
    return waveform, error


def _slowed_rate(rate_hz: tf.Tensor, time_expansion: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the sample rate of a slowed recording, int64, and whether it is an allowed one."""
    slowed = tf.cast(rate_hz, tf.float64) / time_expansion
    whole = tf.cast(tf.round(slowed), tf.int64)
    least_hz, most_hz = RATES_HZ
    allowed = (
        (tf.abs(slowed - tf.round(slowed)) < 1e-6)
        & (whole >= least_hz)
        & (whole <= most_hz)
        & tf.equal(whole % RATE_STEP_HZ, 0)
    )
    return tf.where(allowed, whole, TO_HZ), allowed


def _length_checks(
    frames: tf.Tensor, rate_hz: tf.Tensor, exactly: int | None, time_expansion: float
) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Return the checks of a file's length; what is said is in seconds of the file."""
    slowed_s = tf.cast(frames, tf.float32) / tf.cast(rate_hz, tf.float32)
    seconds = slowed_s / time_expansion
    least_s = MIN_SECONDS / time_expansion
    checks = [
        (
            slowed_s >= MIN_SECONDS,
            words(
                f"the WAV file is too short: send at least {least_s:g} s; received seconds:",
                seconds,
            ),
        )
    ]
    if exactly is not None:
        exactly_s = exactly / TO_HZ / time_expansion
        text = f"this model takes sounds of exactly {exactly_s:g} s; received seconds:"
        checks.append((tf.equal(resampled_size(frames, rate_hz), exactly), words(text, seconds)))
    return checks


def answer_by_length(
    files: tf.Tensor,
    answer: Callable[[tf.Tensor], tf.Tensor],
    *,
    sample_rate_hz: int,
    exactly: int | None,
    time_expansion: float,
    shape: list[int | None],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Answer WAV files of any lengths, in one batch per length.

    Padding to a common length would change the answers.

    Args:
      files: string [batch].
      answer: Function of waveforms [rows, samples] that returns [draws, rows, labels].
      sample_rate_hz: Sample rate of the network.
      exactly: Number of samples of an export with one length.
      time_expansion: How many times to slow recordings down.
      shape: Static shape of an answer.

    Returns:
      The answers, float32 [draws, batch, labels], NaN for files that have none; and the errors,
      string [batch], empty for files that have an answer.
    """
    assert sample_rate_hz == TO_HZ, sample_rate_hz
    files = tf.compat.v1.placeholder_with_default(files, shape=None)
    files = require(
        files,
        tf.equal(tf.rank(files), 1),
        "wav must have one axis, [batch]; its shape is",
        tf.shape(files),
    )
    files = require(
        files, tf.size(files) > 0, "wav has no rows: the batch is empty; its size is", 0
    )
    files.set_shape([None])
    # Waveforms of different lengths are concatenated.
    count = tf.size(files)
    _, samples, ends, errors = tf.while_loop(
        lambda row, samples, ends, errors: row < count,
        lambda row, samples, ends, errors: _append(
            samples,
            ends,
            errors,
            row,
            *decode(files[row], exactly=exactly, time_expansion=time_expansion),
        ),
        (tf.constant(0), tf.zeros([0]), tf.zeros([1], tf.int32), tf.zeros([0], tf.string)),
        shape_invariants=(tf.TensorShape([]), *[tf.TensorShape([None])] * 3),
        parallel_iterations=1,
    )
    starts, lengths = ends[:-1], ends[1:] - ends[:-1]
    bad = tf.where(tf.not_equal(errors, ""))[:, 0]
    distinct, _ = tf.unique(tf.boolean_mask(lengths, tf.equal(errors, "")))

    def answer_group(
        group: tf.Tensor, answers: tf.Tensor, order: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        rows = tf.where(tf.equal(lengths, distinct[group]))[:, 0]
        steps = tf.range(distinct[group])
        waveforms = tf.gather(samples, tf.gather(starts, rows)[:, tf.newaxis] + steps)
        waveforms.set_shape([None, exactly])
        return group + 1, tf.concat([answers, answer(waveforms)], 1), tf.concat([order, rows], 0)

    draws, _, labels = shape
    _, answers, order = tf.while_loop(
        lambda group, answers, order: group < tf.size(distinct),
        answer_group,
        (tf.constant(0), tf.fill([draws, tf.size(bad), labels], float("nan")), bad),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape(shape), tf.TensorShape([None])),
        parallel_iterations=1,
    )
    return tf.gather(answers, tf.math.invert_permutation(order), axis=1), errors


def _append(
    samples: tf.Tensor,
    ends: tf.Tensor,
    errors: tf.Tensor,
    row: tf.Tensor,
    waveform: tf.Tensor,
    error: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Append a waveform to the concatenated ones, its end to their ends, its error to theirs."""
    samples = tf.concat([samples, waveform], 0)
    ends = tf.concat([ends, [tf.size(samples)]], 0)
    return row + 1, samples, ends, tf.concat([errors, [error]], 0)
