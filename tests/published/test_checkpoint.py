"""Recognition, completeness and frontend of a checkpoint, on tensors made here; no torch needed."""

import numpy as np
import pytest
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.published.checkpoint import Checkpoint, check_tensors, to_variables
from vipann_tf.published.layout import KINDS

REAL = "spectrogram_extractor.stft.conv_real.weight"
IMAGINARY = "spectrogram_extractor.stft.conv_imag.weight"
MEL = "logmel_extractor.melW"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [527, 50])
def test_kinds_are_recognised(stand_in, kind, labels):
    tensors = stand_in(kind, labels)
    assert check_tensors(tensors, "x.pth") == kind
    assert Checkpoint(kind, tensors).labels == labels


@pytest.mark.parametrize(
    ("kind", "depth", "trunk", "signs"),
    [
        ("resnet22", 22, "deterministic", "channel"),
        ("resnet38", 38, "deterministic", "channel"),
        ("deterministic", 54, "deterministic", "channel"),
        ("flipout", 54, "flipout", "activation"),
    ],
)
def test_architecture_of_each_kind(stand_in, kind, depth, trunk, signs):
    architecture = Checkpoint(kind, stand_in(kind, 9)).architecture
    assert (architecture.depth, architecture.trunk, architecture.signs) == (depth, trunk, signs)
    assert (architecture.width, architecture.head) == (1.0, "deterministic")
    assert (architecture.labels, architecture.task) == (9, "multilabel")


def test_missing_unexpected_and_misshapen_tensors_are_listed_in_one_error(stand_in):
    tensors = stand_in("deterministic")
    for index in range(3):
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            del tensors[f"resnet.layer1.{index}.bn2.{leaf}"]
    tensors["sampler.queue"] = np.zeros(3)
    tensors["fc1.weight"] = np.zeros([100, 2048], np.float32)
    tensors["bn0.bias"] = np.zeros([128], np.float32)
    with pytest.raises(UserError) as caught:
        check_tensors(tensors, "mine.pth")
    message = str(caught.value)
    assert message.startswith("mine.pth looks like a deterministic checkpoint")
    assert "12 missing: resnet.layer1.0.bn2.weight, " in message and " and 2 more; " in message
    assert message.count("resnet.layer1.") == 10
    assert "1 unexpected: sampler.queue; " in message
    assert "bn0.bias [128] instead of [64]" in message
    assert "2 of another shape: " in message
    assert "fc1.weight [100, 2048] instead of [2048, 2048]" in message


def test_a_kernel_of_another_rank_is_misshapen_not_a_crash(stand_in):
    tensors = stand_in("resnet22")
    tensors["fc_audioset.weight"] = np.zeros([527], np.float32)
    with pytest.raises(UserError, match=r"fc_audioset.weight \[527\] instead of \[527, 2048\]"):
        check_tensors(tensors, "x.pth")


def test_missing_frontend_tensors_are_missing_tensors(stand_in):
    tensors = stand_in("flipout")
    del tensors[MEL]
    with pytest.raises(UserError, match="a flipout checkpoint.*1 missing: logmel_extractor.melW"):
        check_tensors(tensors, "x.pth")


@pytest.mark.parametrize(
    ("blocks", "network"), [(range(1, 7), "Cnn14"), (range(1, 5), "Cnn6 or Cnn10")]
)
def test_panns_plain_networks_are_named(frontend_tensors, blocks, network):
    tensors = {**frontend_tensors, "bn0.weight": np.zeros(64), "fc1.weight": np.zeros([2, 2])}
    for block in blocks:
        tensors[f"conv_block{block}.conv1.weight"] = np.zeros([2, 2, 3, 3])
    with pytest.raises(UserError, match=f"x.pth looks like PANNs' {network}, which has no resid"):
        check_tensors(tensors, "x.pth")


