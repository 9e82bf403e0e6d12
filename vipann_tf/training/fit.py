"""What pretraining and transfer have in common: from a built model to a trained one."""

import math
import os
from collections.abc import Callable

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipe import PretrainRecipe, TransferRecipe
from vipann_tf.training import augmentation
from vipann_tf.training.loop import Progress, Stream, train
from vipann_tf.training.optimizer import make_optimizer
from vipann_tf.training.run import TrainingRun


def fit(
    model: VIPANN,
    recipe: PretrainRecipe | TransferRecipe,
    stream: Stream,
    *,
    clips: int,
    rate_hz: int,
    out: str | os.PathLike,
    description: dict,
    strategy: tf.distribute.Strategy,
    start: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[dict[str, float], TrainingRun]:
    """Trains a built model as its recipe says.

    Args:
      model: Made in the strategy's scope; frozen where it is to stay as it is.
      recipe: Optimizer, objective, augmentation and length.
      stream: Gives the batches from a position.
      clips: Number of training clips.
      rate_hz: Sample rate of the waveforms.
      out: Model directory to be, which holds the unfinished run.
      description: What identifies the run; see `TrainingRun`.
      strategy: Runs the steps.
      start: Where batches hold features, the layer that takes them.
      overwrite: Whether to discard an unfinished run of another description.
      on_progress: Called after every step.

    Returns:
      The outcome (see `loop.train`) and the run, to be finished after the export.
    """
    training = recipe.training
    if training.batch_size % strategy.num_replicas_in_sync:
        raise UserError(
            f"training.batch_size is {training.batch_size}; use a multiple of the "
            f"{strategy.num_replicas_in_sync} replicas"
        )
    steps = training.steps or math.ceil(training.epochs * clips / training.batch_size)
    run = TrainingRun(out, description, overwrite=overwrite)
    with strategy.scope():
        model.compile(
            optimizer=make_optimizer(recipe.optimizer, steps=steps, precision=training.precision)
        )
    model.prepare_training(
        recipe.objective,
        clips=clips,
        seed=training.seed,
        augment_waveform=augmentation.on_waveform(recipe.augment, rate_hz),
        augment_log_mel=augmentation.on_log_mel(recipe.augment),
        start=start,
    )
    outcome = train(
        model,
        stream,
        steps=steps,
        batch_size=training.batch_size,
        run=run,
        strategy=strategy,
        checkpoint_every_steps=training.checkpoint_every_steps,
        keep_checkpoints=training.keep_checkpoints,
        on_progress=on_progress,
    )
    return outcome, run
