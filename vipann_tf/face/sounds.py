"""What `Model` takes as sounds: paths, or arrays with their sample rate.

A wrong array could make a model surer than it should be, so nothing is guessed: not the sample
rate, not the scale, not which axis is which.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.audio.array_recording import ArrayRecording
from vipann_tf.audio.decoding import MAX_RATE_HZ, MIN_RATE_HZ
from vipann_tf.audio.errors import MIN_DURATION_S
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath

__all__ = ["Sounds", "as_sounds"]

Sounds = StrPath | ArrayLike | Sequence[StrPath] | Sequence[ArrayLike] | Iterator[StrPath]

_FORMS = (
    "one path or several, a waveform [samples], a batch [batch, samples], or a list of waveforms"
)


def as_sounds(
    x: Sounds, *, sample_rate_hz: float | None, model_rate_hz: int
) -> list[StrPath] | list[ArrayRecording]:
    """Return sounds one by one.

    Args:
      x: A path or several, a waveform, a batch of waveforms, or several waveforms of any lengths.
      sample_rate_hz: Sample rate of the waveforms.
      model_rate_hz: Sample rate of the model, for messages.

    Raises:
      UserError: It is nothing of that kind, is empty, or its rate is missing or not allowed.
    """
    if _is_path(x):
        paths: list[Any] = [x]
    elif hasattr(x, "__array__"):
        array = np.ma.asanyarray(x) if isinstance(x, np.ma.MaskedArray) else np.asarray(x)
        if array.dtype.kind not in "OU" or array.ndim != 1:
            return _from_array(array, _checked_rate(sample_rate_hz, model_rate_hz))
        paths = array.tolist()  # a column of paths, or waveforms of several lengths
    elif isinstance(x, (Sequence, Iterator)) and not isinstance(x, (bytes, bytearray)):
        paths = list(x)
    else:
        raise UserError(f"x is of type {type(x).__name__}; give {_FORMS}")
    if not paths:
        raise UserError(f"x is empty, so there is nothing to hear; give {_FORMS}")
    if all(map(_is_path, paths)):
        if sample_rate_hz is not None:
            raise UserError(
                f"sample_rate_hz is {sample_rate_hz}, but a file says its own rate; leave it out"
            )
        return paths
    for i, item in enumerate(paths):
        if _is_path(item) or not hasattr(item, "__array__"):
            mixed = "a path among waveforms" if _is_path(item) else f"a {type(item).__name__}"
            raise UserError(
                f"x[{i}] is {mixed}; a list holds paths alone or waveforms alone, as NumPy arrays"
            )
    rate_hz = _checked_rate(sample_rate_hz, model_rate_hz)
    return [_recording(np.asanyarray(item), rate_hz, f"x[{i}]") for i, item in enumerate(paths)]


def _is_path(x: object) -> bool:
    return isinstance(x, (str, os.PathLike))


def _from_array(array: np.ndarray[Any, Any], rate_hz: int) -> list[ArrayRecording]:
    """Return the rows of a batch, or the one waveform."""
    if array.ndim == 1:
        return [_recording(array, rate_hz, "x")]
    if array.ndim != 2:
        raise UserError(f"x has shape {array.shape}; give {_FORMS}")
    batch, samples = array.shape
    if not batch:
        raise UserError(f"x has shape {array.shape}, so there is nothing to hear")
    if samples < MIN_DURATION_S * rate_hz <= batch:
        raise UserError(
            f"x has shape {array.shape}, which as [batch, samples] is {batch} sounds of "
            f"{samples / rate_hz:.2g} s; if it is [samples, channels], give x.mean(axis=1), or one "
            "channel such as x[:, 0]"
        )
    return [_recording(row, rate_hz, f"x[{i}]") for i, row in enumerate(array)]


def _recording(samples: np.ndarray[Any, Any], rate_hz: int, name: str) -> ArrayRecording:
    kind = samples.dtype.kind
    if kind in "iu":
        full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
        fix = f"{name}.astype('float32') / {full_scale:.0f}"
        if kind == "u":
            fix = f"({name}.astype('float32') - {full_scale:.0f}) / {full_scale:.0f}"
        raise UserError(
            f"{name} holds integers ({samples.dtype}), whose full scale is not told; give floats "
            f"with full scale 1: {fix} if they fill their type"
        )
    if kind != "f":
        raise UserError(f"{name} is of type {samples.dtype}; give floats with full scale 1")
    if samples.ndim != 1:
        raise UserError(
            f"{name} has shape {samples.shape}; a waveform of a list is [samples]: give the mean "
            "of its channels or one of them"
        )
    if isinstance(samples, np.ma.MaskedArray):
        raise UserError(f"{name} is a masked array; fill or cut what is masked")
    return ArrayRecording(samples, rate_hz, name)


def _checked_rate(rate_hz: float | None, model_rate_hz: int) -> int:
    if rate_hz is None:
        raise UserError(
            "sample_rate_hz is missing: say at which rate the samples were taken, such as "
            f"sample_rate_hz={model_rate_hz}; they are resampled to the model's {model_rate_hz} Hz"
        )
    numeric = isinstance(rate_hz, (int, float, np.number)) and not isinstance(rate_hz, bool)
    if not numeric or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ or rate_hz % 1:
        raise UserError(
            f"sample_rate_hz is {rate_hz!r}; it must be a whole number of Hz from {MIN_RATE_HZ} to "
            f"{MAX_RATE_HZ}"
        )
    return int(rate_hz)
