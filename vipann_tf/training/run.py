"""An unfinished training on disk: NAME/training, which goes when the model is exported.

NAME/training/run.json       what is being trained: the resolved recipe and its inputs
NAME/training/log.csv        a row a step
NAME/training/validation.csv a row a score
NAME/training/tensorboard/   both as curves
NAME/training/checkpoints/   model, optimizer, data position, the newest few
"""

import csv
import filecmp
import io
import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vipann_tf.errors import UserError
from vipann_tf.files import atomic
from vipann_tf.files.locking import locked
from vipann_tf.saved_model.metadata import METADATA_JSON
from vipann_tf.saved_model.versions import finished_versions

RUN_JSON = "run.json"
LOG_CSV = "log.csv"
KEPT_LOG = "training_log.csv"
VALIDATION_CSV = "validation.csv"
CHECKPOINTS = "checkpoints"
_CHECKPOINT = re.compile(r"ckpt-(\d+)\.index")
LOG_FIELDS = ("step", "epoch", "loss", "nll", "kl", "kl_scale", "learning_rate")


@contextmanager
def sole_process(directory: str | Path) -> Iterator[None]:
    """Keeps other processes from training into a directory, which is made where it is not there.

    Raises:
      UserError: Another one does right now.
    """
    directory = Path(directory)
    with ExitStack() as stack:
        with _writing(directory):
            directory.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(locked(directory))
            except BlockingIOError as error:
                raise UserError(
                    f"another process is training into {directory} right now; wait for it, or choose "
                    "another --out"
                ) from error
        yield


class TrainingRun:
    """The folder of one training run.

    Args:
      directory: NAME of the model to be.
      description: Everything that must be the same for a run to be continued, JSON-compatible.
      steps: Steps in all, for those who ask how far it is.
      overwrite: Whether a run of another description is discarded instead of refused.
      writes: Whether this process writes it; others only compare and read.

    Raises:
      UserError: An unfinished run with another description is there.
    """

    def __init__(
        self,
        directory: str | Path,
        description: dict,
        *,
        steps: int,
        overwrite: bool = False,
        writes: bool = True,
    ):
        self.folder = Path(directory) / "training"
        self.checkpoints = self.folder / CHECKPOINTS
        self.writes = writes
        file = self.folder / RUN_JSON
        description = json.loads(json.dumps(description))
        if file.is_file():
            before = json.loads(file.read_text(encoding="utf-8"))
            differing = differing_keys(before["description"], description)
            if differing and not overwrite:
                raise UserError(
                    f"{directory} holds an unfinished run that differs in {', '.join(differing)}; "
                    "repeat its command to go on, or start anew with --overwrite"
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
        """Where event files go."""
        return self.folder / "tensorboard" if self.writes else None

    def rewind_logs(self, step: int) -> None:
        """Drops log rows after a step: those that the resumed run will write again."""
        if not self.writes:
            return
        with _writing(self.folder):
            _rewind(self.folder / LOG_CSV, LOG_FIELDS, step)
            if (scores := self.folder / VALIDATION_CSV).is_file():
                _rewind(scores, _header(scores), step)

    def log(self, row: dict[str, float]) -> None:
        """Appends a row of `LOG_FIELDS`."""
        self._append(LOG_CSV, row)

    def log_scores(self, step: int, scores: dict[str, float]) -> None:
        """Appends a row of validation scores."""
        self._append(VALIDATION_CSV, {"step": step, **scores})

    def last_rows(self, count: int) -> list[dict[str, float]]:
        """The last rows of the log; none in a process that writes none."""
        rows = _rows(self.folder / LOG_CSV)[-count:] if self.writes else []
        return [{key: float(value) for key, value in row.items()} for row in rows]

    def kept_files(self) -> dict[str, Path]:
        """What the finished model keeps, by its name there."""
        names = {
            KEPT_LOG: LOG_CSV,
            "validation_log.csv": VALIDATION_CSV,
            "tensorboard": "tensorboard",
        }
        files = {kept: self.folder / name for kept, name in names.items()}
        return {kept: file for kept, file in files.items() if file.exists()}

    def finish(self) -> None:
        """Removes what a finished model does not need."""
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


def unfinished(directory: str | Path) -> dict | None:
    """What is known of the unfinished run in a model directory; `None` where there is none.

    What a process left that was killed between the last two things that it does, to write the model
    and to remove this, is none.

    Returns:
      `step`, `steps`, `description`, the last rows `log` and `scores` (empty where there is none),
      `seconds_ago`, since the last of them was written, `checkpoint`, the step of the newest (0
      where there is none), and `running`, whether a process is at it.
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
        "running": _is_locked(directory),
    }


def checkpoint_steps(folder: Path) -> dict[int, Path]:
    """The checkpoints in a folder: step -> path, as TensorFlow names them.

    By the files, not by the list that is kept beside them: that can be damaged too.
    """
    if not folder.is_dir():
        return {}
    matches = {file: _CHECKPOINT.fullmatch(file.name) for file in folder.iterdir()}
    return {int(match[1]): file.with_suffix("") for file, match in matches.items() if match}


def _is_kept(log: Path, directory: str | Path) -> bool:
    """Whether the newest model has this very log."""
    versions = finished_versions(directory)
    kept = versions and versions[-1] / METADATA_JSON.parent / KEPT_LOG
    return bool(kept) and log.is_file() and kept.is_file() and filecmp.cmp(log, kept, shallow=False)


def _is_locked(directory: str | Path) -> bool:
    try:
        with locked(directory):
            return False
    except BlockingIOError:
        return True


def _rewind(file: Path, fields: Sequence[str], step: int) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for row in _rows(file) if int(row["step"]) <= step)
    atomic.write_text(file, text.getvalue())


def _rows(file: Path) -> list[dict[str, str]]:
    """The rows of a log; one cut short by a kill lacks fields and is left out."""
    if not file.is_file():
        return []
    with open(file, newline="", encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if None not in row.values()]


def _header(file: Path) -> list[str]:
    with open(file, newline="", encoding="utf-8") as lines:
        return next(csv.reader(lines), [])


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


def differing_keys(before: dict, after: dict, prefix: str = "") -> list[str]:
    """Dotted keys whose values differ."""
    keys = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            keys += differing_keys(old, new, f"{prefix}{key}.")
        elif old != new:
            keys.append(f"{prefix}{key}")
    return keys