def test_other_networks_are_refused_by_their_modules():
    tensors = {"encoder.weight": np.zeros(3), "head.bias": np.zeros(2)}
    with pytest.raises(
        UserError, match="is not a network that can be imported: its modules are encoder"
    ):
        check_tensors(tensors, "x.pth")


def hann(samples, *, periodic):
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / (samples - (not periodic)))


def htk_mel(low_hz=50.0, high_hz=14000.0):
    return tf.signal.linear_to_mel_weight_matrix(64, 513, 32000, low_hz, high_hz).numpy()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda ours, stft: dict(
                zip((REAL, IMAGINARY), stft(hann(1024, periodic=False)), strict=True)
            ),
            "the STFT window is not a periodic Hann window",
        ),
        (
            lambda ours, stft: dict(
                zip((REAL, IMAGINARY), stft(hann(512, periodic=True)), strict=True)
            ),
            r"conv_real.weight is \[257, 1, 512\], an STFT of 512 samples",
        ),
        (lambda ours, stft: {IMAGINARY: -ours[IMAGINARY]}, "imag.weight is not the Fourier"),
        (
            lambda ours, stft: {REAL: np.full_like(ours[REAL], np.nan)},
            "window is not a periodic Hann",
        ),
        (lambda ours, stft: {MEL: ours[MEL][:, :40]}, r"melW is \[513, 40\] instead of"),
        (
            lambda ours, stft: {MEL: htk_mel(0.0, 16000.0)},
            "weigh bins from 31.25 to 15968.8 Hz, ours from 62.5 to 13968.8 Hz",
        ),
        (lambda ours, stft: {MEL: 2 * ours[MEL]}, "its mel bands are normalised in another way"),
        (lambda ours, stft: {MEL: htk_mel()}, "bands are spaced or normalised in another way"),
        (lambda ours, stft: {MEL: 0 * ours[MEL]}, "weigh bins from none to none Hz"),
    ],
)
def test_another_frontend_is_refused_by_what_differs(
    stand_in, frontend_tensors, fourier_kernels, change, message
):
    tensors = {**stand_in("resnet38"), **change(frontend_tensors, fourier_kernels)}
    with pytest.raises(UserError, match=f"x.pth was trained with another frontend.*{message}"):
        check_tensors(tensors, "x.pth")


def test_variables_are_transposed_views(stand_in):
    tensors = stand_in("flipout", 5)
    random = np.random.default_rng(0)
    mu = random.normal(size=[128, 128, 3, 3]).astype(np.float32)
    dense = random.normal(size=[5, 2048]).astype(np.float32)
    scale = random.normal(size=[512]).astype(np.float32)
    tensors["resnet.layer2.0.conv2.mu_kernel"] = mu
    tensors["resnet.layer2.0.downsample.2.weight"] = scale
    tensors["fc_audioset.weight"] = dense
    variables = to_variables(Checkpoint("flipout", tensors))
    kernel = variables["stage2.block0.conv2/kernel_loc"]
    assert kernel[2, 0, 17, 101] == mu[101, 17, 2, 0]  # [time, mel, in, out] from [out, in, t, m]
    assert np.shares_memory(kernel, mu)
    assert variables["fc_out/kernel"][1999, 4] == dense[4, 1999]
    np.testing.assert_array_equal(variables["stage2.block0.shortcut.bn/gamma"], scale)
    assert "stage2.block0.shortcut.conv/kernel_rho" in variables
    assert not [name for name in variables if "num_batches" in name or "extractor" in name]


def test_values_that_are_not_finite_are_listed(stand_in):
    tensors = stand_in("resnet22")
    tensors["bn0.weight"] = np.full([64], np.nan, np.float32)
    tensors["fc1.bias"] = np.full([2048], -np.inf, np.float32)
    with pytest.raises(UserError, match="2 with NaN or infinity: bn0.weight, fc1.bias"):
        to_variables(Checkpoint("resnet22", tensors))
