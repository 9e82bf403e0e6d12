"""WAV files in the graph: the chunks of RIFF and RF64, and the samples of PCM and floats.

`tf.audio.decode_wav` takes 16-bit PCM alone, without the longer header that many recorders write,
and fails a whole batch for one file. Here nothing fails: a file that can't be read whole has an
error in words. The layout is that of Microsoft's "Multiple Channel Audio Data and WAVE Files", and
of EBU Tech 3306 for RF64.
"""

from typing import NamedTuple

import tensorflow as tf

__all__ = ["Layout", "first_error", "read_layout", "read_samples", "words"]

# A program that writes to a pipe can't come back to fill in the size: it leaves one of these, or
# 0. Ffmpeg writes 0xFFFFFFFF, SoX 0x7FFFF000 or a little more, others 0x7FFFFFFF.
_UNKNOWN_SIZE = 0x7FFFF000
# A damaged file could hold a million empty chunks; real ones have less than twenty.
_MAX_CHUNKS = 500
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# Bytes 2 to 15 of a sub-format's GUID if its first two are a format code (KSMEDIA.H).
_GUID = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
_FMT_BYTES, _EXTENSIBLE_BYTES, _HEADER_BYTES = 16, 40, 8
# Behind the contents, so that a header or a format can be read at their very end.
_PADDING = bytes(64)


class Layout(NamedTuple):
    """The layout of a WAV file; all scalars, and meaningless where there is an error."""

    error: tf.Tensor  # string, empty if there is none
    floats: tf.Tensor  # bool: floating-point samples, not integers
    width: tf.Tensor  # int64: bytes of a sample
    channels: tf.Tensor  # int64
    sample_rate_hz: tf.Tensor  # int64
    start: tf.Tensor  # int64: first byte of the samples
    frames: tf.Tensor  # int64: samples per channel


class _Chunks(NamedTuple):
    """The state of a walk over chunks, up to the one of the samples."""

    position: tf.Tensor  # int64: of the next chunk
    count: tf.Tensor  # int32: chunks so far
    fmt: tf.Tensor  # string: beginning of the format chunk
    long_size: tf.Tensor  # int64: size of the samples that RF64's chunk ds64 has, or -1
    start: tf.Tensor  # int64: first byte of the samples, or -1
    size: tf.Tensor  # int64: size of the samples by their chunk's header


def read_layout(contents: tf.Tensor) -> Layout:
    """Find the format and the samples of a file.

    Args:
      contents: string scalar, a whole file.
    """
    length = _length(contents)
    padded = tf.strings.join([contents, _PADDING])
    is_wav = tf.strings.regex_full_match(tf.strings.substr(padded, 0, 12), r"R(?:IFF|F64)\C{4}WAVE")
    riff_size = _number(padded, 4, 4)
    found = _walk(padded, length)
    there = length - found.start

    long = (found.long_size >= 0) & (found.size >= _UNKNOWN_SIZE)
    size = tf.where(long, found.long_size, found.size)
    # A size of 0 is that of a pipe only if the size of the whole is not right either.
    whole = tf.equal(riff_size, length - _HEADER_BYTES)
    piped = (size >= _UNKNOWN_SIZE) | (tf.equal(size, 0) & ~whole)
    size = tf.where(piped, there, size)
    end = found.start + size
    behind = end + size % 2
    next_name = tf.strings.substr(padded, tf.clip_by_value(behind, 0, length), 4)
    is_chunk = tf.strings.regex_full_match(next_name, r"[A-Za-z0-9_][ -~]{3}")

    fmt = tf.strings.join([found.fmt, _PADDING])
    code, channels, rate_hz = _number(fmt, 0, 2), _number(fmt, 2, 2), _number(fmt, 4, 4)
    frame, bits = _number(fmt, 12, 2), _number(fmt, 14, 2)
    extensible = tf.equal(code, _EXTENSIBLE)
    fmt_bytes = _length(found.fmt)
    known = ~extensible | (
        tf.equal(tf.strings.substr(fmt, 26, 14), _GUID) & (fmt_bytes >= _EXTENSIBLE_BYTES)
    )
    code = tf.where(extensible, _number(fmt, 24, 2), code)
    width = (bits + 7) // 8
    floats = tf.equal(code, _FLOAT)
    integers = tf.equal(code, _PCM)
    supported = (integers & (bits >= 8) & (width <= 4)) | (
        floats & (tf.equal(bits, 32) | tf.equal(bits, 64))
    )
    error = first_error(
        (
            is_wav,
            words(
                "this is not a WAV file, which begins with RIFF or RF64, a size and WAVE; it has",
                length,
                "bytes",
            ),
        ),
        (
            found.start >= 0,
            words(
                "the WAV file has no data chunk among its",
                found.count,
                "chunks: it is cut off or damaged",
            ),
        ),
        (fmt_bytes >= _FMT_BYTES, "the WAV file has no format chunk in front of its data chunk"),
        (
            known & supported,
            words(
                "the WAV file must hold integers of 8 to 32 bits or floats of 32 or 64 bits (format"
                " code 1 or 3); it has code",
                code,
                "and",
                bits,
                "bits; convert it to 16-bit PCM",
            ),
        ),
        (
            (channels > 0) & tf.equal(frame, channels * width),
            words(
                "the WAV file is damaged: a frame of",
                channels,
                "channels of",
                bits,
                "bits can't have",
                frame,
                "bytes",
            ),
        ),
        (
            size <= there,
            words(
                "the WAV file is cut off: its data chunk declares",
                size,
                "bytes and has",
                there,
                "; send the whole file",
            ),
        ),
        (
            is_chunk | (length - behind < _HEADER_BYTES),
            words(
                "the size in the WAV file's header is wrong: its data chunk declares",
                size,
                "bytes, and behind it are",
                length - behind,
                "more that are no chunk; write its header again",
            ),
        ),
    )
    frames = size // tf.maximum(frame, 1)
    return Layout(error, floats, width, channels, rate_hz, found.start, frames)


