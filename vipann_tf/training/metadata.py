"""The metadata of a model that a training has made."""

from typing import Any

from vipann_tf.models.architecture import Architecture
from vipann_tf.recipes import TrainingRecipe, TransferRecipe
from vipann_tf.saved_model.export import default_draw_storage
from vipann_tf.saved_model.metadata import ModelInfo, TrainingData

# The fields of a base that the metadata of a model contain.
BASE_FIELDS = {"origin", "architecture", "data", "training"}


def model_info(
    architecture: Architecture,
    recipe: TrainingRecipe,
    data: TrainingData,
    *,
    sample_rate_hz: int,
    clip_seconds: float,
    base: ModelInfo | None,
    outcome: dict[str, Any],
) -> ModelInfo:
    """Return the metadata of a trained network; `export` fills in its variables.

    Args:
      architecture: The network to export.
      recipe: What it was trained by.
      data: What it was trained on.
      sample_rate_hz: Sample rate of the clips.
      clip_seconds: Length of the clips.
      base: Model that it started from; `None` if it was trained from scratch.
      outcome: What the training found: steps, seconds, last losses.
    """
    wanted = recipe.export
    return ModelInfo(
        origin="transfer" if isinstance(recipe, TransferRecipe) else "pretrain",
        architecture=architecture,
        sample_rate_hz=sample_rate_hz,
        clip_seconds=clip_seconds,
        num_draws=wanted.num_draws,
        seed=wanted.seed,
        draw_storage=wanted.draw_storage or default_draw_storage(architecture, wanted.num_draws),
        variables=[],
        data=data,
        base=None if base is None else base.model_dump(mode="json", include=BASE_FIELDS),
        recipe=recipe.model_dump(mode="json"),
        training=outcome,
    )
