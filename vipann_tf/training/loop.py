"""The training loop. It can be stopped at any step, and resumes from its newest checkpoint."""

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from vipann_tf.errors import Stopped, UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import Training
from vipann_tf.records.reading import damage_as_user_error
from vipann_tf.training.checkpoints import Checkpoints
from vipann_tf.training.clips import Stream
from vipann_tf.training.distribution import agreement, distribute, lost_workers
from vipann_tf.training.progress import Progress
from vipann_tf.training.run import TrainingRun
from vipann_tf.training.summaries import Summaries
from vipann_tf.training.validation import Validation


class Loop:
    """The training of a model for a number of steps.

    Args:
      model: Compiled network, made in the scope of the distribution.
      stream: Function of a position that returns the batches from that position.
      steps: Total number of optimizer steps.
      settings: Batch size, checkpoints, compilation.
      run: The run's checkpoints and logs.
      distribution: Devices that run the steps.
      validation: Scores of the network to export; they may end the training.
      refresh: Copies the weights to the network to export.
      on_progress: Called after every step.

    Raises:
      UserError: XLA is on, with several replicas.
    """

    def __init__(
        self,
        model: VIPANN,
        stream: Stream,
        *,
        steps: int,
        settings: Training,
        run: TrainingRun,
        distribution: tf.distribute.Strategy,
        validation: Validation | None = None,
        refresh: Callable[[], None] = lambda: None,
        on_progress: Callable[[Progress], None] | None = None,
    ):
        self.model = model
        self.run = run
        self.on_progress = on_progress
        self._stream = stream
        self._steps = steps
        self._settings = settings
        self._distribution = distribution
        self._validation = validation
        self._refresh = refresh
        self._train_step = _compiled_step(model, distribution, settings.xla)
        self._agree = agreement(distribution)
        with distribution.scope():
            model.optimizer.build(model.trainable_variables)
        # One variable per process, not one per device.
        self._position = tf.Variable([0, 0], dtype=tf.int64, trainable=False)
        # Not the optimizer's iterations, of which loss scaling skips some.
        self._counter = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._open = ExitStack()
        # All workers take part in a save, since some values are spread over them; one copy is kept.
        scratch = None
        if not run.writes:
            scratch = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
        self._checkpoints = Checkpoints(
            run.checkpoints,
            settings.keep_checkpoints,
            {
                "weights": model.weights,
                "optimizer": model.optimizer,
                "position": self._position,
                "step": self._counter,
                "validation": validation.state if validation else [],
            },
            scratch=scratch,
        )
        self._summaries = Summaries(run.tensorboard)
        self._open.callback(self._summaries.close)
        self._done = self._saved = 0
        self._exhausted = False
        self._scores: dict[str, float] = {}

    def train(self) -> dict[str, Any]:
        """Train from the newest checkpoint, or from the start if there is none.

        Returns:
          Outcome: `steps` taken, `seconds` since the start or the resumption, and, in the process
          that writes the log, the mean `loss`, `nll` and `kl_term` of the last tenth.

        Raises:
          UserError: The loss is not finite, or a worker was lost.
          Stopped: SIGTERM or an interrupt stopped the process; a checkpoint has been saved.
        """
        with self._open as stack:
            self._resume()
            batches = self._batches()
            first, started = self._done, time.monotonic()
            stop_requested = stack.enter_context(_stop_requests())
            stack.enter_context(lost_workers(self._distribution, self.run.checkpoints))
            self._exhausted = self._agree(
                self._validation is not None and self._validation.exhausted
            )
            while self._done < self._steps and not self._exhausted:
                row = self._step(batches)
                self._log(row)
                self._validate()
                self._report(row, (self._done - first) / (time.monotonic() - started))
                self._stop_if(stop_requested())
                self._save_if_due()
            if self._saved != self._done:
                # The export comes next, and may fail.
                self._checkpoints.save(self._done)
        return {
            "steps": self._done,
            "seconds": round(time.monotonic() - started, 1),
            **mean_losses(self.run.last_rows(max(self._steps // 10, 1))),
        }

    def _resume(self) -> None:
        self._checkpoints.restore()
        self._done = self._saved = int(self._counter)
        self.run.rewind_logs(self._done)

    def _batches(self) -> Iterator[dict[str, Any]]:
        epoch, index = self._position.numpy().tolist()
        batches = _with_ends(self._stream((epoch, index)))
        return iter(distribute(self._distribution, batches, self._settings.batch_size))

    def _step(self, batches: Iterator[dict[str, Any]]) -> dict[str, float]:
        """Take one step, and return its row of the log."""
        with damage_as_user_error():
            batch = next(batches)
        local = self._distribution.experimental_local_results
        epoch, index = (int(local(batch.pop(key))[0][0]) for key in ("epoch", "index"))
        clip_ids = batch.pop("clip_id")
        result = {name: float(value) for name, value in self._train_step(batch).items()}
        self._done += 1
        self._counter.assign(self._done)
        self._position.assign([epoch, index + 1])
        if not np.isfinite(result["loss"]):
            names = [name.decode() for part in local(clip_ids) for name in part.numpy().tolist()]
            raise UserError(_not_finite(self._done, result, names, self.run.checkpoints))
        return {
            "step": self._done,
            "epoch": epoch,
            **result,
            # In a schedule, the rate of this step.
            "learning_rate": float(self.model.optimizer.learning_rate.numpy()),
        }

    def _log(self, row: dict[str, float]) -> None:
        self.run.log(row)
        self._summaries.training(self._done, row)

    def _validate(self) -> None:
        """Score the network when that is due, and decide whether to continue."""
        validation = self._validation
        if validation is None or (
            self._done % validation.every_steps and self._done != self._steps
        ):
            return
        self._refresh()
        self._scores = validation.score(self._done)
        self.run.log_scores(self._done, self._scores)
        self._summaries.validation(self._done, self._scores)
        self._summaries.posterior(self._done, self.model)
        self._exhausted = self._agree(validation.exhausted)

    def _report(self, row: dict[str, float], steps_per_s: float) -> None:
        if self.on_progress is None:
            return
        self.on_progress(
            Progress(
                step=self._done,
                steps=self._steps,
                epoch=int(row["epoch"]),
                loss=row["loss"],
                nll=row["nll"],
                kl_term=row["kl"] * row["kl_scale"],
                steps_per_s=steps_per_s,
                clips_per_s=steps_per_s * self._settings.batch_size,
                scores=self._scores,
            )
        )

    def _stop_if(self, requested: bool) -> None:
        """Stop with a checkpoint if any worker was asked to, unless this was the last step."""
        if self._agree(requested) and self._done < self._steps and not self._exhausted:
            self._checkpoints.save(self._done)
            raise Stopped(
                f"stopped at step {self._done} of {self._steps} with a checkpoint in "
                f"{self.run.checkpoints}; the same command resumes from there"
            )

    def _save_if_due(self) -> None:
        if self._done % self._settings.checkpoint_every_steps == 0:
            self._checkpoints.save(self._done)
            self._saved = self._done
            self._summaries.posterior(self._done, self.model)


def _compiled_step(
    model: VIPANN, distribution: tf.distribute.Strategy, xla: bool
) -> Callable[[dict[str, Any]], dict[str, tf.Tensor]]:
    """Return a function that takes a step on a batch and returns the losses of the global batch."""
    if xla and distribution.num_replicas_in_sync > 1:
        raise UserError(
            f"training.xla is on, but there are {distribution.num_replicas_in_sync} replicas; it "
            "works on one"
        )
    train_step = tf.function(model.train_step, jit_compile=True) if xla else model.train_step

    @tf.function
    def step(batch: dict[str, Any]) -> dict[str, tf.Tensor]:
        results = distribution.run(train_step, args=(batch,))
        return {
            name: distribution.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in results.items()
        }

    return step


def _with_ends(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Add the end of the global batch to every row, since a worker sees only some rows."""

    def mark(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        ends = {key: tf.fill(tf.shape(batch[key]), batch[key][-1]) for key in ("epoch", "index")}
        return {**batch, **ends}

    return batches.map(mark)


def mean_losses(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean `loss`, `nll` and `kl_term` of rows of a log; nothing of no rows."""
    if not rows:
        return {}
    losses = [(row["loss"], row["nll"], row["kl"] * row["kl_scale"]) for row in rows]
    return dict(zip(("loss", "nll", "kl_term"), np.mean(losses, axis=0).tolist(), strict=True))


def _not_finite(step: int, result: dict[str, float], clips: list[str], checkpoints: Path) -> str:
    shown = ", ".join(clips[:4]) + (", ..." if len(clips) > 4 else "")
    return (
        f"the loss is {result['loss']} at step {step} (NLL {result['nll']}, KL {result['kl']}; "
        f"clips {shown}); lower optimizer.learning_rate or set optimizer.clip_norm. The last "
        f"checkpoint is kept in {checkpoints}"
    )


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether SIGTERM or SIGINT has arrived."""
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
