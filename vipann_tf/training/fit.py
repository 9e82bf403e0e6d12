"""The common part of pretraining and transfer: building, training and exporting a network."""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import TrainingRecipe, TransferRecipe
from vipann_tf.records.empty_labels import empty_labels
from vipann_tf.saved_model.export import export
from vipann_tf.saved_model.metadata import ModelInfo, TrainingData
from vipann_tf.training import augmentation
from vipann_tf.training.checkpoints import first_line
from vipann_tf.training.clips import TrainingClips
from vipann_tf.training.determinism import set_determinism
from vipann_tf.training.distribution import is_chief, is_multiworker
from vipann_tf.training.draw_statistics import batch_norm_statistics, statistics_of_export
from vipann_tf.training.frozen_trunk import is_constant, pooled_batches
from vipann_tf.training.loop import Loop
from vipann_tf.training.metadata import model_info
from vipann_tf.training.optimizer import averaged_variables, make_optimizer
from vipann_tf.training.progress import Progress
from vipann_tf.training.run import TrainingRun, sole_process
from vipann_tf.training.validation import Validation


def build(
    architecture: Architecture, recipe: TrainingRecipe, distribution: tf.distribute.Strategy
) -> VIPANN:
    """Build the network to train, and enable deterministic operations if the recipe asks for them.

    Args:
      architecture: Network to build.
      recipe: Seed of the initial weights, precision, BatchNorm, priors and initial posteriors.
      distribution: Devices that train the network.
    """
    set_determinism(recipe.training)
    with distribution.scope():
        return VIPANN(
            architecture,
            seed=recipe.training.seed,
            dtype=recipe.training.precision,
            synchronized=recipe.training.synchronized_batch_norm,
            flipout={
                "prior_stddev": recipe.variational.prior_stddev,
                "initial_stddev": recipe.variational.initial_stddev,
                # A new head has no pretrained posterior.
                "prior": "empirical" if recipe.variational.prior == "empirical" else "normal",
            },
            trunk_flipout={"prior": recipe.variational.prior},
        )


