"""Checkpoints of an unfinished training."""

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.training.run import checkpoint_steps

# Errors for damaged or truncated files, other shapes, and missing variables.
_UNREADABLE = (tf.errors.OpError, IndexError, ValueError, AssertionError)
# "{{node save/SaveV2}}", as TensorFlow writes into its messages.
_NODES = re.compile(r"\{\{.*?\}\}\s*")
_log = logging.getLogger(__name__)


class Checkpoints:
    """The saved states of a training.

    Args:
      folder: Folder to read from and to write to.
      keep: Number of checkpoints to keep.
      tracked: Content: variables, lists of variables, an optimizer.
      scratch: Folder to write to instead, for a worker whose copy of a collective save is not kept.
    """

    def __init__(
        self, folder: Path, keep: int, tracked: dict[str, Any], *, scratch: Path | None = None
    ):
        self.folder = Path(folder)
        self._written = Path(scratch or folder)
        self._checkpoint = tf.train.Checkpoint(**tracked)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(self._written), keep)

    def restore(self) -> None:
        """Restore the newest readable checkpoint, if there is any.

        One that can't be read, for example after a machine crash, is skipped with a warning.

        Raises:
          UserError: There are checkpoints, but none can be read.
        """
        steps = checkpoint_steps(self.folder)
        paths = [steps[step] for step in sorted(steps, reverse=True)]
        for number, path in enumerate(paths):
            try:
                self._checkpoint.restore(str(path)).assert_existing_objects_matched()
            except _UNREADABLE as error:
                _log.warning("%s can't be read (%s)", path, first_line(error))
                continue
            if number:
                _log.warning("resuming from the checkpoint before, %s", path)
            return
        if paths:
            raise UserError(
                f"none of the {len(paths)} checkpoints in {self.folder} can be read; delete "
                f"{self.folder.parent} to start again"
            )

    def save(self, step: int) -> None:
        """Write a checkpoint and drop the oldest ones beyond `keep`.

        Raises:
          UserError: The disk is full, or the folder can't be written.
        """
        try:
            self._manager.save(step)
        except (tf.errors.OpError, OSError) as error:
            self._discard(step)
            raise UserError(
                f"can't save the checkpoint of step {step} in {self.folder}: {first_line(error)}; "
                "make room, then the same command resumes from the checkpoint before"
            ) from error

    def _discard(self, step: int) -> None:
        """Remove the files of an incomplete checkpoint."""
        for part in self._written.glob(f"ckpt-{step}[._]*"):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink()


def first_line(error: Exception) -> str:
    """Return the first line of an error of TensorFlow or the system.

    Names of graph nodes are left out, and a long line loses its middle: the path comes first, and
    the reason last.
    """
    text = _NODES.sub("", getattr(error, "message", None) or str(error)).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    return line if len(line) <= 300 else f"{line[:150]} ... {line[-145:]}"
