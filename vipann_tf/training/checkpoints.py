"""Checkpoints of an unfinished training: the newest one that can be read counts."""

import logging
import shutil
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.training.run import checkpoint_steps

# A damaged index or data file, one cut short, one of other shapes, one without a variable.
_UNREADABLE = (tf.errors.OpError, IndexError, ValueError, AssertionError)
_log = logging.getLogger(__name__)


class Checkpoints:
    """Saves and restores the state of a training.

    Args:
      folder: Where they are read, and written.
      keep: How many to keep.
      tracked: What they hold: variables, lists of them, an optimizer.
      scratch: Where they are written instead; for a worker whose part of a collective save is not
        the one to keep.
    """

    def __init__(self, folder: Path, keep: int, tracked: dict, *, scratch: Path | None = None):
        self.folder = Path(folder)
        self._written = Path(scratch or folder)
        self._checkpoint = tf.train.Checkpoint(**tracked)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(self._written), keep)

    def restore(self) -> None:
        """Restores the newest readable checkpoint, where there is any.

        One that can't be read, say after a crash of the machine or on a full disk, is passed over
        with a warning.

        Raises:
          UserError: There are checkpoints and none can be read.
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
                _log.warning("going on from the checkpoint before, %s", path)
            return
        if paths:
            raise UserError(
                f"none of the {len(paths)} checkpoints in {self.folder} can be read; delete "
                f"{self.folder.parent} to start anew"
            )

    def save(self, step: int) -> None:
        """Writes a checkpoint and drops the oldest beyond `keep`.

        Raises:
          UserError: The disk is full, or the folder can't be written.
        """
        try:
            self._manager.save(step)
        except (tf.errors.OpError, OSError) as error:
            self._discard(step)
            raise UserError(
                f"can't save the checkpoint of step {step} in {self.folder}: {first_line(error)}; "
                "make room, then the same command goes on from the checkpoint before"
            ) from error

    def _discard(self, step: int) -> None:
        """Frees the room that half a checkpoint takes."""
        for part in self._written.glob(f"ckpt-{step}[._]*"):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink()


def first_line(error: Exception) -> str:
    """What an error of TensorFlow or of the system says, without the stack that it came by."""
    text = getattr(error, "message", None) or str(error)
    return text.strip().splitlines()[0][:300] if text.strip() else type(error).__name__
