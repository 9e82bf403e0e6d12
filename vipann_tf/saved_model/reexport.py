"""A model written anew with other settings of serving; its weights stay what they are."""

from pathlib import Path

from vipann_tf.saved_model.export import add_version, check_served
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.metadata import Calibration, Draws, Precision, read_info, read_labels
from vipann_tf.saved_model.versions import next_version


def reexport(
    model: str | Path,
    out: str | Path,
    *,
    samples: int | None = None,
    seed: int | None = None,
    precision: Precision | None = None,
    draws: Draws | None = None,
    fixed_seconds: float | None = None,
    calibration: Calibration | None = None,
    version: int | None = None,
) -> Path:
    """Writes a version of a model; what is `None` stays as the model has it.

    Args:
      model: Model directory to read.
      out: Model directory to add the version to; it may be the same.
      samples, seed: Draws and seed of `serving_default`.
      precision: What the SavedModel computes with; its variables are float32 in both.
      draws: `sampled` draws the kernels in each request, `stored` keeps them in the SavedModel.
      fixed_seconds: The one length of waveform to take.
      calibration: Applied to the logits of every draw.
      version: Its number; by default one more than the highest in `out`.

    Returns:
      The version folder.

    Raises:
      UserError: No model is there, or it cannot be served so, or the number is not above the others.
    """
    chosen = {
        "samples": samples,
        "seed": seed,
        "precision": precision,
        "draws": draws,
        "fixed_seconds": fixed_seconds,
        "calibration": calibration,
    }
    info = read_info(model)
    info = info.model_copy(update={k: v for k, v in chosen.items() if v is not None})
    check_served(info)  # before the weights are read
    next_version(out, version)
    network, _ = load_model(model)
    return add_version(network, out, info, read_labels(model), version=version)
