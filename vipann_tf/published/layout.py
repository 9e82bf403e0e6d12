"""Names and shapes of the tensors in published checkpoints, and our variables for them.

The files are PyTorch state dicts of the networks of PANNs (Kong et al., arXiv 1912.10211) and
VI-PANN (arXiv 2401.05531), whose Flipout file has a `mu_kernel` and a `rho_kernel` instead of each
convolution's `weight`. PyTorch stores convolution kernels as [out, in, time, mel] and dense kernels
as [out, in]; Keras stores [time, mel, in, out] and [in, out].
"""

import dataclasses
from typing import Literal, get_args

from vipann_tf.audio.logmel import FFT_LENGTH, MEL_BANDS
from vipann_tf.models.architecture import (
    EXPANSION,
    STAGE_BLOCKS,
    STAGE_PLANES,
    STEM_FILTERS,
    TOP_FILTERS,
    Depth,
)

__all__ = ["DEPTHS", "FRONTEND_TENSORS", "KINDS", "CheckpointKind", "PublishedTensor", "layout"]

CheckpointKind = Literal["resnet22", "resnet38", "deterministic", "flipout"]
KINDS: tuple[CheckpointKind, ...] = get_args(CheckpointKind)
DEPTHS: dict[CheckpointKind, Depth] = {
    "resnet22": 22,
    "resnet38": 38,
    "deterministic": 54,  # also PANNs' ResNet54, with the same tensors
    "flipout": 54,
}

_STFT = "spectrogram_extractor.stft"
_BINS = FFT_LENGTH // 2 + 1
FRONTEND_TENSORS: dict[str, tuple[int, ...]] = {
    f"{_STFT}.conv_real.weight": (_BINS, 1, FFT_LENGTH),
    f"{_STFT}.conv_imag.weight": (_BINS, 1, FFT_LENGTH),
    "logmel_extractor.melW": (_BINS, MEL_BANDS),
}

_CONV_AXES = (2, 3, 1, 0)  # [out, in, time, mel] -> [time, mel, in, out]
_DENSE_AXES = (1, 0)  # [out, in] -> [in, out]
_VECTOR_AXES = (0,)


@dataclasses.dataclass(frozen=True)
class PublishedTensor:
    """A tensor of a checkpoint.

    Attributes:
      shape: Shape in the file.
      variable: Our variable for it, "<layer name>/<variable>"; `None` if there is none.
      axes: Transposition to the variable's layout.
    """

    shape: tuple[int, ...]
    variable: str | None = None
    axes: tuple[int, ...] = ()


def layout(kind: CheckpointKind, labels: int) -> dict[str, PublishedTensor]:
    """Return all tensors of a kind of checkpoint, by their names in the file.

    Args:
      kind: Kind of the checkpoint.
      labels: Number of labels of its classifier; 527 in the published files.
    """
    tensors = {name: PublishedTensor(shape) for name, shape in FRONTEND_TENSORS.items()}
    depth = DEPTHS[kind]

    def norm(name: str, channels: int, layer: str) -> None:
        for theirs, ours in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        ):
            tensors[f"{name}.{theirs}"] = PublishedTensor(
                (channels,), f"{layer}/{ours}", _VECTOR_AXES
            )
        tensors[f"{name}.num_batches_tracked"] = PublishedTensor(())

    def conv(name: str, inputs: int, outputs: int, size: int, layer: str) -> None:
        shape = (outputs, inputs, size, size)
        kernels = {"weight": "kernel"}
        if kind == "flipout":
            kernels = {"mu_kernel": "kernel_loc", "rho_kernel": "kernel_rho"}
        for theirs, ours in kernels.items():
            tensors[f"{name}.{theirs}"] = PublishedTensor(shape, f"{layer}/{ours}", _CONV_AXES)

    def dense(name: str, inputs: int, outputs: int, layer: str) -> None:
        tensors[f"{name}.weight"] = PublishedTensor(
            (outputs, inputs), f"{layer}/kernel", _DENSE_AXES
        )
        tensors[f"{name}.bias"] = PublishedTensor((outputs,), f"{layer}/bias", _VECTOR_AXES)

    def conv_block(name: str, inputs: int, outputs: int) -> None:
        conv(f"{name}.conv1", inputs, outputs, 3, f"{name}.conv1")
        conv(f"{name}.conv2", outputs, outputs, 3, f"{name}.conv2")
        norm(f"{name}.bn1", outputs, f"{name}.bn1")
        norm(f"{name}.bn2", outputs, f"{name}.bn2")

    norm("bn0", MEL_BANDS, "bn0")
    conv_block("conv_block1", 1, STEM_FILTERS)
    channels = STEM_FILTERS
    for stage, (planes, blocks) in enumerate(
        zip(STAGE_PLANES, STAGE_BLOCKS[depth], strict=True), start=1
    ):
        outputs = planes * EXPANSION[depth]
        for block in range(blocks):
            name, layer = f"resnet.layer{stage}.{block}", f"stage{stage}.block{block}"
            for index, (inputs, filters, size) in enumerate(
                _convolutions(depth, channels, planes), start=1
            ):
                conv(f"{name}.conv{index}", inputs, filters, size, f"{layer}.conv{index}")
                norm(f"{name}.bn{index}", filters, f"{layer}.bn{index}")
            if channels != outputs:
                # Number 0 of the sequence is the average pooling, if the block has one.
                first = 1 if stage > 1 else 0
                shortcut = f"{name}.downsample"
                conv(f"{shortcut}.{first}", channels, outputs, 1, f"{layer}.shortcut.conv")
                norm(f"{shortcut}.{first + 1}", outputs, f"{layer}.shortcut.bn")
            channels = outputs
    conv_block("conv_block_after1", channels, TOP_FILTERS)
    dense("fc1", TOP_FILTERS, TOP_FILTERS, "fc1")
    dense("fc_audioset", TOP_FILTERS, labels, "fc_out")
    return tensors


def _convolutions(depth: int, inputs: int, planes: int) -> list[tuple[int, int, int]]:
    """Return (inputs, outputs, size) of a residual block's convolutions."""
    if depth == 54:
        return [(inputs, planes, 1), (planes, planes, 3), (planes, planes * EXPANSION[54], 1)]
    return [(inputs, planes, 3), (planes, planes, 3)]
