"""Reading of tensors from a PyTorch file, without running code from its pickle."""

import os
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath

__all__ = ["read_state_dict"]

_ZIP_START = b"PK\x03\x04"  # torch.save since 1.6
_PICKLE_START = b"\x80"  # torch.save before 1.6

# Errors that `torch.load` raises for damaged files, depending on the damaged byte.
_DAMAGED = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    struct.error,
)


def read_state_dict(path: StrPath) -> dict[str, np.ndarray]:
    """Read the named tensors of a checkpoint, as arrays that are loaded when they are used.

    A file of the current format is memory-mapped, so that weights use memory only when they are
    read. A file in the format before torch 1.6 is read completely.

    Args:
      path: A file of `torch.save` with a state dict, or a dict with a state dict as "model", as in
        the training scripts of PANNs and VI-PANN.

    Returns:
      Arrays by tensor name, in the file's order; writing to one does not change the file. A prefix
      "module." of every name, from data-parallel training, is removed. Floating-point tensors are
      float32.

    Raises:
      UserError: torch is not installed; the file is missing, truncated, damaged or not a PyTorch
        file; its pickle would run code; or it has no state dict.
    """
    path = os.fspath(path)
    try:
        import torch
    except ImportError as error:
        raise UserError(
            "reading a PyTorch checkpoint needs torch, which is not installed: "
            "pip install 'vipann-tf[torch]'"
        ) from error
    is_zip = _check_start(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle's version
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise UserError(_refusal(path, str(error))) from error
    except _DAMAGED as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path} is damaged or not a PyTorch checkpoint ({reason}); download it again."
        ) from error
    return {name: _to_array(path, name, tensor) for name, tensor in _state_dict(path, content)}


def _check_start(path: str) -> bool:
    """Return whether the file is a zip archive; refuse files that torch cannot have written."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if not start:
        raise UserError(f"{path} is empty; download it again.")
    if start.startswith(_ZIP_START):
        if not _has_directory(path):
            raise UserError(
                f"{path} is truncated: it starts as a PyTorch checkpoint, but its end is missing "
                f"after {os.path.getsize(path)} bytes; download it again."
            )
        return True
    if not start.startswith(_PICKLE_START):
        raise UserError(
            f"{path} is not a PyTorch checkpoint: it begins with {start[:16]!r}. "
            "Give the .pth file itself."
        )
    return False


def _has_directory(path: str) -> bool:
    """Return whether the directory at the end of a zip archive exists."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        return False


def _refusal(path: str, message: str) -> str:
    """Describe why the restricted unpickler refused a pickle."""
    wanted = re.search(r"GLOBAL (\S+)", message)
    if wanted is None:
        # Leave out torch's advice, which includes loading the file unsafely.
        advice = ("Weights only", "Please file", "Check the")
        reasons = [text for text in message.split("\n\n") if not text.startswith(advice)]
        reason = " ".join(reasons[-1].split()) if reasons else "unreadable pickle"
        return f"{path} is damaged or not a PyTorch checkpoint ({reason}); download it again."
    return (
        f"{path} is refused: its pickle refers to {wanted[1]}, which is no tensor, and loading it "
        "would run code. Import a file with only a state dict; if you trust this one, load it in "
        'PyTorch and save {"model": model.state_dict()}.'
    )


def _state_dict(path: str, content: object) -> list[tuple[str, object]]:
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not content:
        raise UserError(
            f"{path} holds {_describe(content)} where a state dict, or a dict with one as "
            '"model", is expected.'
        )
    items = [(str(name), value) for name, value in content.items()]
    if all(name.startswith("module.") for name, _ in items):
        items = [(name.removeprefix("module."), value) for name, value in items]
    return items


def _to_array(path: str, name: str, tensor: Any) -> np.ndarray:
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise UserError(
            f"{path} holds {_describe(tensor)} under {name!r} where a tensor is expected; "
            "import a file that holds a state dict."
        )
    try:
        if tensor.is_floating_point():
            tensor = tensor.float()  # the same tensor if it is float32 already
        return tensor.detach().numpy()
    except (RuntimeError, TypeError) as error:
        raise UserError(
            f"{path} holds a {tensor.dtype} tensor under {name!r} that is not a plain array of "
            "numbers; save it dense and unquantised."
        ) from error


def _describe(value: object) -> str:
    if isinstance(value, Mapping):
        return "a dict of " + (", ".join(map(repr, list(value)[:5])) or "nothing")
    return f"a {type(value).__name__}"
