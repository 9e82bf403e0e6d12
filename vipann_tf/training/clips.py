"""Which clips of a dataset's splits a training hears, and how many they are."""

import os
from collections.abc import Sequence

from vipann_tf.recipes import PretrainRecipe, TransferRecipe
from vipann_tf.records.schema import DatasetInfo
from vipann_tf.records.subset import choose


def training_clips(
    recipe: PretrainRecipe | TransferRecipe,
    data: str | os.PathLike,
    dataset: DatasetInfo,
    splits: Sequence[str],
) -> tuple[list[bytes] | None, int]:
    """The share of the clips that a recipe asks for.

    Args:
      recipe: `data.fraction` is the share, `training.seed` chooses.
      data: Dataset directory.
      dataset: What it holds.
      splits: Splits to train on.

    Returns:
      Their ids, `None` for all, and their number.
    """
    if recipe.data.fraction == 1:
        return None, dataset.count(splits)
    chosen = choose(
        data, splits, recipe.data.fraction, recipe.training.seed, recipe.data.on_corrupt
    )
    return chosen, len(chosen)
