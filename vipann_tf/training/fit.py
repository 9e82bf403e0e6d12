"""What pretraining and transfer have in common: from a built model to an exported one."""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import PretrainRecipe, TransferRecipe
from vipann_tf.records.schema import DatasetInfo
from vipann_tf.saved_model.export import default_draws
from vipann_tf.saved_model.metadata import ModelInfo, TrainingData
from vipann_tf.training import augmentation
from vipann_tf.training.checkpoints import first_line
from vipann_tf.training.distribution import is_chief, is_multiworker
from vipann_tf.training.loop import Progress, Stream, train
from vipann_tf.training.optimizer import averaged_variables, make_optimizer
from vipann_tf.training.run import TrainingRun, sole_process
from vipann_tf.training.validation import Validation

# Writes a model directory: (model, directory, info, labels, overwrite=..., extras=...) -> version
# folder.
Export = Callable[..., Path]


def fit(
    model: VIPANN,
    recipe: PretrainRecipe | TransferRecipe,
    stream: Stream,
    *,
    data: str | os.PathLike,
    dataset: DatasetInfo,
    splits: Sequence[str],
    clips: int,
    held_out: Sequence[str],
    origin: str,
    base: dict | None = None,
    out: str | os.PathLike,
    description: dict,
    strategy: tf.distribute.Strategy,
    export: Export,
    start: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path | None:
    """Trains a built model as its recipe says, and exports it.

    Args:
      model: Made in the strategy's scope; frozen where it is to stay as it is.
      recipe: Optimizer, objective, augmentation, length, validation.
      stream: Gives the batches from a position.
      data: Dataset directory.
      dataset: What it holds.
      splits, held_out: Splits to train on, and to evaluate on later.
      clips: Number of clips to train on, all or some of those of the splits.
      origin: `pretrain` or `transfer`.
      base: What the model's metadata are to say of the network that it started from.
      out: Model directory to be, which holds the unfinished run.
      description: What identifies the run beside the recipe; see `TrainingRun`.
      strategy: Runs the steps.
      export: Writes the model directory.
      start: Where batches hold features, the layer that takes them.
      overwrite: Whether to replace a model or an unfinished run of another description.
      on_progress: Called after every step.

    Returns:
      The version folder; `None` in a worker that leaves the writing to another.
    """
    training = recipe.training
    if training.batch_size % strategy.num_replicas_in_sync:
        raise UserError(
            f"training.batch_size is {training.batch_size}; use a multiple of the "
            f"{strategy.num_replicas_in_sync} replicas"
        )
    steps = training.steps or math.ceil(training.epochs * clips / training.batch_size)
    validation = None
    if recipe.validation.splits:
        validation = Validation(
            recipe.validation,
            data,
            splits,
            held_out,
            steps_an_epoch=clips / training.batch_size,
            seed=recipe.export.seed,
        )
    writes = is_chief(strategy)
    with ExitStack() as stack:
        if writes:
            stack.enter_context(sole_process(out))
        run = TrainingRun(
            out,
            {"recipe": recipe.model_dump(mode="json"), "data": dataset.fingerprint, **description},
            steps=steps,
            overwrite=overwrite,
            writes=writes,
        )
        with strategy.scope():
            model.compile(
                optimizer=make_optimizer(
                    recipe.optimizer,
                    steps=steps,
                    precision=training.precision,
                    trunk_variables=[
                        variable
                        for layer in model.trunk_layers()
                        for variable in layer.trainable_variables
                    ],
                    stddev_variables=[layer.kernel_rho for layer in model.bayesian_layers],
                )
            )
        model.prepare_training(
            recipe.objective,
            clips=clips,
            seed=training.seed,
            augment_waveform=augmentation.on_waveform(recipe.augment, dataset.sample_rate_hz),
            augment_log_mel=augmentation.on_log_mel(recipe.augment),
            start=start,
        )
        exported = _exported_twin(model, recipe, strategy)

        def refresh():
            if exported is not model:
                _copy(model, exported)

        if validation is not None:
            validation.start(exported)
        outcome = train(
            model,
            stream,
            steps=steps,
            settings=training,
            run=run,
            strategy=strategy,
            validation=validation,
            refresh=refresh,
            on_progress=on_progress,
        )
        refresh()
        if validation is not None:
            validation.restore_best()
            outcome |= validation.outcome()
        if not writes:
            return None
        info = ModelInfo(
            origin=origin,
            architecture=model.architecture,
            sample_rate_hz=dataset.sample_rate_hz,
            clip_seconds=dataset.clip_seconds,
            samples=recipe.export.samples,
            seed=recipe.export.seed,
            draws=recipe.export.draws or default_draws(model.architecture, recipe.export.samples),
            variables=[],
            data=TrainingData(
                dataset=dataset.name, splits=list(splits), held_out=list(held_out), clips=clips
            ),
            base=base,
            recipe=recipe.model_dump(mode="json"),
            training=outcome,
        )
        version = _export(export, exported, out, info, dataset.labels, overwrite, run)
        run.finish()
        return version


def _export(export: Export, model, out, info, labels, overwrite: bool, run: TrainingRun) -> Path:
    try:
        return export(model, out, info, labels, overwrite=overwrite, extras=run.kept_files())
    except (tf.errors.OpError, OSError) as error:
        raise UserError(
            f"can't write the model in {out}: {first_line(error)}; make room, then the same command "
            f"writes it from the last checkpoint in {run.checkpoints}"
        ) from error


def _exported_twin(model: VIPANN, recipe, strategy: tf.distribute.Strategy) -> VIPANN:
    """The network to score and export: `model`, or one on one device where weights are averaged or
    spread over devices.
    """
    one_device = strategy.num_replicas_in_sync == 1 and not is_multiworker(strategy)
    if one_device and recipe.optimizer.ema_momentum is None:
        return model
    return VIPANN(model.architecture, dtype=recipe.training.precision)


def _copy(model: VIPANN, twin: VIPANN) -> None:
    """Gives the twin the model's variables, averaged where the optimizer averages."""
    trained = model.trainable_variables
    averages = dict(
        zip((id(variable) for variable in trained), averaged_variables(model.optimizer, trained))
    )
    targets = twin.named_variables()
    for name, variable in model.named_variables().items():
        targets[name].assign(averages.get(id(variable), variable))
