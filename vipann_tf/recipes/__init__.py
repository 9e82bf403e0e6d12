"""Recipes: the settings of a training run, as typed values that are read from YAML."""

from vipann_tf.recipes.files import find_recipe, load_recipe, shipped_recipes
from vipann_tf.recipes.schema import (
    Augment,
    Data,
    Export,
    Mode,
    Network,
    Optimizer,
    PretrainRecipe,
    Section,
    Strategy,
    Training,
    TrainingRecipe,
    TransferRecipe,
    Validation,
    Variational,
)

__all__ = [
    "Augment",
    "Data",
    "Export",
    "Mode",
    "Network",
    "Optimizer",
    "PretrainRecipe",
    "Section",
    "Strategy",
    "Training",
    "TrainingRecipe",
    "TransferRecipe",
    "Validation",
    "Variational",
    "find_recipe",
    "load_recipe",
    "shipped_recipes",
]
