"""BatchNorm statistics of the draws that a training exports; see `models.draw_statistics`."""

from vipann_tf.errors import UserError
from vipann_tf.evaluation.draw_statistics import CLIPS, LEAST_CLIPS, statistics_on
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.draw_statistics import DrawStatistics
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import TrainingRecipe
from vipann_tf.records.subset import choose
from vipann_tf.saved_model.metadata import BatchNormStatistics
from vipann_tf.training.clips import TrainingClips


def batch_norm_statistics(
    recipe: TrainingRecipe, architecture: Architecture, clips: TrainingClips
) -> BatchNormStatistics:
    """Return which BatchNorm statistics the draws of the export use.

    Raises:
      UserError: The recipe asks for those of each draw, which there cannot be.
    """
    wanted = recipe.export.batch_norm
    if wanted == "auto":
        per_channel = architecture.trunk == "flipout" and architecture.signs == "channel"
        return "draw" if per_channel and clips.count >= LEAST_CLIPS else "stored"
    if wanted == "draw" and architecture.trunk == "deterministic":
        raise UserError(
            "export.batch_norm is 'draw', but the trunk is deterministic: all draws have the "
            "statistics of the training; leave it out"
        )
    if wanted == "draw" and clips.count < LEAST_CLIPS:
        raise UserError(
            f"export.batch_norm is 'draw', which needs {LEAST_CLIPS} training clips or more; there "
            f"are {clips.count}; use 'stored'"
        )
    return wanted


def statistics_of_export(
    model: VIPANN, recipe: TrainingRecipe, clips: TrainingClips
) -> DrawStatistics:
    """Estimate the statistics of the export's draws on some of the clips that it is trained on."""
    share = min(CLIPS / clips.count, 1.0) * recipe.data.fraction
    # A smaller share of the clips is a part of a larger one.
    chosen = choose(clips.data, clips.splits, share, recipe.training.seed, recipe.data.on_corrupt)
    return statistics_on(
        model,
        clips.data,
        clips.splits,
        chosen,
        num_draws=recipe.export.num_draws,
        seed=recipe.export.seed,
    )
