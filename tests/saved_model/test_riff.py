"""The parser of WAV files in the graph, against libsndfile and on damaged headers."""

import io
import struct

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tests.helpers.wav_files import wav_bytes
from vipann_tf.saved_model.riff import read_layout, read_samples

SOUND = np.random.default_rng(0).normal(0, 0.2, [331, 3]).clip(-1, 1)
PLAIN = wav_bytes(SOUND)
DATA = PLAIN.index(b"data")
MAX = 0xFFFFFFFF


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def parse(contents):
    layout = read_layout(contents)
    nothing = tf.zeros([0, 0])
    good = tf.equal(layout.error, "")
    return layout.error, tf.cond(good, lambda: read_samples(contents, layout), lambda: nothing)


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def with_size(size: int, riff_size: int = MAX, contents: bytes = PLAIN) -> bytes:
    """The file with other sizes of the data chunk and of the whole."""
    data = contents.index(b"data") + 4
    sizes = struct.pack("<I", riff_size), struct.pack("<I", size)
    return contents[:4] + sizes[0] + contents[8:data] + sizes[1] + contents[data + 4 :]


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"], ids=str
)
def test_every_sample_format_as_libsndfile(kind, subtype):
    for channels in (1, 2, 3):
        content = wav_bytes(SOUND[:, :channels], 44100, subtype=subtype, kind=kind)
        error, samples = parse(content)
        assert error == b""
        expected, _ = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
        np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize(
    "content",
    [
        with_size(MAX),
        with_size(MAX, 0),
        with_size(0x7FFFFFFF, 0x7FFFFFFF),
        with_size(0x7FFFF000, 0x7FFFF024),
        with_size(0),
        with_size(0, 0),
        with_size(0, 36),
        PLAIN[:12] + chunk(b"bext", b"odd") + PLAIN[12:],
        PLAIN[:12] + chunk(b"JUNK", b"") + PLAIN[12:DATA] + chunk(b"LIST", b"abc") + PLAIN[DATA:],
        PLAIN + chunk(b"LIST", b"INFOISFT") + chunk(b"id3 ", b"xyz"),
        PLAIN + b"LIST\xff\0\0\0cut off",
        PLAIN + b"\0",
        PLAIN + b"\0\0\0\0",
        PLAIN[:12] + b"".join(chunk(b"note", bytes(i)) for i in range(60)) + PLAIN[12:],
    ],
)
def test_what_recorders_and_pipes_write(content):
    error, samples = parse(content)
    assert error == b""
    expected, _ = soundfile.read(io.BytesIO(PLAIN), dtype="float32")
    np.testing.assert_array_equal(samples, expected)


def fmt(code: int, channels: int, bits: int, frame: int, more: bytes = b"") -> bytes:
    """A file of 600 zero bytes with this format."""
    format_ = struct.pack("<HHIIHH", code, channels, 32000, 32000 * frame, frame, bits)
    return b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", format_ + more) + chunk(b"data", bytes(600))


AMBISONIC = b"\x16\0\x10\0\0\0\0\0\1\0\0\0\x21\x07\xd3\x11\x86\x44\xc8\xc1\xca\0\0\0"


@pytest.mark.parametrize(
    "content, text",
    [
        (b"", "not a WAV file, which begins with RIFF or RF64, a size and WAVE; it has 0 bytes"),
        (b"R", "not a WAV file"),
        (b"RIFX" + PLAIN[4:], "not a WAV file"),
        (b"RIFF\n\xff\0\0AVI " + PLAIN[12:], "not a WAV file"),
        (PLAIN[:12], "no data chunk among its 0 chunks"),
        (PLAIN[:30], "no data chunk among its 1 chunks: it is cut off or damaged"),
        (PLAIN[:12] + bytes(10_000), "no data chunk among its 500 chunks"),
        (PLAIN[:12] + b"fmt \xff\xff\xff\xff" + PLAIN[20:], "no data chunk"),
        (PLAIN[:12] + PLAIN[DATA:], "no format chunk in front of its data chunk"),
        (PLAIN[:12] + chunk(b"fmt ", b"\1\0\1\0") + PLAIN[DATA:], "no format chunk"),
        (fmt(7, 1, 8, 1), "or floats of 32 or 64 bits (format code 1 or 3); it has code 7 and 8"),
        (fmt(1, 1, 64, 8), "it has code 1 and 64 bits; convert it to 16-bit PCM"),
        (fmt(1, 1, 4, 1), "it has code 1 and 4 bits"),
        (fmt(3, 1, 16, 2), "it has code 3 and 16 bits"),
        (fmt(0xFFFE, 1, 16, 2), "it has code 0 and 16 bits"),
        (fmt(0xFFFE, 1, 16, 2, AMBISONIC), "it has code 1 and 16 bits"),
        (fmt(1, 0, 16, 0), "a frame of 0 channels of 16 bits can't have 0 bytes"),
        (fmt(1, 2, 16, 2), "a frame of 2 channels of 16 bits can't have 2 bytes"),
        (fmt(1, 1, 24, 4), "a frame of 1 channels of 24 bits can't have 4 bytes"),
        (PLAIN[:-1], "cut off: its data chunk declares 1986 bytes and has 1985; send the whole"),
        (PLAIN[: DATA + 8], "cut off: its data chunk declares 1986 bytes and has 0"),
        (with_size(992), "declares 992 bytes, and behind it are 994 more that are no chunk"),
        (PLAIN + bytes(8), "declares 1986 bytes, and behind it are 8 more that are no chunk"),
    ],
)
def test_what_is_not_read_whole_is_refused(content, text):
    error, samples = parse(content)
    assert text in error.numpy().decode()
    assert tf.size(samples) == 0


def test_an_empty_data_chunk_is_not_one_of_a_pipe():
    """The size of the whole is right, so the list behind it is no sound."""
    content = wav_bytes(SOUND[:0]) + chunk(b"LIST", bytes(100))
    error, samples = parse(with_size(0, len(content) - 8, content))
    assert error == b"" and samples.shape == (0, 3)


def test_any_bytes_have_an_answer():
    """Nothing fails: headers with 1 to 8 changed bytes, and cut files."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        content = bytearray(PLAIN[: rng.integers(0, len(PLAIN)) if rng.random() < 0.2 else None])
        for _ in range(rng.integers(1, 9) if content else 0):
            content[rng.integers(min(len(content), 60))] = rng.integers(256)
        error, samples = parse(bytes(content))
        assert bool(error.numpy()) == (samples.shape == (0, 0)), bytes(content[:60])
