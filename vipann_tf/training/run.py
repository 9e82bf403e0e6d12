"""An unfinished training on disk: NAME/training, which goes when the model is exported.

    NAME/training/run.json       what is being trained: the resolved recipe and its inputs
    NAME/training/log.csv        a row a step
    NAME/training/checkpoints/   model, optimizer, data position, the newest few
"""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vipann_tf.errors import UserError

LOG_FIELDS = ("step", "epoch", "loss", "nll", "kl", "kl_scale", "learning_rate")


class TrainingRun:
    """The folder of one training run.

    Args:
      directory: NAME of the model to be.
      description: Everything that must be the same for a run to be continued, JSON-compatible.
      overwrite: Whether a run of another description is discarded instead of refused.

    Raises:
      UserError: An unfinished run with another description is there.
    """

    def __init__(self, directory: str | Path, description: dict, *, overwrite: bool = False):
        self.folder = Path(directory) / "training"
        self.checkpoints = self.folder / "checkpoints"
        self._log = self.folder / "log.csv"
        file = self.folder / "run.json"
        description = json.loads(json.dumps(description))
        if file.is_file():
            differing = _differences(json.loads(file.read_text(encoding="utf-8")), description)
            if differing and not overwrite:
                raise UserError(
                    f"{directory} holds an unfinished run that differs in {', '.join(differing)}; "
                    "repeat its command to go on, or start anew with --overwrite"
                )
            if differing:
                shutil.rmtree(self.folder)
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            _replace(file, json.dumps(description, indent=1) + "\n")

    def rewind_log(self, step: int) -> None:
        """Drops log rows after a step: those that the resumed run will write again."""
        rows = []
        if self._log.is_file():
            with open(self._log, newline="", encoding="utf-8") as lines:
                # A row cut short by a kill has no learning rate, the last field.
                rows = [
                    row
                    for row in csv.DictReader(lines)
                    if row["learning_rate"] and int(row["step"]) <= step
                ]
        text = io.StringIO()
        writer = csv.DictWriter(text, LOG_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        with _writing(self.folder):
            _replace(self._log, text.getvalue())

    def log(self, row: dict[str, float]) -> None:
        """Appends a row."""
        with _writing(self.folder), open(self._log, "a", newline="", encoding="utf-8") as lines:
            csv.DictWriter(lines, LOG_FIELDS, lineterminator="\n").writerow(row)

    def finish(self, version: Path) -> None:
        """Keeps the log in the finished model and removes the rest."""
        shutil.move(self._log, version / "assets.extra" / "training_log.csv")
        shutil.rmtree(self.folder)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Says in one line why a run can't be written, such as a full disk."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"can't write in {folder}: {error.strerror}; make room or choose another --out, then the "
            "same command goes on from the last checkpoint"
        ) from error


def _replace(file: Path, text: str) -> None:
    """Writes a file that is never seen half written."""
    draft = file.with_name(f"{file.name}.draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, file)


def _differences(before: dict, after: dict, prefix: str = "") -> list[str]:
    """Dotted keys whose values differ."""
    keys = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            keys += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            keys.append(f"{prefix}{key}")
    return keys
