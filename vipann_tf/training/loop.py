"""The training loop: steps, checkpoints, a log. It can be stopped anywhere and goes on from there."""

import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vipann_tf.errors import Stopped, UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import Training
from vipann_tf.records.reading import damage_as_user_error
from vipann_tf.training.checkpoints import Checkpoints
from vipann_tf.training.distribution import distribute, is_multiworker
from vipann_tf.training.run import TrainingRun
from vipann_tf.training.summaries import Summaries
from vipann_tf.training.validation import Validation

# (epoch, index in it) of the first clip -> batches from there on, without end.
Stream = Callable[[tuple[int, int]], tf.data.Dataset]

# What the operations that workers share fail with where one is gone.
_LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
# "Error reported from /job:worker/task:1: ..."
_NAMED_TASK = re.compile(r"(?:from|Task) /job:(\w+)(?:/replica:\d+)?/task:(\d+)")


@dataclass(frozen=True)
class Progress:
    """Where a training is.

    Attributes:
      step, steps: Steps done and in all.
      epoch: Passes over the data.
      loss, nll, kl_term: Of this step, per clip in nats; loss = nll + kl_term.
      steps_per_s, clips_per_s: Since the start or the resumption.
      scores: Of the last validation; empty before it.
    """

    step: int
    steps: int
    epoch: int
    loss: float
    nll: float
    kl_term: float
    steps_per_s: float
    clips_per_s: float
    scores: dict[str, float]

    @property
    def seconds_left(self) -> float:
        """Until the last step, at the speed so far."""
        return (self.steps - self.step) / self.steps_per_s