def read_samples(contents: tf.Tensor, layout: Layout) -> tf.Tensor:
    """Return the samples float32 [frames, channels], full scale 1, of a layout without error."""
    size = layout.frames * layout.channels * layout.width
    data = tf.strings.substr(contents, layout.start, size)

    def scaled(dtype: tf.DType, full_scale: float) -> tf.Tensor:
        return tf.cast(tf.io.decode_raw(data, dtype), tf.float32) / full_scale

    def three_bytes() -> tf.Tensor:
        low = tf.reshape(tf.io.decode_raw(data, tf.uint8), [-1, 3])
        high = tf.bitcast(low[:, 2], tf.int8)  # has the sign
        low, high = tf.cast(low, tf.int32), tf.cast(high, tf.int32)
        return tf.cast(low[:, 0] + 256 * low[:, 1] + 65536 * high, tf.float32) / 2.0**23

    integers = [
        lambda: scaled(tf.uint8, 128.0) - 1.0,  # only these are unsigned
        lambda: scaled(tf.int16, 2.0**15),
        three_bytes,
        lambda: scaled(tf.int32, 2.0**31),
    ]
    floats = [lambda: scaled(tf.float32, 1.0), lambda: scaled(tf.float64, 1.0)]
    width = tf.cast(layout.width, tf.int32)
    samples = tf.switch_case(
        tf.where(layout.floats, len(integers) + width // 8, width - 1), [*integers, *floats]
    )
    return tf.reshape(samples, tf.stack([layout.frames, layout.channels]))


def first_error(*checks: tuple[tf.Tensor, tf.Tensor | str]) -> tf.Tensor:
    """Return the words of the first check that does not hold, a string scalar; else an empty one.

    Args:
      checks: (bool scalar, words).
    """
    error = tf.constant("")
    for holds, text in reversed(checks):
        error = tf.where(holds, error, text)
    return error


def words(*parts: tf.Tensor | str) -> tf.Tensor:
    """Return texts and numbers joined by spaces, a string scalar."""
    texts = [
        part
        if isinstance(part, str)
        else tf.strings.as_string(part, shortest=part.dtype.is_floating)
        for part in parts
    ]
    joined = tf.strings.join(texts, separator=" ")
    return tf.strings.regex_replace(joined, " ;", ";")


def _walk(padded: tf.Tensor, length: tf.Tensor) -> _Chunks:
    """Walk over the chunks of a file of this length up to its samples."""

    def unfinished(chunks: _Chunks) -> tf.Tensor:
        more = chunks.position + _HEADER_BYTES <= length
        return (chunks.start < 0) & more & (chunks.count < _MAX_CHUNKS)

    def step(chunks: _Chunks) -> tuple[_Chunks]:
        name = tf.strings.substr(padded, chunks.position, 4)
        size = _number(padded, chunks.position + 4, 4)
        body = chunks.position + _HEADER_BYTES
        is_data = tf.equal(name, "data")
        beginning = tf.strings.substr(padded, body, tf.minimum(size, _EXTENSIBLE_BYTES))
        return (
            _Chunks(
                position=body + size + size % 2,
                count=chunks.count + 1,
                fmt=tf.where(tf.equal(name, "fmt "), beginning, chunks.fmt),
                long_size=tf.where(
                    tf.equal(name, "ds64"), _number(padded, body + 8, 8), chunks.long_size
                ),
                start=tf.where(is_data, body, chunks.start),
                size=tf.where(is_data, size, chunks.size),
            ),
        )

    none = tf.constant(-1, tf.int64)
    first = _Chunks(tf.constant(12, tf.int64), tf.constant(0), tf.constant(""), none, none, none)
    (found,) = tf.while_loop(unfinished, step, (first,), parallel_iterations=1)
    return _Chunks(*found)


def _length(text: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(text), tf.int64)


def _number(text: tf.Tensor, position: tf.Tensor | int, width: int) -> tf.Tensor:
    """Return the unsigned little-endian number of `width` bytes at a position, int64."""
    places = tf.cast(tf.reshape(position, []), tf.int64)
    data = tf.io.decode_raw(tf.strings.substr(text, places, tf.constant(width, tf.int64)), tf.uint8)
    powers = tf.constant([min(256**i, 2**56) for i in range(width)], tf.int64)
    return tf.reduce_sum(tf.cast(data, tf.int64) * powers)
