"""Transfer of a pretrained network to new labels by one of the `strategies`."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Architecture
from vipann_tf.recipes import TransferRecipe
from vipann_tf.records.empty_labels import check_training_labels
from vipann_tf.records.schema import DatasetInfo
from vipann_tf.saved_model.export import check_vacant
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.metadata import single_network
from vipann_tf.task import Task
from vipann_tf.training import fit
from vipann_tf.training.clips import training_clips
from vipann_tf.training.laplace import with_laplace_head
from vipann_tf.training.progress import Progress
from vipann_tf.training.strategies import fits, kinds_of, strategies_for
from vipann_tf.training.warm_start import start_from


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
      out: Model directory to make. An interrupted run resumes.
      test_fold: Number of the held-out fold; by default none, and the network is trained on `train`
        or the splits that the recipe names.
      distribution: Devices that train the network; by default one.
      overwrite: Whether to replace a model or an unfinished run.
      on_progress: Called after every step.

    Returns:
      The version folder; `None` in a worker that leaves the writing to another.

    Raises:
      UserError: An argument is wrong, a label has no clip to train on, or training failed; the
        message says why.
    """
    check_vacant(out, overwrite=overwrite)
    kinds_of(recipe)
    start = ModelUnderTest.open(base)
    dataset = start.check(data, any_labels=not recipe.keep_head)
    splits, held_out = training_splits(
        dataset, recipe.data.train, test_fold, recipe.validation.splits
    )
    check_labels(recipe, dataset, splits)
    architecture = transferred_architecture(
        recipe, single_network(start.info, base), len(dataset.labels), dataset.task, str(base)
    )
    clips = training_clips(recipe, data, dataset, splits, held_out)
    distribution = distribution or tf.distribute.get_strategy()
    model = fit.build(architecture.trained, recipe, distribution)
    trunk = {layer.name for layer in model.network.parts(stop="pooled")}
    start_from(
        model,
        read_variables(base),
        recipe.variational,
        wanted=lambda layer: recipe.keep_head or layer in trunk,
    )
    if recipe.mode == "fixed":
        model.freeze_trunk()
    laplace = functools.partial(with_laplace_head, clips=clips, recipe=recipe)
    return fit.fit(
        model,
        recipe,
        clips,
        out,
        distribution=distribution,
        base=start.info,
        finish=laplace if architecture.head == "laplace" else None,
        overwrite=overwrite,
        on_progress=on_progress,
    )


def training_splits(
    dataset: DatasetInfo,
    wanted: list[str] | None,
    test_fold: int | None,
    validated: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """Return the splits to train on and the held-out splits.

    Args:
      dataset: The dataset.
      wanted: Splits that the recipe names.
      test_fold: Fold to hold out.
      validated: Splits that are scored during training, and not trained on if they are folds.

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


def check_labels(recipe: TransferRecipe, dataset: DatasetInfo, splits: Sequence[str]) -> None:
    """Raise a `UserError` if a new head would have a label that it can't learn."""
    if not recipe.keep_head and not recipe.data.allow_empty_labels:
        check_training_labels(dataset, splits)


def transferred_architecture(
    recipe: TransferRecipe, base: Architecture, labels: int, task: Task, name: str
) -> Architecture:
    """Return the architecture of the new network, as it is exported.

    Args:
      recipe: Strategy, signs and dropout rate.
      base: Architecture of the base.
      labels: Number of labels of the new network.
      task: Its task.
      name: Name of the base for messages.

    Raises:
      UserError: The strategy does not fit the base.
    """
    kinds = kinds_of(recipe)
    if not fits(base.trunk, kinds.base):
        raise UserError(
            f"strategy {recipe.strategy} starts from a {kinds.base} base, but {name} is "
            f"{base.trunk}; use {strategies_for(base.trunk)} for it"
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
            "labels": labels,
            "task": task,
            "dropout_dense": recipe.dropout_dense,
        }
    )
