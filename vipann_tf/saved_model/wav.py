"""WAV files as requests, which the graph parses, mixes to mono and resamples."""

from collections.abc import Callable

import tensorflow as tf

from vipann_tf.saved_model.metadata import MIN_SECONDS
from vipann_tf.saved_model.requests import require
from vipann_tf.saved_model.resampling import RATES_HZ, TO_HZ, resample


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Decode a WAV file to float32 [samples] at 32 kHz, the mean of its channels.

    Args:
      contents: string scalar, a whole file of 16-bit PCM at one of `RATES_HZ`.
    """
    is_wav = tf.strings.regex_full_match(contents, r"RIFF\C{4}WAVE\C*")
    contents = require(
        contents,
        is_wav,
        "this is not a WAV file, which begins with RIFF, a size and WAVE; its length in bytes:",
        tf.strings.length(contents),
    )
    audio, sample_rate_hz = tf.audio.decode_wav(contents)  # [samples, channels]
    audio = require(
        audio,
        tf.reduce_any(tf.equal(sample_rate_hz, RATES_HZ)),
        f"the WAV file's sample rate must be one of {', '.join(map(str, RATES_HZ))} Hz; it is",
        sample_rate_hz,
    )
    seconds = tf.cast(tf.shape(audio)[0], tf.float32) / tf.cast(sample_rate_hz, tf.float32)
    audio = require(
        audio,
        seconds >= MIN_SECONDS,
        f"the WAV file is too short: send at least {MIN_SECONDS:g} s; received seconds:",
        seconds,
    )
    return resample(tf.reduce_mean(audio, axis=-1), sample_rate_hz)


def answer_by_length(
    files: tf.Tensor,
    answer: Callable[[tf.Tensor], tf.Tensor],
    *,
    sample_rate_hz: int,
    shape: list[int | None],
) -> tf.Tensor:
    """Answer WAV files of any lengths, in one batch per length.

    Padding to a common length would change the answers.

    Args:
      files: string [batch].
      answer: Function of waveforms [rows, samples] that returns [draws, rows, labels].
      sample_rate_hz: Sample rate of the network.
      shape: Static shape of an answer.

    Returns:
      [draws, batch, labels].
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
    _, samples, ends = tf.while_loop(
        lambda row, samples, ends: row < count,
        lambda row, samples, ends: _append(samples, ends, row, decode(files[row])),
        (tf.constant(0), tf.zeros([0]), tf.zeros([1], tf.int32)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None])),
        parallel_iterations=1,
    )
    starts, lengths = ends[:-1], ends[1:] - ends[:-1]
    distinct = tf.unique(lengths)

    def answer_group(
        group: tf.Tensor, answers: tf.Tensor, order: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        rows = tf.where(tf.equal(distinct.idx, group))[:, 0]
        steps = tf.range(distinct.y[group])
        waveforms = tf.gather(samples, tf.gather(starts, rows)[:, tf.newaxis] + steps)
        return group + 1, tf.concat([answers, answer(waveforms)], 1), tf.concat([order, rows], 0)

    draws, _, labels = shape
    _, answers, order = tf.while_loop(
        lambda group, answers, order: group < tf.size(distinct.y),
        answer_group,
        (tf.constant(0), tf.zeros([draws, 0, labels]), tf.zeros([0], tf.int64)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape(shape), tf.TensorShape([None])),
        parallel_iterations=1,
    )
    return tf.gather(answers, tf.math.invert_permutation(order), axis=1)


def _append(
    samples: tf.Tensor, ends: tf.Tensor, row: tf.Tensor, waveform: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Append a waveform to the concatenated ones, and its end to their ends."""
    samples = tf.concat([samples, waveform], 0)
    return row + 1, samples, tf.concat([ends, [tf.size(samples)]], 0)
