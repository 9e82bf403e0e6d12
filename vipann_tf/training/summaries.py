"""Event files of a training for TensorBoard: `tensorboard --logdir NAME`."""

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
    """A writer of event files: the losses, the validation scores and the posterior's deviations.

    It writes nothing without the package tensorboard, which TensorFlow's summaries need.

    Args:
      folder: Folder of the event files; `None` writes none.
    """

    def __init__(self, folder: Path | None):
        self._folder = folder
        wanted = folder is not None and importlib.util.find_spec("tensorboard") is not None
        self._writer = tf.summary.create_file_writer(str(folder)) if wanted else None

    def training(self, step: int, row: dict[str, float]) -> None:
        """Write the losses, the KL weight and the learning rate, every `EVERY_STEPS` steps."""
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
        """Write all validation scores."""
        self._scalars(step, {f"validation/{name}": value for name, value in scores.items()})

    def posterior(self, step: int, model: VIPANN) -> None:
        """Write a histogram of the posterior standard deviations of each stage."""
        if self._writer is None:
            return
        stages: dict[str, list[tf.Tensor]] = {}
        for layer in model.bayesian_layers:
            stage = layer.name.split(".")[0]
            stages.setdefault(stage, []).append(tf.reshape(layer.kernel_stddev(), [-1]))
        with self._recording(self._writer, step):
            for stage, parts in stages.items():
                tf.summary.histogram(f"posterior_stddev/{stage}", tf.concat(parts, 0))

    def close(self) -> None:
        """Write the buffered events, and close the file."""
        if self._writer is not None:
            # An earlier error has told the user.
            with contextlib.suppress(tf.errors.OpError):
                self._writer.close()

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        if self._writer is None:
            return
        with self._recording(self._writer, step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    @contextlib.contextmanager
    def _recording(self, writer: tf.summary.SummaryWriter, step: int) -> Iterator[None]:
        try:
            with writer.as_default(step):
                yield
            writer.flush()
        except tf.errors.OpError as error:
            raise UserError(
                f"can't write in {self._folder}: {first_line(error)}; make room, then the same "
                "command resumes from the last checkpoint"
            ) from error
