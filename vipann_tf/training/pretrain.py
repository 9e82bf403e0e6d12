"""Training a network from scratch."""

import os
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import PretrainRecipe
from vipann_tf.records.pipeline import training_batches
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.export import check_vacant, export
from vipann_tf.training import fit
from vipann_tf.training.clips import training_clips
from vipann_tf.training.determinism import set_determinism
from vipann_tf.training.loop import Progress


def pretrain(
    recipe: PretrainRecipe,
    data: str | os.PathLike,
    out: str | os.PathLike,
    *,
    strategy: tf.distribute.Strategy | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path | None:
    """Trains a network on a dataset directory and writes its model directory.

    Args:
      recipe: What to train, and how.
      data: Dataset directory; its task decides the likelihood.
      out: Model directory to make. A run that was stopped goes on.
      strategy: Devices; by default one.
      overwrite: Whether to replace a model or an unfinished run.
      on_progress: Called after every step.

    Returns:
      The version folder; `None` in a worker that leaves the writing to another.

    Raises:
      UserError: An argument is wrong, or training failed; the message says why.
    """
    check_vacant(out, overwrite=overwrite)
    dataset = read_dataset_info(data)
    splits = dataset.check_splits(recipe.data.train or ["train"])
    architecture = pretraining_architecture(recipe, dataset)
    only, clips = training_clips(recipe, data, dataset, splits)
    strategy = strategy or tf.distribute.get_strategy()
    set_determinism(recipe.training)
    with strategy.scope():
        model = VIPANN(
            architecture,
            seed=recipe.training.seed,
            dtype=recipe.training.precision,
            synchronized=recipe.training.synchronized_batch_norm,
            flipout={
                "prior_stddev": recipe.variational.prior_stddev,
                "initial_stddev": recipe.variational.initial_stddev,
            },
        )
    return fit.fit(
        model,
        recipe,
        lambda position: training_batches(
            data,
            splits,
            batch_size=recipe.training.batch_size,
            seed=recipe.training.seed,
            position=position,
            balance=recipe.data.balance,
            only=only,
            on_corrupt=recipe.data.on_corrupt,
        ),
        data=data,
        dataset=dataset,
        splits=splits,
        clips=clips,
        held_out=[],
        origin="pretrain",
        out=out,
        description={},
        strategy=strategy,
        export=export,
        overwrite=overwrite,
        on_progress=on_progress,
    )


def pretraining_architecture(recipe: PretrainRecipe, dataset: DatasetInfo) -> Architecture:
    """The network that a recipe asks for, on a dataset's labels."""
    network = recipe.model
    # Published: Bayesian in every convolution, deterministic in the head.
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
