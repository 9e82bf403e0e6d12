"""The result of every dataset module: a list of clips, labels and splits, not yet decoded."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.task import Task

__all__ = ["Clip", "Rejection", "Source", "check_split", "split_of_fold"]

# A split's name becomes part of file names and of recipes.
_SPLIT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """One clip to prepare.

    Attributes:
      clip_id: Unique within the source.
      path: The audio file that holds it.
      labels: Names of its labels.
      split: The split it belongs to.
      offset_s: Where it starts in the file, in seconds.
      duration_s: How long it is, in seconds; `None` for the rest of the file.
      group: What must stay on one side of every hold-out, such as a site or an individual; empty
        for the file itself.
    """

    clip_id: str
    path: str
    labels: tuple[str, ...]
    split: str
    offset_s: float = 0.0
    duration_s: float | None = None
    group: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Rejection:
    """A source item that gives no record; its `reason` is a short name in kebab-case."""

    path: str
    clip_id: str
    reason: str
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class Source:
    """A dataset as its publisher describes it.

    Attributes:
      name: Dataset name, written into dataset.json.
      task: Whether a clip has any number of labels or exactly one.
      labels: Every label name in model order.
      clips: What to prepare, in a stable order.
      clip_seconds: Clip length unless the user asks for another, in seconds.
      rejected: Items that were found unusable while listing.
      notices: What was found or guessed while listing and the user should know.
      counted: What was counted while listing, in a line for the user; empty if there is nothing to
        add to the number of clips.
      decode: Picklable function `decode(clip, sample_rate_hz)` that makes a clip's waveform,
        float32 [samples], if there is no file to read. `None` reads `clip.path`.
    """

    name: str
    task: Task
    labels: tuple[str, ...]
    clips: Sequence[Clip]
    clip_seconds: float
    rejected: tuple[Rejection, ...] = ()
    notices: tuple[Notice, ...] = ()
    counted: str = ""
    decode: Callable[[Clip, int], np.ndarray] | None = None


def check_split(name: str, where: str) -> str:
    """Return a split name; raise a `UserError` if it can't be part of a file name."""
    if not _SPLIT.fullmatch(name):
        raise UserError(
            f"{where}: split {name!r} is not a usable name; use letters, digits and underscores,"
            " beginning with a letter, such as train, eval or fold1"
        )
    return name


def split_of_fold(fold: str | int, where: str = "") -> str:
    """Return the split of a fold: 3, "3", "3.0", "fold3", "fold_3" and "Fold-03" are `fold3`.

    Args:
      fold: The fold; spreadsheets and pandas write whole numbers as 3.0 or 3,0.
      where: The file and line, for the message.

    Raises:
      UserError: It is not a whole number.
    """
    match = re.fullmatch(r"(?:fold[ _-]?)?(\d+)(?:[.,]0*)?", str(fold).strip(), re.IGNORECASE)
    if match is None:
        place = f"{where}: " if where else ""
        raise UserError(
            f"{place}fold {fold!r} is not a number; use 1, 2, 3 ... or fold1, fold2 ..."
        )
    return f"fold{int(match[1])}"
