"""What a recipe may ask for where a head is trained on features. No TensorFlow in here."""

from vipann_tf.errors import UserError
from vipann_tf.recipes import TransferRecipe

__all__ = ["STRATEGIES", "check_recipe"]

# Those whose trunk is deterministic. `drop` draws masks in the trunk, so a clip has no features
# that could be kept.
STRATEGIES = ("det", "det-flip", "det-laplace")


def check_recipe(recipe: TransferRecipe) -> None:
    """Raise a `UserError` if features of clips are not enough to train by a recipe."""
    if recipe.strategy not in STRATEGIES:
        raise UserError(
            f"strategy is {recipe.strategy}; a head is trained on features by "
            f"{', '.join(STRATEGIES)}, whose trunk is deterministic. Use `vipann-tf transfer` for "
            "the others"
        )
    refused = {
        "mode": (recipe.mode, "fixed"),
        "keep_head": (recipe.keep_head, False),
        "augment": (recipe.augment.any, False),
        "data.balance": (recipe.data.balance, False),
        "data.fraction": (recipe.data.fraction, 1.0),
        "validation.splits": (recipe.validation.splits, []),
        "training.precision": (recipe.training.precision, "float32"),
        "training.xla": (recipe.training.xla, False),
        "export.batch_norm": (recipe.export.batch_norm == "draw", False),
    }
    for key, (value, allowed) in refused.items():
        if value != allowed:
            raise UserError(
                f"{key} is {value}, but a head is trained on features with {key} {allowed}; change "
                "it, or use `vipann-tf transfer`"
            )
