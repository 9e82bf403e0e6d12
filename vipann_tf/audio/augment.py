"""Augmentation inside the training step: mixup, SpecAugment, random shift and random gain.

The functions depend on their arguments alone, the seed included: a training run that is resumed at
step s with the seed of step s sees the same numbers as one that was never interrupted. Every
function mixes its own name into the seed, so one seed per step serves them all.

Each example has one row of random numbers, which depends only on the seed and on the example's
position in the *global* batch. A replica that holds the examples from
`example_offset` on therefore draws what a single device would have drawn for them.
"""

import zlib

import numpy as np
import tensorflow as tf

from vipann_tf.errors import UserError

__all__ = ["SHIFT_FILLS", "mixup", "random_gain", "spec_augment", "time_shift"]

SHIFT_FILLS = ("wrap", "zeros")

# Philox by name: "auto" may choose another generator, and other numbers, on another device.
_GENERATOR = "philox"


def mixup(
    features: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    alpha: float = 1.0,
    *,
    example_offset: tf.Tensor | int = 0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix each example with its neighbour, features and labels by the same share.

        x_i' = lambda_i x_i + (1 - lambda_i) x_j,  lambda_i ~ Beta(alpha, alpha),  same for y

    (Zhang et al., arXiv 1710.09412, section 2; PANNs, arXiv 1912.10211, section IV-C, which mixes
    log-mels with alpha = 1). j is the other member of the pair of consecutive examples that i
    belongs to, (0, 1), (2, 3), ... of the global batch, so pairs stay inside a replica that holds
    an even number of examples and any even split gives the same result. Batches are shuffled:
    neighbours are as random as a permutation. An example whose pair lies outside this batch (odd
    sizes) is mixed with its other neighbour; a batch of one is returned as it is.

    Deviation from PANNs: it loads twice the batch and mixes each pair down to one example; here
    every example has its own share, and the batch keeps its size.

    Args:
      features: `[batch, ...]`, floating point, such as log-mels.
      labels: `[batch, labels]`, floating point, multi-hot or one-hot.
      seed: `[2]`, int32 or int64.
      alpha: Concentration of the Beta distribution, above 0; 1 is uniform.
      example_offset: Position in the global batch of this batch's first example, `[]` int32.

    Returns:
      Mixed features and mixed labels, shapes and dtypes as given.

    Raises:
      UserError: `alpha` is not above 0.
    """
    if not alpha > 0:
        raise UserError(
            f"mixup alpha is {alpha}; it must be above 0. To train without mixup, switch it off."
        )
    batch = tf.shape(features)[0]
    uniform = _rows(seed, "mixup", batch, 2, example_offset)
    share = _symmetric_beta(uniform[:, 0], uniform[:, 1], alpha)  # [batch]
    partner = _partner(batch, example_offset)

    def mix(values: tf.Tensor) -> tf.Tensor:
        # Always in float32: bfloat16 would round lambda differently for x and y.
        wide = tf.cast(values, tf.float32)
        weight = _per_example(share, wide)
        mixed = weight * wide + (1.0 - weight) * tf.gather(wide, partner)
        return tf.cast(mixed, values.dtype)

    return mix(tf.convert_to_tensor(features)), mix(tf.convert_to_tensor(labels))


def spec_augment(
    log_mel: tf.Tensor,
    seed: tf.Tensor,
    time_drop_width: int = 64,
    time_stripes: int = 2,
    freq_drop_width: int = 8,
    freq_stripes: int = 2,
    *,
    fill_value: tf.Tensor | float | None = None,
    example_offset: tf.Tensor | int = 0,
) -> tf.Tensor:
    """Mask random stripes of time and of frequency, different ones for each example.

    (Park et al., arXiv 1904.08779, section 2, without warping; widths and counts of PANNs, arXiv
    1912.10211.) A stripe's width is uniform on 0 ... drop width - 1, its start uniform over the
    places where it fits. It is filled with the clip's own mean of each band, as in
    the SpecAugment paper, whose 0 is the mean of normalised log-mels.

    Deviations from PANNs: it masks after its BatchNorm over the mel bands, with 0, which is near
    the mean there and very loud in decibels (`fill_value=0.0` does the same); the last frame and
    band can be masked; and the widths are bounded on short inputs so that all stripes together
    never mask more than half of an axis (with the defaults: below 256 frames, 2.6 s).

    Args:
      log_mel: `[batch, frames, bands]`, floating point.
      seed: `[2]`, int32 or int64.
      time_drop_width: Bound of a time stripe's width in frames, exclusive, at least 1.
      time_stripes: Number of time stripes, at least 0; they may overlap.
      freq_drop_width: Bound of a frequency stripe's width in bands, exclusive, at least 1.
      freq_stripes: Number of frequency stripes, at least 0.
      fill_value: What masked elements become, a number or a tensor broadcastable to `log_mel`;
        `None` is the mean over the clip's frames, band by band.
      example_offset: Position in the global batch of this batch's first example, `[]` int32.

    Returns:
      `log_mel` with stripes filled, shape and dtype as given.

    Raises:
      UserError: A width is below 1 or a number of stripes is negative.
    """
    for name, width in (("time_drop_width", time_drop_width), ("freq_drop_width", freq_drop_width)):
        if width < 1:
            raise UserError(
                f"{name} is {width}; it must be at least 1. For no stripes, set their number to 0."
            )
    for name, stripes in (("time_stripes", time_stripes), ("freq_stripes", freq_stripes)):
        if stripes < 0:
            raise UserError(f"{name} is {stripes}; it must be 0 (none) or more.")
    log_mel = tf.convert_to_tensor(log_mel)
    batch, frames, bands = tf.unstack(tf.shape(log_mel))
    uniform = _rows(seed, "spec_augment", batch, 2 * (time_stripes + freq_stripes), example_offset)
    of_time, of_freq = tf.split(uniform, [2 * time_stripes, 2 * freq_stripes], axis=-1)
    time_mask = _stripes(of_time, frames, time_drop_width, time_stripes)  # [batch, frames]
    freq_mask = _stripes(of_freq, bands, freq_drop_width, freq_stripes)  # [batch, bands]
    mask = time_mask[:, :, None] | freq_mask[:, None, :]
    if fill_value is None:
        fill_value = tf.reduce_mean(tf.cast(log_mel, tf.float32), axis=1, keepdims=True)
    return tf.where(mask, tf.cast(fill_value, log_mel.dtype), log_mel)


def time_shift(
    waveform: tf.Tensor,
    seed: tf.Tensor,
    max_shift_samples: int,
    *,
    fill: str = "wrap",
    example_offset: tf.Tensor | int = 0,
) -> tf.Tensor:
    """Shift each clip in time by a random number of samples, later or earlier.

    Args:
      waveform: `[batch, samples]`, floating point.
      seed: `[2]`, int32 or int64.
      max_shift_samples: Shifts are uniform on -max ... max; at least 0 and below 2^22.
      fill: "wrap" moves samples that leave at one end to the other; "zeros" fills with silence.
      example_offset: Position in the global batch of this batch's first example, `[]` int32.

    Returns:
      The shifted waveforms, shape and dtype as given.

    Raises:
      UserError: `max_shift_samples` is out of range, or `fill` is not one of `SHIFT_FILLS`.
    """
    if not 0 <= max_shift_samples < 2**22:  # a float32 uniform has 2^23 values
        raise UserError(
            f"max_shift_samples is {max_shift_samples}; it must be from 0 to {2**22 - 1}."
        )
    if fill not in SHIFT_FILLS:
        raise UserError(f"fill is {fill!r}; it must be one of {', '.join(SHIFT_FILLS)}.")
    waveform = tf.convert_to_tensor(waveform)
    uniform = _rows(seed, "time_shift", tf.shape(waveform)[0], 1, example_offset)[:, 0]
    shift = _below(uniform, 2 * max_shift_samples + 1) - max_shift_samples  # [batch]
    # A loop of rolls: measured six times faster than one gather over the batch.
    shifted = tf.map_fn(
        lambda clip: tf.roll(clip[0], clip[1], axis=0),
        (waveform, shift),
        fn_output_signature=tf.TensorSpec(waveform.shape[1:], waveform.dtype),
    )
    if fill == "wrap":
        return shifted
    samples = tf.shape(waveform)[1]
    position = tf.range(samples)[None, :]
    first, last = shift[:, None], samples + shift[:, None]
    return tf.where((position >= first) & (position < last), shifted, tf.zeros_like(shifted))


def random_gain(
    waveform: tf.Tensor,
    seed: tf.Tensor,
    max_gain_db: float,
    *,
    example_offset: tf.Tensor | int = 0,
) -> tf.Tensor:
    """Scale each clip by a random gain, uniform in decibels on -max ... max.

    The amplitude factor is 10^(gain / 20). Nothing is clipped: a model accepts values beyond 1.

    Args:
      waveform: `[batch, samples]`, floating point.
      seed: `[2]`, int32 or int64.
      max_gain_db: Largest gain and largest attenuation in dB, at least 0.
      example_offset: Position in the global batch of this batch's first example, `[]` int32.

    Returns:
      The scaled waveforms, shape and dtype as given.

    Raises:
      UserError: `max_gain_db` is negative or not a number.
    """
    if not max_gain_db >= 0:
        raise UserError(f"max_gain_db is {max_gain_db}; it must be 0 or more.")
    waveform = tf.convert_to_tensor(waveform)
    uniform = _rows(seed, "random_gain", tf.shape(waveform)[0], 1, example_offset)[:, 0]
    factor = tf.exp((np.log(10.0) / 20.0 * max_gain_db) * (2.0 * uniform - 1.0))
    return waveform * tf.cast(_per_example(factor, waveform), waveform.dtype)


def _rows(
    seed: tf.Tensor,
    purpose: str,
    batch: tf.Tensor,
    columns: int,
    example_offset: tf.Tensor | int,
) -> tf.Tensor:
    """Draw uniform numbers in [0, 1), `[batch, columns]`.

    They are rows of one long table, from row `example_offset` on.

    A counter-based generator gives the first rows of a longer table the same numbers as a shorter
    table, so the rows before ours are drawn and dropped: a few numbers per example.
    """
    seed = tf.random.fold_in(seed, zlib.crc32(purpose.encode()) & 0x7FFFFFFF, alg=_GENERATOR)
    rows = example_offset + batch
    table = tf.random.stateless_uniform([rows, columns], seed, alg=_GENERATOR)
    return table[example_offset:]


def _below(uniform: tf.Tensor, bound: tf.Tensor | int) -> tf.Tensor:
    """Turn uniform numbers in [0, 1) into integers uniform on 0 ... bound - 1; bound is int32."""
    scaled = tf.cast(uniform * tf.cast(bound, tf.float32), tf.int32)
    return tf.minimum(scaled, bound - 1)  # a product may round up to the bound


def _symmetric_beta(radius: tf.Tensor, angle: tf.Tensor, alpha: float) -> tf.Tensor:
    """Turn two uniform numbers into Beta(alpha, alpha), for any alpha above 0, without rejection.

    For T of Student's t distribution with 2 alpha degrees of freedom, (1 + X) / 2 with
    X = T / sqrt(2 alpha + T^2) is Beta(alpha, alpha). Bailey's polar method gives T as
    sqrt(2 alpha r) cos(2 pi v) with r = u^(-1 / alpha) - 1 (Devroye, "Random variate generation in
    one line of code", 1996), so X = cos / sqrt(1 / r + cos^2), which does not overflow.
    """
    cosine = tf.cos(2.0 * np.pi * angle)
    inverse = 1.0 / tf.math.expm1(-tf.math.log(radius) / alpha)  # 1/r; u = 0 gives 0
    return 0.5 + 0.5 * cosine / tf.sqrt(inverse + tf.square(cosine))


def _partner(batch: tf.Tensor, example_offset: tf.Tensor | int) -> tf.Tensor:
    """Return the index of the example that each example is mixed with, `[batch]` int32."""
    local = tf.range(batch)
    partner = tf.bitwise.bitwise_xor(local + example_offset, 1) - example_offset
    outside = (partner < 0) | (partner >= batch)
    other_side = tf.clip_by_value(2 * local - partner, 0, batch - 1)
    return tf.where(outside, other_side, partner)


def _per_example(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Reshape `[batch]` to `[batch, 1, ...]`, to multiply `like` of known rank."""
    return tf.reshape(values, [-1] + [1] * (like.shape.rank - 1))


def _stripes(uniform: tf.Tensor, total: tf.Tensor, drop_width: int, stripes: int) -> tf.Tensor:
    """Mask `[batch, total]` of stripes, from uniform numbers `[batch, 2 x stripes]`."""
    bound = tf.minimum(drop_width, total // (2 * max(stripes, 1)) + 1)
    width = _below(uniform[:, :stripes], bound)  # [batch, stripes]
    start = _below(uniform[:, stripes:], total - width + 1)
    position = tf.range(total)[None, :, None]
    inside = (position >= start[:, None, :]) & (position < (start + width)[:, None, :])
    return tf.reduce_any(inside, axis=-1)
