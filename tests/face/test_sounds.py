"""What is taken as sounds, and what is refused: nothing is guessed."""

import collections
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.face.sounds import as_sounds

SECOND = np.linspace(-0.5, 0.5, 32_000, dtype=np.float32)


def taken(x, rate=None):
    return [str(sound) for sound in as_sounds(x, sample_rate_hz=rate, model_rate_hz=32_000)]


class Column:
    """A column of a table, as pandas has it."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, object)


@pytest.mark.parametrize(
    "x, names",
    [
        ("a.wav", ["a.wav"]),
        (pathlib.Path("a.wav"), ["a.wav"]),
        (["a.wav", pathlib.Path("b.wav")], ["a.wav", "b.wav"]),
        (("a.wav",), ["a.wav"]),
        (iter(["a.wav", "b.wav"]), ["a.wav", "b.wav"]),
        (np.array(["a.wav", "b.wav"]), ["a.wav", "b.wav"]),
        (Column(["a.wav", "b.wav"]), ["a.wav", "b.wav"]),
        (collections.deque(["a.wav"]), ["a.wav"]),
    ],
)
def test_paths(x, names):
    assert taken(x) == names


@pytest.mark.parametrize(
    "x, names",
    [
        (SECOND, ["x"]),
        (np.stack([SECOND, SECOND]), ["x[0]", "x[1]"]),
        ([SECOND, SECOND[:9_000]], ["x[0]", "x[1]"]),
        (tf.constant(SECOND), ["x"]),
        ([tf.constant(SECOND)], ["x[0]"]),
        (Column([SECOND, SECOND[:9_000]]), ["x[0]", "x[1]"]),
        (SECOND[::2], ["x"]),
    ],
)
def test_waveforms(x, names):
    assert taken(x, 44_100) == names
    with pytest.raises(UserError, match="sample_rate_hz is missing.*sample_rate_hz=32000"):
        taken(x)


@pytest.mark.parametrize(
    "x, message",
    [
        (None, "x is of type NoneType; give one path or several"),
        (3.5, "x is of type float"),
        (b"a.wav", "x is of type bytes"),
        ({"a": SECOND}, "x is of type dict"),
        (np.float32(3), r"x has shape \(\)"),
        ([], "x is empty, so there is nothing to hear"),
        (iter(()), "x is empty"),
        (np.zeros((0, 32_000)), r"x has shape \(0, 32000\), so there is nothing"),
        (np.zeros((1, 2, 32_000)), r"x has shape \(1, 2, 32000\)"),
        ((SECOND, 44_100), r"x\[1\] is a int"),
        ([SECOND, "a.wav"], r"x\[1\] is a path among waveforms"),
        (["a.wav", SECOND], r"x\[0\] is a path among waveforms"),
        ([0.1, 0.2], r"x\[0\] is a float"),
        ([[0.1, 0.2]], r"x\[0\] is a list"),
        (Column([1, None]), r"x\[0\] is a int"),
        ([np.stack([SECOND] * 2)], r"x\[0\] has shape \(2, 32000\).*give the mean"),
        (np.stack([SECOND] * 2, axis=1), r"is 32000 sounds of .*x.mean\(axis=1\)"),
        ((SECOND * 32_767).astype(np.int16), r"int16.*x.astype\('float32'\) / 32768"),
        ([(SECOND * 99).astype(np.int32)], r"x\[0\].*int32.*/ 2147483648"),
        ((SECOND * 99 + 99).astype(np.uint8), r"\(x.astype\('float32'\) - 128\) / 128"),
        (SECOND > 0, "x is of type bool; give floats with full scale 1"),
        (SECOND.astype(complex), "x is of type complex128"),
        (np.array(["2023-05-01"] * 2, "M8[D]"), "x is of type datetime64"),
        (np.array([["a.wav", "b.wav"]]), "x has|x.* is of type <U5"),
        (np.ma.masked_array(SECOND, SECOND > 0.4), "x is a masked array"),
    ],
)
def test_anything_else(x, message):
    with pytest.raises(UserError, match=message):
        taken(x, 32_000)


@pytest.mark.parametrize("rate", [0, -1, 999, 44_100.5, 2e6, float("nan"), "44100", True, 44.1])
def test_rates_that_are_none(rate):
    with pytest.raises(UserError, match="sample_rate_hz is .*; it must be a whole number of Hz"):
        taken(SECOND, rate)


def test_files_have_a_rate():
    with pytest.raises(UserError, match="sample_rate_hz is 44100, but a file says its own rate"):
        taken("a.wav", 44_100)
