"""An unfinished training on disk: NAME/training, which is removed after the export.

NAME/training/run.json       the resolved recipe and its inputs
NAME/training/log.csv        one row per step
NAME/training/validation.csv one row per validation
NAME/training/tensorboard/   curves of both
NAME/training/checkpoints/   the newest checkpoints: model, optimizer, position in the data
"""

import csv
import filecmp
import io
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vipann_tf.errors import UserError
from vipann_tf.files import atomic
from vipann_tf.files.locking import is_locked, locked
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.metadata import METADATA_JSON
from vipann_tf.saved_model.versions import finished_versions
from vipann_tf.training.differences import differing_keys

RUN_JSON = "run.json"
LOG_CSV = "log.csv"
KEPT_LOG = "training_log.csv"
VALIDATION_CSV = "validation.csv"
CHECKPOINTS = "checkpoints"
_CHECKPOINT = re.compile(r"ckpt-(\d+)\.index")
LOG_FIELDS = ("step", "epoch", "loss", "nll", "kl", "kl_scale", "learning_rate")


@contextmanager
def sole_process(directory: StrPath) -> Iterator[None]:
    """Keep other processes from training into a directory, and make it if it is missing.

    Raises:
      UserError: Another process is training into it.
    """
    directory = Path(directory)
    with ExitStack() as stack:
        with _writing(directory):
            directory.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(locked(directory))
            except BlockingIOError as error:
                raise UserError(
                    f"another process is training into {directory} right now; wait for it, or "
                    "choose another --out"
                ) from error
        yield


class TrainingRun:
    """The folder of one training run.

    Args:
      directory: Model directory to make, NAME.
      description: Everything that must be equal to resume the run, JSON-compatible.
      steps: Total number of steps.
      overwrite: Whether to discard a run with another description; otherwise it is an error.
      writes: Whether this process writes; other workers only read.
      in_present_terms: Brings the description of a run that an earlier version began to the present
        keys and defaults.

    Raises:
      UserError: There is an unfinished run with another description.
    """

    def __init__(
        self,
        directory: StrPath,
        description: dict[str, Any],
        *,
        steps: int,
        overwrite: bool = False,
        writes: bool = True,
        in_present_terms: Callable[[dict[str, Any]], dict[str, Any]] = lambda stored: stored,
    ):
        self.folder = Path(directory) / "training"
        self.checkpoints = self.folder / CHECKPOINTS
        self.writes = writes
        file = self.folder / RUN_JSON
        description = json.loads(json.dumps(description))
        if file.is_file():
            before = json.loads(file.read_text(encoding="utf-8"))
            differing = differing_keys(in_present_terms(before["description"]), description)
            if differing and not overwrite:
                raise UserError(
                    f"{directory} holds an unfinished run that differs in {', '.join(differing)}; "
                    "repeat its command to resume it, or start again with --overwrite"
                )
            if differing and writes:
                shutil.rmtree(self.folder)
        if writes:
            with _writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                content = {"steps": steps, "description": description}
                atomic.write_text(file, json.dumps(content, indent=1) + "\n")

    @property
    def tensorboard(self) -> Path | None:
        """The folder of the event files; `None` in a process that writes none."""
        return self.folder / "tensorboard" if self.writes else None

    def rewind_logs(self, step: int) -> None:
        """Drop the log rows after a step, which the resumed run writes again."""
        if not self.writes:
            return
        with _writing(self.folder):
            _rewind(self.folder / LOG_CSV, LOG_FIELDS, step)
            if (scores := self.folder / VALIDATION_CSV).is_file():
                _rewind(scores, _header(scores), step)

    def log(self, row: dict[str, float]) -> None:
        """Append a row of `LOG_FIELDS`."""
        self._append(LOG_CSV, row)

    def log_scores(self, step: int, scores: dict[str, float]) -> None:
        """Append a row of validation scores."""
        self._append(VALIDATION_CSV, {"step": step, **scores})

    def last_rows(self, count: int) -> list[dict[str, float]]:
        """Return the last rows of the log; none in a process that does not write."""
        rows = _rows(self.folder / LOG_CSV)[-count:] if self.writes else []
        return [{key: float(value) for key, value in row.items()} for row in rows]

    def kept_files(self) -> dict[str, Path]:
        """Return the files that the finished model keeps, by their names in it."""
        names = {
            KEPT_LOG: LOG_CSV,
            "validation_log.csv": VALIDATION_CSV,
            "tensorboard": "tensorboard",
        }
        files = {kept: self.folder / name for kept, name in names.items()}
        return {kept: file for kept, file in files.items() if file.exists()}

    def finish(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)

    def _append(self, name: str, row: dict) -> None:
        if not self.writes:
            return
        file = self.folder / name
        with _writing(self.folder):
            fields = _header(file) if file.is_file() else list(row)
            with open(file, "a", newline="", encoding="utf-8") as lines:
                writer = csv.DictWriter(lines, fields, lineterminator="\n", extrasaction="ignore")
                if lines.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)


