"""The training loop: steps, checkpoints, a log. It can be stopped anywhere and goes on from there."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.training.checkpoints import Checkpoints
from vipann_tf.training.run import TrainingRun

# (epoch, index in it) of the first clip -> batches from there on, without end.
Stream = Callable[[tuple[int, int]], tf.data.Dataset]


@dataclass(frozen=True)
class Progress:
    """Where a training is.

    Attributes:
      step, steps: Steps done and in all.
      epoch: Passes over the data, with a fraction.
      loss, nll, kl_term: Of this step, per clip in nats; loss = nll + kl_term.
      clips_per_s: Since the start or the resumption.
    """

    step: int
    steps: int
    epoch: int
    loss: float
    nll: float
    kl_term: float
    clips_per_s: float


def train(
    model: VIPANN,
    stream: Stream,
    *,
    steps: int,
    batch_size: int,
    run: TrainingRun,
    strategy: tf.distribute.Strategy,
    checkpoint_every_steps: int,
    keep_checkpoints: int,
    on_progress: Callable[[Progress], None] | None = None,
) -> dict[str, float]:
    """Trains a model for a number of steps, from its newest checkpoint where there is one.

    Args:
      model: Compiled and prepared (`VIPANN.prepare_training`), made in the strategy's scope.
      stream: Gives the batches from a position.
      steps: Optimizer steps in all.
      batch_size: Clips a step over all replicas.
      run: Where checkpoints and log go.
      strategy: Runs the steps.
      checkpoint_every_steps, keep_checkpoints: How often to save, and how many to keep.
      on_progress: Called after every step.

    Returns:
      Outcome: `steps`, `seconds` and the mean `loss`, `nll` and `kl_term` of the last tenth.

    Raises:
      UserError: The loss is not finite, or the process was told to stop (by SIGTERM or an
        interrupt; then a checkpoint has been saved).
    """
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
        position = tf.Variable([0, 0], dtype=tf.int64, trainable=False)
        # Not the optimizer's iterations: loss scaling skips some.
        counter = tf.Variable(0, dtype=tf.int64, trainable=False)
    checkpoints = Checkpoints(
        run.checkpoints,
        keep_checkpoints,
        {
            "weights": model.weights,
            "optimizer": model.optimizer,
            "position": position,
            "step": counter,
        },
    )
    checkpoints.restore()
    done = int(counter)
    run.rewind_log(done)

    # No Python control flow depends on tensors; without autograph tracing is faster.
    @tf.function(autograph=False)
    def step(batch):
        results = strategy.run(model.train_step, args=(batch,))
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in results.items()
        }

    batches = iter(
        strategy.experimental_distribute_dataset(stream(tuple(position.numpy().tolist())))
    )
    started, first, recent = time.monotonic(), done, []
    with _stop_requests() as stop_requested:
        while done < steps:
            batch = next(batches)
            last = {key: batch.pop(key) for key in ("epoch", "index", "clip_id")}
            result = {name: float(value) for name, value in step(batch).items()}
            done += 1
            counter.assign(done)
            # A schedule's rate is that of the step just taken.
            learning_rate = float(model.optimizer.learning_rate)
            if not np.isfinite(result["loss"]):
                raise UserError(_not_finite(done, result, strategy, last["clip_id"], run))
            epoch, index = _last(strategy, last["epoch"]), _last(strategy, last["index"])
            position.assign([epoch, index + 1])
            run.log({"step": done, "epoch": epoch, **result, "learning_rate": learning_rate})
            kl_term = result["kl"] * result["kl_scale"]
            recent = recent[-max(steps // 10, 1) + 1 :] if steps >= 20 else []
            recent.append((result["loss"], result["nll"], kl_term))
            seconds = time.monotonic() - started
            if on_progress is not None:
                rate = (done - first) * batch_size / seconds
                on_progress(
                    Progress(done, steps, epoch, result["loss"], result["nll"], kl_term, rate)
                )
            if stop_requested() and done < steps:
                checkpoints.save(done)
                raise UserError(
                    f"stopped at step {done} of {steps} with a checkpoint in {run.checkpoints}; "
                    "the same command goes on from there"
                )
            if done % checkpoint_every_steps == 0:
                checkpoints.save(done)
    loss, nll, kl_term = np.mean(recent, axis=0) if recent else (float("nan"),) * 3
    return {
        "steps": steps,
        "seconds": round(time.monotonic() - started, 1),
        "loss": float(loss),
        "nll": float(nll),
        "kl_term": float(kl_term),
    }


def _last(strategy: tf.distribute.Strategy, values) -> int:
    """The last clip's number: that of the last replica's last row."""
    return int(strategy.experimental_local_results(values)[-1][-1])


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
    before = {
        number: signal.signal(number, lambda *_: requested.set()) for number in signals
    }
    try:
        yield requested.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
