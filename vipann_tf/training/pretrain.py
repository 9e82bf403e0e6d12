"""Training of a network from scratch."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Architecture
from vipann_tf.recipes import PretrainRecipe
from vipann_tf.records.empty_labels import check_training_labels
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.export import check_vacant
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.metadata import single_network
from vipann_tf.training import fit
from vipann_tf.training.clips import training_clips
from vipann_tf.training.progress import Progress
from vipann_tf.training.warm_start import start_from


def pretrain(
    recipe: PretrainRecipe,
    data: StrPath,
    out: StrPath,
    *,
    base: StrPath | None = None,
    distribution: tf.distribute.Strategy | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path | None:
    """Train a network on a dataset directory and write its model directory.

    Args:
      recipe: Network and training.
      data: Dataset directory; its task determines the likelihood.
      out: Model directory to make. An interrupted run resumes.
      base: Model directory of a network with the same shape and labels to start from; a Flipout
        network starts from a deterministic one by MOPED. By default, weights are random.
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
    dataset = read_dataset_info(data)
    splits = dataset.check_splits(recipe.data.train or ["train"])
    if base is None and not recipe.data.allow_empty_labels:
        check_training_labels(dataset, splits)
    architecture = pretraining_architecture(recipe, dataset)
    clips = training_clips(recipe, data, dataset, splits)
    distribution = distribution or tf.distribute.get_strategy()
    model = fit.build(architecture, recipe, distribution)
    start = None
    if base is not None:
        start = ModelUnderTest.open(base)
        start.check(data)
        _check_shape(architecture, single_network(start.info, base), base)
        start_from(model, read_variables(base), recipe.variational, wanted=lambda _: True)
    return fit.fit(
        model,
        recipe,
        clips,
        out,
        distribution=distribution,
        base=None if start is None else start.info,
        overwrite=overwrite,
        on_progress=on_progress,
    )


def pretraining_architecture(recipe: PretrainRecipe, dataset: DatasetInfo) -> Architecture:
    """Return the network that a recipe asks for, with the labels of a dataset."""
    network = recipe.model
    # Like the published network, which has Bayesian convolutions and a deterministic head.
    head = network.head or ("deterministic" if network.kind == "flipout" else network.kind)
    return Architecture(
        depth=network.depth,
        width=network.width,
        trunk=network.kind,
        head=head,
        labels=len(dataset.labels),
        task=dataset.task,
        signs=network.signs,
        dropout_conv=network.dropout_conv,
        dropout_dense=network.dropout_dense,
        dropout_block=network.dropout_block,
    )


def _check_shape(wanted: Architecture, base: Architecture, name: StrPath) -> None:
    """Raise a `UserError` if the weights of a base do not fit into the new network."""
    for key in ("depth", "width"):
        ours, theirs = getattr(wanted, key), getattr(base, key)
        if ours != theirs:
            raise UserError(
                f"{name} has {key} {theirs:g}, but the recipe asks for {ours:g}; start from a "
                f"network of the same {key}, or set model.{key}={theirs:g}"
            )
