"""Transfer of a pretrained network to new labels, by one of the `strategies`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import TransferRecipe, Variational
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.export import check_vacant
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.training import fit
from vipann_tf.training.clips import training_clips
from vipann_tf.training.progress import Progress
from vipann_tf.training.strategies import kinds_of, strategies_for


def transfer(
    recipe: TransferRecipe,
    base: StrPath,
    data: StrPath,
    out: StrPath,
    *,
    test_fold: int | None = None,
    distribution: tf.distribute.Strategy | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path | None:
    """Train a pretrained network on the labels of a dataset, and write its model directory.

    Args:
      recipe: Strategy, mode and settings.
      base: Model directory of the pretrained network.
      data: Dataset directory.
      out: Model directory to make. A run that was stopped is resumed.
      test_fold: Number of the fold that is held out; without it, `train` or the splits that the
        recipe names.
      distribution: Devices that train the network; by default one.
      overwrite: Whether to replace a model or an unfinished run.
      on_progress: Called after every step.

    Returns:
      The version folder; `None` in a worker that leaves the writing to another.

    Raises:
      UserError: An argument is wrong, or training failed; the message says why.
    """
    check_vacant(out, overwrite=overwrite)
    kinds_of(recipe)
    base_info = read_model_info(base)
    dataset = read_dataset_info(data)
    if dataset.sample_rate_hz != base_info.sample_rate_hz:
        raise UserError(
            f"{data} has {dataset.sample_rate_hz} Hz, the base model {base_info.sample_rate_hz} "
            "Hz; prepare the data anew"
        )
    splits, held_out = training_splits(
        dataset, recipe.data.train, test_fold, recipe.validation.splits
    )
    architecture = transferred_architecture(recipe, base_info.architecture, dataset, str(base))
    clips = training_clips(recipe, data, dataset, splits, held_out)
    distribution = distribution or tf.distribute.get_strategy()
    model = fit.build(architecture, recipe, distribution)
    load_trunk(model, read_variables(base), recipe.variational)
    if recipe.mode == "fixed":
        model.freeze_trunk()
    return fit.fit(
        model,
        recipe,
        clips,
        out,
        distribution=distribution,
        base=base_info,
        overwrite=overwrite,
        on_progress=on_progress,
    )


def training_splits(
    dataset: DatasetInfo,
    wanted: list[str] | None,
    test_fold: int | None,
    validated: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """Return the splits to train on, and those held out.

    Args:
      dataset: The dataset.
      wanted: Splits that the recipe names.
      test_fold: Fold to hold out.
      validated: Splits that are scored during the training; a fold among them is not trained on.

    Raises:
      UserError: A fold or split is unknown, or there is nothing to train on.
    """
    folds = [name for name in dataset.splits if name.startswith("fold")]
    if test_fold is not None:
        held_out = f"fold{test_fold}"
        if held_out not in folds:
            have = ", ".join(name.removeprefix("fold") for name in folds) or "no folds"
            raise UserError(f"test fold {test_fold} is unknown; dataset {dataset.name} has {have}")
        left = [name for name in folds if name not in validated]
        return dataset.check_splits(x for x in wanted or left if x != held_out), [held_out]
    if wanted is None:
        if "train" not in dataset.splits:
            raise UserError(
                f"dataset {dataset.name} has the splits {', '.join(dataset.splits)}; say which "
                "fold to hold out (--test-fold), or what to train on (--set data.train=[...])"
            )
        wanted = ["train"]
    splits = dataset.check_splits(wanted)
    return splits, [name for name in dataset.splits if name not in (*splits, *validated)]


def transferred_architecture(
    recipe: TransferRecipe, base: Architecture, dataset: DatasetInfo, name: str
) -> Architecture:
    """Return the architecture of the new network.

    Args:
      recipe: Strategy, signs, dropout rate.
      base: Architecture of the base.
      dataset: Dataset whose labels the new network has.
      name: Name of the base for messages.

    Raises:
      UserError: The strategy and the base do not go together.
    """
    kinds = kinds_of(recipe)
    if base.trunk != kinds.base:
        raise UserError(
            f"strategy {recipe.strategy} starts from a {kinds.base} base, but {name} is "
            f"{base.trunk}; for it use {strategies_for(base.trunk)}"
        )
    if recipe.signs is not None and kinds.trunk != "flipout":
        raise UserError(
            f"signs is {recipe.signs!r}, but strategy {recipe.strategy} has a {kinds.trunk} trunk: "
            "only Flipout convolutions draw signs; leave it out"
        )
    return base.model_copy(
        update={
            "trunk": kinds.trunk,
            "signs": recipe.signs or base.signs,
            "head": kinds.head,
            "labels": len(dataset.labels),
            "task": dataset.task,
            "dropout_dense": recipe.dropout_dense,
        }
    )


def load_trunk(model: VIPANN, base: dict[str, np.ndarray], variational: Variational) -> None:
    """Give a model the trunk of a base, and its Flipout layers the prior and posterior wanted.

    Args:
      model: Network to change.
      base: Variables of the base by name.
      variational: `moped_delta`, given where the base is deterministic, and the prior.
    """
    trunk = {layer.name for layer in model.trunk_variable_layers()}
    bayesian = {layer.name: layer for layer in model.bayesian_layers if layer.name in trunk}
    kept = [name for name in model.named_variables() if name.rpartition("/")[0] in trunk]
    model.assign({name: base[name] for name in kept if name in base}, partial=True)
    for name, layer in bayesian.items():
        if variational.moped_delta is not None:
            kernel = base[f"{name}/kernel"]
            # A weight of exactly 0 would have no posterior.
            stddev = np.maximum(variational.moped_delta * np.abs(kernel), 1e-6)
            layer.set_posterior(kernel, stddev)
        if variational.prior == "pretrained":
            layer.set_prior_to_posterior()
