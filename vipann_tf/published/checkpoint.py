"""Recognition, check and conversion of a published checkpoint."""

import dataclasses
import os
from collections.abc import Iterable, Mapping

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Architecture
from vipann_tf.published.frontend import check_frontend
from vipann_tf.published.layout import (
    DEPTHS,
    FRONTEND_TENSORS,
    KINDS,
    CheckpointKind,
    layout,
)
from vipann_tf.published.torch_file import read_state_dict

__all__ = ["Checkpoint", "check_tensors", "read_checkpoint", "to_variables"]

_CLASSIFIER = "fc_audioset.weight"
_PUBLISHED_LABELS = 527
# Least share of common names, among all names, for a file to be of a kind.
_RECOGNISED = 0.5
_LISTED = 10


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The tensors of a published checkpoint, complete and of the right shapes.

    Attributes:
      kind: `resnet22`, `resnet38`, `deterministic` (PANNs' ResNet54 and VI-PANN's deterministic
        network) or `flipout`.
      tensors: Arrays by their names in the file, possibly still on disk.
    """

    kind: CheckpointKind
    tensors: Mapping[str, np.ndarray]

    @property
    def labels(self) -> int:
        """Number of labels of the classifier; 527 in the published files."""
        return self.tensors[_CLASSIFIER].shape[0]

    @property
    def architecture(self) -> Architecture:
        """The network that the weights belong to.

        The published Flipout network has Bayesian convolutions and a deterministic head, and was
        trained with one sign per activation.
        """
        flipout = self.kind == "flipout"
        return Architecture(
            depth=DEPTHS[self.kind],
            trunk="flipout" if flipout else "deterministic",
            signs="activation" if flipout else "channel",
            labels=self.labels,
            task="multilabel",
        )


def read_checkpoint(path: StrPath) -> Checkpoint:
    """Read a checkpoint of PANNs' ResNet22, ResNet38, ResNet54 or of VI-PANN.

    Args:
      path: The .pth file.

    Returns:
      The checkpoint, checked by `check_tensors`; the arrays are read when they are used.

    Raises:
      UserError: See `read_state_dict` and `check_tensors`.
    """
    tensors = read_state_dict(path)
    return Checkpoint(check_tensors(tensors, os.fspath(path)), tensors)


def check_tensors(tensors: Mapping[str, np.ndarray], origin: str) -> CheckpointKind:
    """Return the kind of published checkpoint that has exactly these tensors.

    Args:
      tensors: Arrays by name.
      origin: Name of the checkpoint for messages.

    Raises:
      UserError: The network cannot be imported, was trained with another frontend, or has missing
        or unexpected tensors or other shapes, which the message lists.
    """
    labels = _PUBLISHED_LABELS
    if _CLASSIFIER in tensors and tensors[_CLASSIFIER].ndim == 2:
        labels = tensors[_CLASSIFIER].shape[0]
    kind, score = max(
        ((kind, _similarity(tensors, layout(kind, labels))) for kind in KINDS),
        key=lambda scored: scored[1],
    )
    if score < _RECOGNISED:
        raise UserError(_unrecognised(tensors, origin))
    check_frontend(tensors, origin)
    expected = layout(kind, labels)
    problems = [
        _listed("missing", [name for name in expected if name not in tensors]),
        _listed("unexpected", [name for name in tensors if name not in expected]),
        _listed(
            "of another shape",
            [
                f"{name} {list(tensors[name].shape)} instead of {list(published.shape)}"
                for name, published in expected.items()
                # `check_frontend` compares the frontend's shapes.
                if name in tensors
                and name not in FRONTEND_TENSORS
                and tensors[name].shape != published.shape
            ],
        ),
    ]
    problems = [problem for problem in problems if problem]
    if problems:
        raise UserError(
            f"{origin} looks like a {kind} checkpoint, but its tensors do not fit: "
            + "; ".join(problems)
            + ". Give the published file, or one with exactly its layout."
        )
    return kind


def to_variables(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Return the checkpoint's values for our variables.

    Args:
      checkpoint: The checkpoint, from `read_checkpoint`.

    Returns:
      Arrays by "<layer name>/<variable>", float32, in Keras's layout. They are transposed views of
      the checkpoint's arrays: nothing is copied before a variable is assigned.

    Raises:
      UserError: Some tensors have values that are not finite; the message lists them.
    """
    variables, broken = {}, []
    for name, published in layout(checkpoint.kind, checkpoint.labels).items():
        if published.variable is None:
            continue
        values = checkpoint.tensors[name]
        if not np.isfinite(values).all():
            broken.append(name)
        variables[published.variable] = values.transpose(published.axes)
    if broken:
        raise UserError(
            "the checkpoint has values that are not finite: "
            + _listed("with NaN or infinity", broken)
            + ". Download it again, or import an earlier checkpoint of its training."
        )
    return variables


def _similarity(tensors: Iterable[str], expected: Iterable[str]) -> float:
    """Compute the share of common names among all names."""
    ours, theirs = set(tensors), set(expected)
    return len(ours & theirs) / len(ours | theirs)


def _listed(what: str, names: list[str]) -> str:
    """Format names as "12 missing: a, b, ... and 2 more", or "" for none."""
    if not names:
        return ""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} {what}: " + ", ".join(names[:_LISTED]) + more


def _unrecognised(tensors: Mapping[str, np.ndarray], origin: str) -> str:
    can = "vipann-tf imports PANNs' ResNet22, ResNet38 and ResNet54 and VI-PANN's networks"
    modules = sorted({name.split(".")[0] for name in tensors})
    if "conv_block2" in modules and "resnet" not in modules:
        network = "Cnn14" if "conv_block6" in modules else "Cnn6 or Cnn10"
        return f"{origin} looks like PANNs' {network}, which has no residual blocks; {can}."
    shown = ", ".join(modules[:_LISTED]) + (", ..." if len(modules) > _LISTED else "")
    return f"{origin} is not a network that can be imported: its modules are {shown}; {can}."