def unfinished(directory: StrPath) -> dict[str, Any] | None:
    """Return the state of the unfinished run in a model directory.

    A process that was killed between writing the model and removing the folder has left no
    unfinished run.

    Returns:
      `step`, `steps`, `description`, `log` and `scores` (their last rows, empty for none),
      `seconds_ago` (time since the log was written), `checkpoint` (step of the newest one, 0 for
      none) and `running` (whether a process is training now); `None` if there is no such run.
    """
    folder = Path(directory) / "training"
    file = folder / RUN_JSON
    if not file.is_file() or _is_kept(folder / LOG_CSV, directory):
        return None
    log, scores = _rows(folder / LOG_CSV), _rows(folder / VALIDATION_CSV)
    newest = folder / LOG_CSV if log else file
    return {
        **json.loads(file.read_text(encoding="utf-8")),
        "step": int(log[-1]["step"]) if log else 0,
        "log": log[-1] if log else {},
        "scores": scores[-1] if scores else {},
        "seconds_ago": max(0.0, time.time() - newest.stat().st_mtime),
        "checkpoint": max(checkpoint_steps(folder / CHECKPOINTS), default=0),
        "running": is_locked(directory),
    }


def checkpoint_steps(folder: Path) -> dict[int, Path]:
    """Return the checkpoints in a folder: step -> path, as TensorFlow names them.

    The files determine them, since TensorFlow's list of them can be damaged.
    """
    if not folder.is_dir():
        return {}
    matches = {file: _CHECKPOINT.fullmatch(file.name) for file in folder.iterdir()}
    return {int(match[1]): file.with_suffix("") for file, match in matches.items() if match}


def _is_kept(log: Path, directory: StrPath) -> bool:
    """Return whether the newest model was made with this log."""
    versions = finished_versions(directory)
    if not versions or not log.is_file():
        return False
    kept = versions[-1] / METADATA_JSON.parent / KEPT_LOG
    return kept.is_file() and filecmp.cmp(log, kept, shallow=False)


def _rewind(file: Path, fields: Sequence[str], step: int) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for row in _rows(file) if int(row["step"]) <= step)
    atomic.write_text(file, text.getvalue())


def _rows(file: Path) -> list[dict[str, str]]:
    """Return the complete rows of a log; a kill can leave one without some fields."""
    if not file.is_file():
        return []
    with open(file, newline="", encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if None not in row.values()]


def _header(file: Path) -> list[str]:
    with open(file, newline="", encoding="utf-8") as lines:
        return next(csv.reader(lines), [])


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raise a one-line `UserError` if a run can't be written, for example on a full disk."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"can't write in {folder}: {error.strerror}; make room or choose another --out, then "
            "the same command resumes from the last checkpoint"
        ) from error
