"""Import of a published checkpoint as a model directory."""

import os
from pathlib import Path

from vipann_tf.audio.logmel import SAMPLE_RATE_HZ
from vipann_tf.errors import UserError
from vipann_tf.models.architecture import Signs
from vipann_tf.models.vipann import VIPANN
from vipann_tf.published.checkpoint import read_checkpoint, to_variables
from vipann_tf.published.labels import audioset_labels, read_labels
from vipann_tf.saved_model.export import check_vacant, export
from vipann_tf.saved_model.metadata import ModelInfo

# AudioSet's clips (Gemmeke et al. 2017).
CLIP_SECONDS = 10.0
DEFAULT_NUM_DRAWS = 20


def import_checkpoint(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    *,
    labels: str | os.PathLike | None = None,
    signs: Signs | None = None,
    num_draws: int = DEFAULT_NUM_DRAWS,
    overwrite: bool = False,
) -> Path:
    """Read a PANNs or VI-PANN checkpoint and write its model directory.

    Args:
      checkpoint: The .pth file.
      out: Model directory to make.
      labels: CSV of label names; by default AudioSet's 527.
      signs: Flipout signs per `channel` or `activation`; by default as in training, which is per
        `activation` for the published Flipout file.
      num_draws: Number of draws of `serving_default`.
      overwrite: Whether to replace an existing model.

    Returns:
      The version folder.

    Raises:
      UserError: The file is not such a checkpoint, or the labels do not fit it.
    """
    check_vacant(out, overwrite=overwrite)
    read = read_checkpoint(checkpoint)
    architecture = read.architecture
    if signs is not None:
        if architecture.trunk != "flipout":
            raise UserError(f"signs is {signs!r}, but {checkpoint} is {read.kind}: it draws none")
        architecture = architecture.model_copy(update={"signs": signs})
    if labels is None and read.labels != len(audioset_labels()):
        raise UserError(
            f"{checkpoint} has {read.labels} labels, but AudioSet has {len(audioset_labels())}; "
            "give their names with --labels"
        )
    names = audioset_labels() if labels is None else read_labels(labels, read.labels)
    model = VIPANN(architecture)
    model.assign(to_variables(read))
    info = ModelInfo(
        origin="import",
        architecture=architecture,
        sample_rate_hz=SAMPLE_RATE_HZ,
        clip_seconds=CLIP_SECONDS,
        num_draws=num_draws,
        seed=0,
        variables=[],
        recipe={"checkpoint": os.path.basename(checkpoint), "kind": read.kind},
    )
    return export(model, out, info, list(names), overwrite=overwrite)
