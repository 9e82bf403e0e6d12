"""Writing model directories."""

import os
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.saved_model.metadata import ModelInfo, write_metadata
from vipann_tf.saved_model.signatures import Signatures


def check_vacant(directory: str | Path, *, overwrite: bool) -> None:
    """Raises a `UserError` where a finished model is in the way."""
    versions = finished_versions(directory)
    if versions and not overwrite:
        raise UserError(f"{directory} holds a model already; choose another --out, or --overwrite")
    path = Path(directory)
    if path.exists() and not path.is_dir():
        raise UserError(f"{directory} is a file; choose a directory for --out")


def finished_versions(directory: str | Path) -> list[Path]:
    """The version folders of a model directory, oldest first."""
    path = Path(directory)
    if not path.is_dir():
        return []
    return sorted(
        (child for child in path.iterdir() if child.is_dir() and child.name.isdecimal()),
        key=lambda child: int(child.name),
    )


def export(
    model: VIPANN, directory: str | Path, info: ModelInfo, labels: list[str], *, overwrite=False
) -> Path:
    """Writes a model directory with one version; it appears when it is complete.

    Args:
      model: The network, of any precision; the SavedModel computes in float32.
      directory: NAME of the model; the version folder is NAME/1.
      info: Metadata. `variables` is filled in here.
      labels: Label names in the order of the outputs.
      overwrite: Whether to replace the versions that are there.

    Returns:
      The version folder.

    Raises:
      UserError: A model is there and is not to be replaced.
    """
    check_vacant(directory, overwrite=overwrite)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    signatures = Signatures(
        in_float32(model), samples=info.samples, seed=info.seed, sample_rate_hz=info.sample_rate_hz
    )
    # Hidden from TF Serving, which looks for numbers, until the rename.
    stage = Path(tempfile.mkdtemp(prefix=".export-", dir=directory))
    try:
        tf.saved_model.save(
            signatures.module(), str(stage / "model"), signatures=signatures.functions
        )
        (stage / "model" / "fingerprint.pb").unlink(missing_ok=True)
        info = info.model_copy(update={"variables": list(model.named_variables())})
        write_metadata(stage / "model", info, labels)
        for version in finished_versions(directory):
            shutil.rmtree(version)
        os.rename(stage / "model", directory / "1")
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return directory / "1"


def in_float32(model: VIPANN) -> VIPANN:
    """The same network computing in float32: `model` itself where it does."""
    if model.network.compute_dtype == "float32":
        return model
    twin = VIPANN(model.architecture, dtype="float32")
    copy_variables(model, twin)
    return twin


def copy_variables(source: VIPANN, target: VIPANN) -> None:
    """Gives `target` the variables of `source`, a network of the same architecture."""
    values = source.named_variables()
    for name, variable in target.named_variables().items():
        variable.assign(values[name])
