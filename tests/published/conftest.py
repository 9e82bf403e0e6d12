"""The published layouts: with golden weights, and as stand-ins that take no memory."""

import numpy as np
import pytest

from tests.helpers import reference
from tests.helpers.reference import fourier_kernels as kernels
from vipann_tf.audio.logmel import FFT_LENGTH, mel_matrix
from vipann_tf.published.layout import layout


@pytest.fixture(scope="module")
def golden():
    return reference.golden()


@pytest.fixture(scope="module")
def waveforms():
    return reference.waveforms()


# Requested through `indirect`, so that pytest keeps one of these networks in memory at a time.
@pytest.fixture(scope="module")
def network(request):
    from vipann_tf.models.vipann import VIPANN
    from vipann_tf.published.checkpoint import Checkpoint, check_tensors, to_variables

    tensors = reference.tensors(request.param)
    kind = check_tensors(tensors, "the stand-in")
    assert kind == request.param
    checkpoint = Checkpoint(kind, tensors)
    values = to_variables(checkpoint)
    model = VIPANN(checkpoint.architecture)
    variables = model.named_variables()
    assert set(variables) == set(values)
    for name, variable in variables.items():
        variable.assign(values[name])
    return model


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
