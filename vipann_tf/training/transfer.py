"""Transfer of a pretrained network to new labels, by one of the `strategies`."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import TransferRecipe, Variational
from vipann_tf.records.pipeline import evaluation_batches, training_batches
from vipann_tf.records.reading import damage_as_user_error
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.export import check_vacant, export
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.training import fit
from vipann_tf.training.clips import training_clips
from vipann_tf.training.determinism import set_determinism
from vipann_tf.training.loop import Progress, Stream
from vipann_tf.training.strategies import STRATEGIES, base_kind, strategies_for

# What a model's metadata say of its base.
BASE_FIELDS = {"origin", "architecture", "data", "training"}
_EMBED_BATCH = 32


def transfer(
    recipe: TransferRecipe,
    base: str | os.PathLike,
    data: str | os.PathLike,
    out: str | os.PathLike,
    *,
    test_fold: int | None = None,
    strategy: tf.distribute.Strategy | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path | None:
    """Trains a pretrained network on a dataset directory's labels and writes its model directory.

    Args:
      recipe: Strategy, mode and settings.
      base: Model directory of the pretrained network.
      data: Dataset directory.
      out: Model directory to make. A run that was stopped goes on.
      test_fold: Number of the fold that is held out; without it, `train` or the splits that the
        recipe names.
      strategy: Devices; by default one.
      overwrite: Whether to replace a model or an unfinished run.
      on_progress: Called after every step.

    Returns:
      The version folder; `None` in a worker that leaves the writing to another.

    Raises:
      UserError: An argument is wrong, or training failed; the message says why.
    """
    check_vacant(out, overwrite=overwrite)
    base_kind(recipe)
    base_info = read_model_info(base)
    dataset = read_dataset_info(data)
    if dataset.sample_rate_hz != base_info.sample_rate_hz:
        raise UserError(
            f"{data} has {dataset.sample_rate_hz} Hz, the base model {base_info.sample_rate_hz} Hz; "
            "prepare the data anew"
        )
    splits, held_out = training_splits(
        dataset, recipe.data.train, test_fold, recipe.validation.splits
    )
    architecture = transferred_architecture(recipe, base_info.architecture, dataset, str(base))
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
            trunk_flipout={"prior": recipe.variational.prior},
        )
    load_trunk(model, read_variables(base), recipe.variational)
    if recipe.mode == "fixed":
        model.freeze_trunk()

    only, clips = training_clips(recipe, data, dataset, splits)

    cached = (
        recipe.mode == "fixed" and architecture.trunk == "deterministic" and not recipe.augment.any
    )

    def stream(position):
        return training_batches(
            data,
            splits,
            batch_size=recipe.training.batch_size,
            seed=recipe.training.seed,
            position=position,
            balance=recipe.data.balance,
            only=only,
            waveform=not cached,
            on_corrupt=recipe.data.on_corrupt,
        )

    def every_clip():
        return evaluation_batches(
            data, splits, _EMBED_BATCH, only=only, on_corrupt=recipe.data.on_corrupt
        )

    return fit.fit(
        model,
        recipe,
        with_pooled_features(stream, model, every_clip) if cached else stream,
        data=data,
        dataset=dataset,
        splits=splits,
        clips=clips,
        held_out=held_out,
        origin="transfer",
        base=base_info.model_dump(mode="json", include=BASE_FIELDS),
        out=out,
        description={
            "splits": splits,
            "base": base_info.model_dump(mode="json", exclude={"metrics"}),
        },
        strategy=strategy,
        export=export,
        start=model.trunk_depth if cached else None,
        overwrite=overwrite,
        on_progress=on_progress,
    )


def training_splits(
    dataset: DatasetInfo,
    wanted: list[str] | None,
    test_fold: int | None,
    validated: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """Splits to train on, and those held out.

    Args:
      dataset: The dataset.
      wanted: Splits that the recipe names.
      test_fold: Fold to hold out.
      validated: Splits that are scored while training; a fold among them is not trained on.
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
                f"dataset {dataset.name} has the splits {', '.join(dataset.splits)}; say which fold "
                "to hold out (--test-fold), or what to train on (--set data.train=[...])"
            )
        wanted = ["train"]
    splits = dataset.check_splits(wanted)
    return splits, [name for name in dataset.splits if name not in (*splits, *validated)]


def transferred_architecture(
    recipe: TransferRecipe, base: Architecture, dataset: DatasetInfo, name: str
) -> Architecture:
    """The new network, once it is known that strategy and base go together."""
    wanted = base_kind(recipe)
    _, trunk, head = STRATEGIES[recipe.strategy]
    if base.trunk != wanted:
        raise UserError(
            f"strategy {recipe.strategy} starts from a {wanted} base, but {name} is {base.trunk}; "
            f"for it use {strategies_for(base.trunk)}"
        )
    if recipe.signs is not None and trunk != "flipout":
        raise UserError(
            f"signs is {recipe.signs!r}, but strategy {recipe.strategy} has a {trunk} trunk: only "
            "Flipout convolutions draw signs; leave it out"
        )
    return base.model_copy(
        update={
            "trunk": trunk,
            "signs": recipe.signs or base.signs,
            "head": head,
            "labels": len(dataset.labels),
            "task": dataset.task,
            "dropout_dense": recipe.dropout_dense,
        }
    )


def load_trunk(model: VIPANN, base: dict[str, np.ndarray], variational: Variational) -> None:
    """Gives a model the trunk of a base, and Flipout layers the prior and posterior asked for.

    Args:
      model: Network to change.
      base: Variables of the base, by name.
      variational: Whether the base is deterministic (`moped_delta`), and which prior to take.
    """
    trunk = {layer.name for layer in model.trunk_variable_layers()}
    bayesian = {layer.name: layer for layer in model.bayesian_layers if layer.name in trunk}
    for name, variable in model.named_variables().items():
        layer = name.rpartition("/")[0]
        if layer in trunk and name in base:
            variable.assign(base[name])
    for name, layer in bayesian.items():
        if variational.moped_delta is not None:
            kernel = base[f"{name}/kernel"]
            # A weight of exactly 0 would have no posterior.
            stddev = np.maximum(variational.moped_delta * np.abs(kernel), 1e-6)
            layer.set_posterior(kernel, stddev)
        if variational.prior == "pretrained":
            layer.set_prior_to_posterior()


def with_pooled_features(
    stream: Stream, model: VIPANN, every_clip: Callable[[], tf.data.Dataset]
) -> Stream:
    """A stream without waveforms, with the frozen trunk's output instead, computed once a clip.

    Args:
      stream: Of batches without waveforms.
      model: Holds the trunk.
      every_clip: Gives batches of all the clips of the stream, each once.
    """
    pooled = tf.function(model.pooled, [tf.TensorSpec([None, None])], autograph=False)
    features, clip_ids = [], []
    with damage_as_user_error():
        for batch in every_clip():
            features.append(pooled(batch["waveform"]))
            clip_ids.append(batch["clip_id"])
    table = tf.concat(features, 0)
    keys = tf.concat(clip_ids, 0)
    rows = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, tf.range(tf.size(keys, tf.int64))), -1
    )

    def exchange(batch):
        return {**batch, "features": tf.gather(table, rows.lookup(batch["clip_id"]))}

    return lambda position: stream(position).map(exchange)
