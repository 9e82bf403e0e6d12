"""Comparison of a checkpoint's frontend with ours, since weights fit only one frontend."""

from collections.abc import Mapping

import numpy as np

from vipann_tf.audio.logmel import (
    FFT_LENGTH,
    MAX_HZ,
    MEL_BANDS,
    MIN_HZ,
    SAMPLE_RATE_HZ,
    mel_matrix,
    periodic_hann,
)
from vipann_tf.errors import UserError
from vipann_tf.published.layout import FRONTEND_TENSORS

__all__ = ["check_frontend"]

# The files are float32; another window, range or scale differs by much more than its rounding.
_TOLERANCE = 1e-4
_REAL, _IMAGINARY, _MEL = FRONTEND_TENSORS


def check_frontend(tensors: Mapping[str, np.ndarray], origin: str) -> None:
    """Refuse a checkpoint that was trained with another log-mel frontend.

    The files do not have the hop length and the decibel floor, so these are not compared.

    Args:
      tensors: Tensors of the checkpoint; frontend tensors may be absent.
      origin: Name of the checkpoint for messages.

    Raises:
      UserError: The STFT kernels or the mel matrix differ; the message describes the difference.
    """
    kernels = {name: tensors[name] for name in (_REAL, _IMAGINARY) if name in tensors}
    differences = _stft_differences(kernels)
    if _MEL in tensors:
        differences += _mel_differences(tensors[_MEL])
    if differences:
        raise UserError(
            f"{origin} was trained with another frontend than vipann-tf's "
            f"({SAMPLE_RATE_HZ} Hz, STFT of {FFT_LENGTH} samples with a periodic Hann window, "
            f"{MEL_BANDS} Slaney mel bands from {MIN_HZ:g} to {MAX_HZ:g} Hz): "
            + "; ".join(differences)
            + ". Its weights would be wrong here: use a checkpoint with this frontend."
        )


def _stft_differences(kernels: dict[str, np.ndarray]) -> list[str]:
    for name, kernel in kernels.items():
        if kernel.shape != FRONTEND_TENSORS[name]:
            samples = kernel.shape[-1] if kernel.ndim else 0
            return [f"{name} is {list(kernel.shape)}, an STFT of {samples} samples"]
    window = periodic_hann()
    if _REAL in kernels and _differ(kernels[_REAL][0, 0], window):  # cos(0) = 1: the window itself
        return ["the STFT window is not a periodic Hann window"]
    angle = 2.0 * np.pi * np.outer(np.arange(FFT_LENGTH // 2 + 1), np.arange(FFT_LENGTH))
    angle /= FFT_LENGTH
    expected = {_REAL: np.cos(angle) * window, _IMAGINARY: -np.sin(angle) * window}
    return [
        f"{name} is not the Fourier transform's"
        for name, kernel in kernels.items()
        if _differ(kernel[:, 0], expected[name])
    ]


def _mel_differences(mel: np.ndarray) -> list[str]:
    if mel.shape != mel_matrix().shape:
        return [f"{_MEL} is {list(mel.shape)} instead of {list(mel_matrix().shape)}"]
    if not _differ(mel, mel_matrix()):
        return []
    theirs, ours = _range_hz(mel), _range_hz(mel_matrix())
    if theirs != ours:
        return [f"its mel bands weigh bins from {theirs} Hz, ours from {ours} Hz"]
    if not _differ(_sum_one(mel), _sum_one(mel_matrix())):
        return ["its mel bands are normalised in another way"]
    return ["its mel bands are spaced or normalised in another way"]


def _differ(theirs: np.ndarray, ours: np.ndarray) -> bool:
    # Not "any difference above": a NaN must count as a difference.
    return not np.abs(theirs - ours).max() <= _TOLERANCE * np.abs(ours).max()


def _range_hz(mel: np.ndarray) -> str:
    bins = np.flatnonzero(np.abs(mel).sum(axis=1))
    if not bins.size:
        return "none to none"
    low, high = bins[[0, -1]] * (SAMPLE_RATE_HZ / FFT_LENGTH)
    return f"{low:g} to {high:g}"


def _sum_one(mel: np.ndarray) -> np.ndarray:
    return mel / np.maximum(mel.sum(axis=0), np.finfo(np.float32).tiny)
