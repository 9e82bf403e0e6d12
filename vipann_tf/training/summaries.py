"""What TensorBoard shows of a training: `tensorboard --logdir NAME`."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.training.checkpoints import first_line

# Steps between two points of a curve; the CSV log has every step.
EVERY_STEPS = 10


class Summaries:
    """Writes event files: scalars of the loss, of validation, and the posterior's spread.

    Without the package tensorboard, which TensorFlow's own summaries need, nothing is written.

    Args:
      folder: Where the event files go; `None` writes none.
    """

    def __init__(self, folder: Path | None):
        self._folder = folder
        wanted = folder is not None and importlib.util.find_spec("tensorboard") is not None
        self._writer = tf.summary.create_file_writer(str(folder)) if wanted else None

    def training(self, step: int, row: dict[str, float]) -> None:
        """Loss, NLL, KL, its weight and the learning rate, now and then."""
        if step == 1 or step % EVERY_STEPS == 0:
            self._scalars(
                step,
                {
                    "training/loss": row["loss"],
                    "training/nll": row["nll"],
                    "training/kl": row["kl"],
                    "training/kl_weight": row["kl_scale"],
                    "training/learning_rate": row["learning_rate"],
                },
            )

    def validation(self, step: int, scores: dict[str, float]) -> None:
        """Every metric."""
        self._scalars(step, {f"validation/{name}": value for name, value in scores.items()})

    def posterior(self, step: int, model: VIPANN) -> None:
        """A histogram of the posterior standard deviations of each stage."""
        if self._writer is None:
            return
        stages: dict[str, list[tf.Tensor]] = {}
        for layer in model.bayesian_layers:
            stage = layer.name.split(".")[0]
            stages.setdefault(stage, []).append(tf.reshape(layer.kernel_stddev(), [-1]))
        with self._recording(step):
            for stage, parts in stages.items():
                tf.summary.histogram(f"posterior_stddev/{stage}", tf.concat(parts, 0))

    def close(self) -> None:
        """Writes what is still held."""
        if self._writer is not None:
            # What can't be written has been complained of.
            with contextlib.suppress(tf.errors.OpError):
                self._writer.close()

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        if self._writer is None:
            return
        with self._recording(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    @contextlib.contextmanager
    def _recording(self, step: int) -> Iterator[None]:
        try:
            with self._writer.as_default(step):
                yield
            self._writer.flush()
        except tf.errors.OpError as error:
            raise UserError(
                f"can't write in {self._folder}: {first_line(error)}; make room, then the same command "
                "goes on from the last checkpoint"
            ) from error
