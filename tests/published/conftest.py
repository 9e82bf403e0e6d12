"""Stand-ins of the published layouts that take no memory: arrays and tensors of stride 0."""

import numpy as np
import pytest

from tests.helpers.reference import fourier_kernels as kernels
from vipann_tf.audio.logmel import FFT_LENGTH, mel_matrix
from vipann_tf.published.layout import layout


@pytest.fixture(scope="session")
def fourier_kernels():
    return kernels


@pytest.fixture(scope="session")
def frontend_tensors():
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_LENGTH) / FFT_LENGTH)
    real, imaginary = kernels(window)
    return {
        "spectrogram_extractor.stft.conv_real.weight": real,
        "spectrogram_extractor.stft.conv_imag.weight": imaginary,
        "logmel_extractor.melW": mel_matrix().astype(np.float32),
    }


@pytest.fixture
def stand_in(frontend_tensors):
    """Makes all tensors of a kind: the right frontend, and 0.25 everywhere else."""

    def make(kind, labels=527):
        quarter = np.float32(0.25)
        tensors = {
            name: np.broadcast_to(quarter, tensor.shape)
            for name, tensor in layout(kind, labels).items()
        }
        return {**tensors, **frontend_tensors}

    return make
