"""Export of model directories."""

import contextlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.ensemble import Ensemble
from vipann_tf.models.ensemble_architecture import EnsembleArchitecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.saved_model.card import model_card
from vipann_tf.saved_model.metadata import (
    MAX_DRAWS,
    METADATA_JSON,
    MIN_SECONDS,
    MODEL_CARD,
    DrawStorage,
    ModelInfo,
    check_rounds,
    write_metadata,
)
from vipann_tf.saved_model.signatures import Signatures
from vipann_tf.saved_model.versions import (
    check_vacant,
    finished_versions,
    next_version,
    staged_version,
)
from vipann_tf.saved_model.warmup import write_warmup

__all__ = ["check_vacant", "export", "finished_versions"]

# Largest size of the drawn heads that an export stores by default.
STORED_BYTES = 64 * 2**20

# Keras policies. Variables are float32 in both, so that training can start from any export.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def export(
    model: VIPANN | Ensemble,
    directory: StrPath,
    info: ModelInfo,
    labels: list[str],
    *,
    overwrite: bool = False,
    extras: Mapping[str, Path] | None = None,
) -> Path:
    """Write a new model directory; its version appears when it is complete.

    Args:
      model: The network, of any precision; the SavedModel computes in `info.precision`.
      directory: NAME of the model; the version folder is NAME/1.
      info: Metadata. `variables` is filled in here.
      labels: Label names in the order of the outputs.
      overwrite: Whether to replace the existing versions. The new one has the next number, since a
        server does not reload a number; the others are removed after it is written.
      extras: Files and folders to copy to assets.extra, by their names there.

    Returns:
      The version folder.

    Raises:
      UserError: A model exists and `overwrite` is false, or `info` cannot be served.
    """
    check_vacant(directory, overwrite=overwrite)
    old = finished_versions(directory)
    version = add_version(model, directory, info, labels, extras=extras)
    for folder in old:
        shutil.rmtree(folder)
    return version


def add_version(
    model: VIPANN | Ensemble,
    directory: StrPath,
    info: ModelInfo,
    labels: list[str],
    *,
    version: int | None = None,
    extras: Mapping[str, Path] | None = None,
) -> Path:
    """Write one more version of a model, beside the existing ones.

    Args:
      model: The network, of any precision.
      directory: NAME of the model.
      info: Metadata. `variables` is filled in here.
      labels: Label names in the order of the outputs.
      version: Number of the version; by default one more than the highest.
      extras: Files and folders to copy to assets.extra, by their names there.

    Returns:
      The version folder.

    Raises:
      UserError: The number is not above the existing ones, or `info` cannot be served.
    """
    check_served(info)
    number = next_version(directory, version)
    info = info.model_copy(update={"variables": list(model.named_variables())})
    if model.precision != info.precision:
        model = model.twin(dtype=POLICIES[info.precision])
    signatures = Signatures(model, info)
    with staged_version(directory, number) as stage:
        with _no_information():
            tf.saved_model.save(signatures.module(), str(stage), signatures=signatures.functions)
        # It differs between two exports of one model.
        (stage / "fingerprint.pb").unlink(missing_ok=True)
        write_metadata(stage, info, labels)
        write_warmup(stage, info)
        text = model_card(info, labels, name=Path(directory).name)
        (stage / MODEL_CARD).write_text(text, encoding="utf-8")
        for name, source in (extras or {}).items():
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, stage / METADATA_JSON.parent / name)
    return Path(directory) / str(number)


@contextlib.contextmanager
def _no_information() -> Iterator[None]:
    """Keep TensorFlow from telling, as in notebooks, where the files are: it knows the stage."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)


def default_draw_storage(architecture: Architecture, num_draws: int) -> DrawStorage:
    """Return `stored` if only the head is random, and small, else `sampled`.

    Reading such a head from memory is cheaper than drawing it: 100 draws of the ESC-10 model then
    take about as long as one (benchmarks/RESULTS.md, draws).
    """
    head_alone = architecture.trunk == "deterministic" and architecture.head == "flipout"
    weights = architecture.embedding_size * (architecture.pooled_size + architecture.labels)
    fits = num_draws * weights * tf.float32.size <= STORED_BYTES
    return "stored" if head_alone and fits else "sampled"


def check_served(info: ModelInfo) -> None:
    """Raise a `UserError` if no SavedModel can have these settings."""
    if not 1 <= info.num_draws <= MAX_DRAWS:
        raise UserError(f"num_draws is {info.num_draws}; use 1 to {MAX_DRAWS}")
    if info.fixed_seconds is not None and not info.fixed_seconds >= MIN_SECONDS:
        raise UserError(
            f"a length of {info.fixed_seconds:g} s is too short for the network; use "
            f"{MIN_SECONDS:g} s or more"
        )
    if isinstance(info.architecture, EnsembleArchitecture):
        check_rounds(info.architecture, info.num_draws)
        if info.draw_storage == "stored":
            raise UserError(
                "draw_storage 'stored' is for single Flipout models; the draws of an ensemble are "
                "'sampled'"
            )
        return
    kinds = (info.architecture.trunk, info.architecture.head)
    if info.draw_storage == "stored" and ("flipout" not in kinds or "dropout" in kinds):
        raise UserError(
            f"draw_storage 'stored' needs a Flipout model; this one has a {kinds[0]} trunk and a "
            f"{kinds[1]} head: dropout masks depend on the clip's length, a Laplace head is drawn "
            "in each request, and a deterministic network has no draws. Use 'sampled'"
        )
