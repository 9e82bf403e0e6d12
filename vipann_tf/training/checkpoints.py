"""Checkpoints of an unfinished training: the newest one that can be read counts."""

import logging
import re
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError

_NAME = re.compile(r"ckpt-(\d+)\.index")
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
        self._checkpoint = tf.train.Checkpoint(**tracked)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(scratch or folder), keep
        )

    def restore(self) -> None:
        """Restores the newest readable checkpoint, where there is any.

        One that can't be read, say after a crash of the machine or on a full disk, is passed over
        with a warning.

        Raises:
          UserError: There are checkpoints and none can be read.
        """
        paths = self._newest_first()
        for number, path in enumerate(paths):
            try:
                self._checkpoint.restore(str(path)).assert_existing_objects_matched()
            except _UNREADABLE as error:
                _log.warning("%s can't be read (%s)", path, _first_line(error))
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
            raise UserError(
                f"can't save the checkpoint of step {step} in {self.folder}: {_first_line(error)}; "
                "make room, then the same command goes on from the checkpoint before"
            ) from error

    def _newest_first(self) -> list[Path]:
        # By the files, not by the list that is kept beside them: that can be damaged too.
        found = {}
        if self.folder.is_dir():
            for file in self.folder.iterdir():
                if match := _NAME.fullmatch(file.name):
                    found[int(match[1])] = file.with_suffix("")
        return [found[step] for step in sorted(found, reverse=True)]


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    return text.strip().splitlines()[0][:300] if text.strip() else type(error).__name__