def train(
    model: VIPANN,
    stream: Stream,
    *,
    steps: int,
    settings: Training,
    run: TrainingRun,
    strategy: tf.distribute.Strategy,
    validation: Validation | None = None,
    refresh: Callable[[], None] = lambda: None,
    on_progress: Callable[[Progress], None] | None = None,
) -> dict[str, float]:
    """Trains a model for a number of steps, from its newest checkpoint where there is one.

    Args:
      model: Compiled and prepared (`VIPANN.prepare_training`), made in the strategy's scope.
      stream: Gives the batches from a position.
      steps: Optimizer steps in all.
      settings: Batch size, checkpoints, compilation.
      run: Where checkpoints and logs go.
      strategy: Runs the steps.
      validation: Scores a network, which it has been given, now and then; may end the training.
      refresh: Brings that network up to date.
      on_progress: Called after every step.

    Returns:
      Outcome: `steps` taken, `seconds` since the start or the resumption, and, in the process that
      writes the log, the mean `loss`, `nll` and `kl_term` of the last tenth.

    Raises:
      UserError: The loss is not finite, or a worker was lost.
      Stopped: The process was told to stop, by SIGTERM or an interrupt; a checkpoint has been saved.
    """
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
    # One a process, not one a device.
    position = tf.Variable([0, 0], dtype=tf.int64, trainable=False)
    # Not the optimizer's iterations: loss scaling skips some.
    counter = tf.Variable(0, dtype=tf.int64, trainable=False)
    tracked = {
        "weights": model.weights,
        "optimizer": model.optimizer,
        "position": position,
        "step": counter,
        "validation": validation.state if validation else [],
    }
    with ExitStack() as stack:
        # All workers take part in a save, as some values are spread over them; one copy is kept.
        scratch = None if run.writes else stack.enter_context(tempfile.TemporaryDirectory())
        checkpoints = Checkpoints(
            run.checkpoints, settings.keep_checkpoints, tracked, scratch=scratch
        )
        checkpoints.restore()
        done = int(counter)
        run.rewind_logs(done)
        summaries = Summaries(run.tensorboard)
        stack.callback(summaries.close)
        step = _step_function(model, strategy, settings.xla)
        agree = _agreement(strategy)
        batches = iter(
            distribute(
                strategy, _with_ends(stream(tuple(position.numpy().tolist()))), settings.batch_size
            )
        )
        started, first, saved, scores = time.monotonic(), done, done, {}
        stop_requested = stack.enter_context(_stop_requests())
        stack.enter_context(_lost_workers(strategy, run))
        exhausted = agree(validation is not None and validation.exhausted)
        while done < steps and not exhausted:
            with damage_as_user_error():
                batch = next(batches)
            end = [
                int(strategy.experimental_local_results(batch.pop(key))[0][0])
                for key in ("epoch", "index")
            ]
            clip_ids = batch.pop("clip_id")
            result = {name: float(value) for name, value in step(batch).items()}
            done += 1
            counter.assign(done)
            if not np.isfinite(result["loss"]):
                raise UserError(_not_finite(done, result, strategy, clip_ids, run))
            position.assign([end[0], end[1] + 1])
            # A schedule's rate is that of the step just taken.
            row = {
                "step": done,
                "epoch": end[0],
                **result,
                "learning_rate": float(model.optimizer.learning_rate.numpy()),
            }
            run.log(row)
            summaries.training(done, row)
            kl_term = result["kl"] * result["kl_scale"]
            if validation is not None and (done % validation.every_steps == 0 or done == steps):
                refresh()
                scores = validation.score(done)
                run.log_scores(done, scores)
                summaries.validation(done, scores)
                summaries.posterior(done, model)
                exhausted = agree(validation.exhausted)
            if on_progress is not None:
                speed = (done - first) / (time.monotonic() - started)
                on_progress(
                    Progress(
                        *(done, steps, end[0], result["loss"], result["nll"], kl_term),
                        *(speed, speed * settings.batch_size, scores),
                    )
                )
            if agree(stop_requested()) and done < steps and not exhausted:
                checkpoints.save(done)
                raise Stopped(
                    f"stopped at step {done} of {steps} with a checkpoint in {run.checkpoints}; "
                    "the same command goes on from there"
                )
            if done % settings.checkpoint_every_steps == 0:
                checkpoints.save(done)
                saved = done
                summaries.posterior(done, model)
        if saved != done:
            # What comes now, the export, may fail too.
            checkpoints.save(done)
    return {
        "steps": done,
        "seconds": round(time.monotonic() - started, 1),
        **_mean_losses(run.last_rows(max(steps // 10, 1))),
    }


def _mean_losses(rows: list[dict[str, float]]) -> dict[str, float]:
    if not rows:
        return {}
    losses = [(row["loss"], row["nll"], row["kl"] * row["kl_scale"]) for row in rows]
    return dict(zip(("loss", "nll", "kl_term"), np.mean(losses, axis=0).tolist()))


def _step_function(model: VIPANN, strategy: tf.distribute.Strategy, xla: bool):
    """Batch -> losses of the global batch."""
    if xla and strategy.num_replicas_in_sync > 1:
        raise UserError(
            f"training.xla is on, but there are {strategy.num_replicas_in_sync} replicas; it works on one"
        )
    train_step = tf.function(model.train_step, jit_compile=True) if xla else model.train_step

    @tf.function
    def step(batch):
        results = strategy.run(train_step, args=(batch,))
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in results.items()
        }

    return step


def _agreement(strategy: tf.distribute.Strategy) -> Callable[[bool], bool]:
    """Whether any worker says yes: workers that stop at different steps wait for each other."""
    if not is_multiworker(strategy):
        return bool

    @tf.function
    def votes(vote):
        everyone = strategy.run(tf.identity, args=(vote,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, everyone, axis=None)

    return lambda vote: bool(votes(tf.constant(float(vote))) > 0)


def _with_ends(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Every row says where its global batch ends: a worker sees only some of the rows."""

    def mark(batch):
        ends = {key: tf.fill(tf.shape(batch[key]), batch[key][-1]) for key in ("epoch", "index")}
        return {**batch, **ends}

    return batches.map(mark)


@contextmanager
def _lost_workers(strategy: tf.distribute.Strategy, run: TrainingRun) -> Iterator[None]:
    """Says in one line that another process is gone."""
    try:
        yield
    except _LOST_WORKER as error:
        if not is_multiworker(strategy):
            raise
        named = _NAMED_TASK.search(error.message)
        raise UserError(
            f"{' '.join(named.groups()) if named else 'another worker'} was lost; see its output, then "
            f"start all of them again: they go on from the last checkpoint in {run.checkpoints}"
        ) from error


def _not_finite(step: int, result, strategy, clip_ids, run: TrainingRun) -> str:
    names = [
        clip.decode()
        for part in strategy.experimental_local_results(clip_ids)
        for clip in part.numpy().tolist()
    ]
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return (
        f"the loss is {result['loss']} at step {step} (NLL {result['nll']}, KL {result['kl']}; clips "
        f"{shown}); lower optimizer.learning_rate or set optimizer.clip_norm. The last checkpoint is "
        f"kept in {run.checkpoints}"
    )


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turns SIGTERM and SIGINT into a question to ask between steps."""
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: requested.set()) for number in signals}
    try:
        yield requested.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