def fit(
    model: VIPANN,
    recipe: TrainingRecipe,
    clips: TrainingClips,
    out: StrPath,
    *,
    distribution: tf.distribute.Strategy,
    base: ModelInfo | None = None,
    finish: Callable[[VIPANN], tuple[VIPANN, dict[str, Any]]] | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path | None:
    """Train a network by its recipe, and export it.

    Args:
      model: Network from `build`, with the fixed layers frozen.
      recipe: Optimizer, objective, augmentation, length, validation.
      clips: Clips to train on.
      out: Model directory to make, which also contains the unfinished run.
      distribution: Devices that train the network.
      base: Model that the network started from; `None` if it is trained from scratch.
      finish: Called with the trained network; returns the one to export, and what to add to the
        outcome of training. By default the trained network is exported.
      overwrite: Whether to replace a model, or a different unfinished run.
      on_progress: Called after every step.

    Returns:
      The version folder; `None` in a worker that leaves the writing to another.

    Raises:
      UserError: An argument is wrong, or training failed; the message says why.
    """
    training = recipe.training
    batch_norm = batch_norm_statistics(recipe, model.architecture, clips)
    if training.batch_size % distribution.num_replicas_in_sync:
        raise UserError(
            f"training.batch_size is {training.batch_size}; use a multiple of the "
            f"{distribution.num_replicas_in_sync} replicas"
        )
    steps = training.steps_for(clips.count)
    validation = None
    if recipe.validation.splits:
        validation = Validation(
            recipe.validation,
            clips.data,
            clips.splits,
            clips.held_out,
            steps_per_epoch=clips.count / training.batch_size,
            seed=recipe.export.seed,
            on_corrupt=recipe.data.on_corrupt,
        )
    writes = is_chief(distribution)
    with sole_process(out) if writes else contextlib.nullcontext():
        run = TrainingRun(
            out,
            _description(recipe, clips, base),
            steps=steps,
            overwrite=overwrite,
            writes=writes,
            in_present_terms=functools.partial(_in_present_terms, type(recipe)),
        )
        cached = is_constant(model, recipe.augment)
        _compile(model, recipe, clips, steps=steps, cached=cached, distribution=distribution)
        exported = _exported_twin(model, recipe, distribution)

        def refresh() -> None:
            if exported is not model:
                _copy(model, exported)

        if validation is not None:
            validation.start(exported)
        loop = Loop(
            model,
            pooled_batches(clips, recipe, model)
            if cached
            else lambda at: clips.batches(recipe, at),
            steps=steps,
            settings=training,
            run=run,
            distribution=distribution,
            validation=validation,
            refresh=refresh,
            on_progress=on_progress,
        )
        outcome = loop.train()
        refresh()
        if validation is not None:
            validation.restore_best()
            outcome |= validation.outcome()
        if not writes:
            return None
        if finish is not None:
            exported, found = finish(exported)
            outcome |= found
        if batch_norm == "draw":
            exported.draw_statistics = statistics_of_export(exported, recipe, clips)
        # A base that has the same labels may know those that have no clip here.
        same_labels = not isinstance(recipe, TransferRecipe) or recipe.keep_head
        if not (base and same_labels) and (empty := empty_labels(clips.info, clips.splits)):
            outcome |= {"empty_labels": empty}
        info = model_info(
            exported.architecture,
            recipe,
            TrainingData(
                dataset=clips.info.name,
                splits=clips.splits,
                held_out=clips.held_out,
                clips=clips.count,
                time_expansion=clips.info.time_expansion,
            ),
            sample_rate_hz=clips.info.sample_rate_hz,
            clip_seconds=clips.info.clip_seconds,
            base=base,
            outcome=outcome,
        ).model_copy(update={"batch_norm": batch_norm})
        try:
            version = export(
                exported, out, info, clips.info.labels, overwrite=overwrite, extras=run.kept_files()
            )
        except (tf.errors.OpError, OSError) as error:
            raise UserError(
                f"can't write the model in {out}: {first_line(error)}; make room, then the same "
                f"command writes it from the last checkpoint in {run.checkpoints}"
            ) from error
        run.finish()
        return version


def _description(recipe: TrainingRecipe, clips: TrainingClips, base: ModelInfo | None) -> dict:
    """Return what must be equal to resume an unfinished run."""
    description = {"recipe": recipe.model_dump(mode="json"), "data": clips.info.fingerprint}
    if base is not None:
        description["splits"] = clips.splits
        description["base"] = base.model_dump(mode="json", exclude={"metrics"})
    return description


def _in_present_terms(kind: type[TrainingRecipe], stored: dict[str, Any]) -> dict[str, Any]:
    """Return a stored description with the present keys and defaults of recipe and base."""
    description = dict(stored)
    with contextlib.suppress(pydantic.ValidationError):  # one of a later version stays as it is
        description["recipe"] = kind.model_validate(stored["recipe"]).model_dump(mode="json")
        if "base" in stored:
            base = ModelInfo.model_validate(stored["base"])
            description["base"] = base.model_dump(mode="json", exclude={"metrics"})
    return description


def _compile(
    model: VIPANN,
    recipe: TrainingRecipe,
    clips: TrainingClips,
    *,
    steps: int,
    cached: bool,
    distribution: tf.distribute.Strategy,
) -> None:
    trunk = [variable for layer in model.trunk_layers() for variable in layer.trainable_variables]
    with distribution.scope():
        model.compile(
            optimizer=make_optimizer(
                recipe.optimizer,
                steps=steps,
                precision=recipe.training.precision,
                trunk_variables=trunk,
                stddev_variables=[layer.kernel_rho for layer in model.bayesian_layers],
            ),
            objective=recipe.objective,
            clips=clips.count,
            seed=recipe.training.seed,
            augment_waveform=augmentation.on_waveform(recipe.augment, clips.info.sample_rate_hz),
            augment_log_mel=augmentation.on_log_mel(recipe.augment),
            start="pooled" if cached else "waveform",
        )


def _exported_twin(
    model: VIPANN, recipe: TrainingRecipe, distribution: tf.distribute.Strategy
) -> VIPANN:
    """Return the network to score and export.

    It is `model`, or a copy on one device if weights are averaged or spread over devices.
    """
    one_device = distribution.num_replicas_in_sync == 1 and not is_multiworker(distribution)
    if one_device and recipe.optimizer.ema_momentum is None:
        return model
    return model.twin(dtype=recipe.training.precision)


def _copy(model: VIPANN, twin: VIPANN) -> None:
    """Assign the model's variables to the twin, or their moving averages if there are any."""
    trained = model.trainable_variables
    averages = dict(
        zip(
            (id(variable) for variable in trained),
            averaged_variables(model.optimizer, trained),
            strict=True,
        )
    )
    twin.assign({name: averages.get(id(v), v) for name, v in model.named_variables().items()})
