"""What the original PyTorch networks gave, and the weights and waveforms that they were given.

`tests/published/reference` holds the outputs (`golden_seed7.npz`), the mel matrix, the names and
shapes of the published tensors (`manifest_KIND.csv`) and AudioSet's labels. The weights are too
large to keep, so they follow from a rule: a tensor depends on its name, its shape and the seed.
"""

import csv
import zlib

import numpy as np
import pytest

from tests.helpers.paths import ROOT

FOLDER = ROOT / "tests" / "published" / "reference"
AUDIOSET_LABELS = FOLDER / "class_labels_indices.csv"
SEED = 7  # of the golden file
RATE_HZ = 32_000
TOLERANCE = 1e-3  # absolute, on logits, probabilities and embeddings


def golden() -> dict[str, np.ndarray]:
    """The outputs by name; CONTENTS.md in the folder describes them."""
    with np.load(FOLDER / f"golden_seed{SEED}.npz") as file:
        return dict(file)


def mel_filters() -> np.ndarray:
    """The mel matrix [513, 64] that the published files hold."""
    return np.load(FOLDER / "mel_filters.npy")


def manifest(kind: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the published tensors by name."""
    with open(FOLDER / f"manifest_{kind}.csv", encoding="utf-8", newline="") as lines:
        return {
            row["name"]: tuple(int(n) for n in row["shape"].split("x") if n)
            for row in csv.DictReader(lines)
        }


def _generator(key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[SEED, key]))


def waveforms() -> np.ndarray:
    """A noisy chirp and noise that comes and goes: float32 [2, 320000], 10 s at 32 kHz."""
    rng = _generator(1)
    seconds = 10.0
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    chirp = 0.5 * np.sin(2 * np.pi * (100 * t + 0.5 * (8000 - 100) / seconds * t**2))
    chirp += 0.05 * rng.standard_normal(t.size)
    gate = np.sin(2 * np.pi * 1.5 * t) > 0
    return np.stack([chirp, 0.2 * rng.standard_normal(t.size) * gate]).astype(np.float32)


def fourier_kernels(window: np.ndarray) -> list[np.ndarray]:
    """The STFT as the files store it: real and imaginary [bins, 1, samples], float32."""
    samples = len(window)
    angle = 2 * np.pi * np.outer(np.arange(samples // 2 + 1), np.arange(samples)) / samples
    kernels = np.cos(angle) * window, -np.sin(angle) * window
    return [kernel[:, None].astype(np.float32) for kernel in kernels]


def tensors(kind: str) -> dict[str, np.ndarray]:
    """All tensors of a published file, with the weights that the outputs were made with."""
    real, imaginary = fourier_kernels(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024))
    fixed = {
        "spectrogram_extractor.stft.conv_real.weight": real,
        "spectrogram_extractor.stft.conv_imag.weight": imaginary,
        "logmel_extractor.melW": mel_filters(),
    }
    last_batch_norm = "bn2.weight" if kind in ("resnet22", "resnet38") else "bn3.weight"
    return {
        name: fixed[name] if name in fixed else _weights(name, shape, last_batch_norm)
        for name, shape in manifest(kind).items()
    }


def _weights(name: str, shape: tuple[int, ...], last_batch_norm: str) -> np.ndarray:
    rng = _generator(zlib.crc32(name.encode()))
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.array(1000, np.int64)
    if name == "bn0.running_mean":  # log-mel frames are decibels
        values = rng.normal(-20, 5, shape)
    elif name == "bn0.running_var":
        values = rng.uniform(200, 600, shape)
    elif name.startswith("resnet.") and name.endswith(last_batch_norm):
        values = rng.uniform(0.1, 0.4, shape)  # so that sums of residuals stay small
    elif leaf == "running_var" or (leaf == "weight" and len(shape) == 1):
        values = rng.uniform(0.5, 1.5, shape)
    elif leaf in ("running_mean", "bias"):
        values = rng.normal(0, 0.1, shape)
    elif leaf.startswith("rho"):
        values = rng.normal(-5, 0.3, shape)
    else:  # kernels, and means of their posteriors
        gain = 0.07 if name.startswith("fc_audioset") else np.sqrt(2.0)
        values = rng.normal(0, gain / np.sqrt(np.prod(shape[1:])), shape)
    return values.astype(np.float32)


def of(*kinds: str) -> pytest.MarkDecorator:
    """Parametrizes the fixture `network`."""
    return pytest.mark.parametrize("network", kinds, indirect=True)


def assert_close(ours: np.ndarray, golden: np.ndarray) -> None:
    assert np.abs(np.asarray(ours) - golden).max() <= TOLERANCE
