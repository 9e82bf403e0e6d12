"""Names of labels as people write them: one label, one name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable

from vipann_tf.datasets.base import Clip
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.task import Task

__all__ = ["LabelNames", "check_labels"]

# Characters without width: a soft hyphen, a zero-width space, a byte-order mark.
_UNSEEN = dict.fromkeys([0x00AD, 0x200B, 0xFEFF])
# What people put between labels; ours is the semicolon.
_LISTED = re.compile(r"\s*[,|/+&]\s*")


class LabelNames:
    """The names that stand for each label of a data set.

    Names that look the same are one label: letters with accents may be written in two ways (Unicode
    NFC and NFD), and spaces at the ends or doubled can't be seen. Names that differ in capital
    letters alone are nearly always a slip, which would make one class two; nobody but the user
    knows.

    Args:
      names: The names as they were found.
      where: The file or folder that holds them.

    Attributes:
      notices: Which names became one label, and which labels are nearly the same.

    Raises:
      UserError: Two labels differ in capital letters alone.
    """

    def __init__(self, names: Iterable[str], where: str):
        spellings: dict[str, set[str]] = {}
        for name in sorted(set(names)):
            spellings.setdefault(self.label(name), set()).add(name)
        self.notices: list[Notice] = []
        for label, found in sorted(spellings.items()):
            if not label:
                raise UserError(f"{where}: {found.pop()!r} is not a name for a label; give it one")
            if len(found) > 1:
                written = " and ".join(ascii(name) for name in sorted(found))
                detail = f"{written} look the same, and are one label: {label!r}"
                self.notices.append(Notice(where, "", "label-spelling", detail))
        for one, other in _twins(spellings, str.lower):
            raise UserError(
                f"{where}: labels {one!r} and {other!r} differ in capital letters alone; write both"
                " the same if they are one class, or else give one of them another name"
            )
        for one, other in _twins(spellings, _without_separators):
            detail = f"{one!r} and {other!r} are two labels; if they are one class, rename one"
            self.notices.append(Notice(where, "", "similar-labels", detail))
        for label in sorted(spellings):
            parts = _LISTED.split(label)
            if len(parts) > 1 and spellings.keys() >= set(parts):
                detail = f"{label!r} is one label, and so is each of {', '.join(parts)}"
                self.notices.append(Notice(where, "", "similar-labels", detail))

    @staticmethod
    def label(name: str) -> str:
        """Return the label that a name stands for: Unicode NFC, single spaces, nothing unseen."""
        return " ".join(unicodedata.normalize("NFC", name.translate(_UNSEEN)).split())


def check_labels(
    labels: Collection[str], task: Task, clips: Iterable[Clip], where: str, hint: str = ""
) -> list[Notice]:
    """Find out whether a model has a choice between labels.

    Args:
      labels: The labels.
      task: What a model does with them.
      clips: The clips that have them.
      where: The file or folder that holds them.
      hint: What else may be wrong, for the end of the message.

    Returns:
      A notice if every clip of a multilabel source has its single label.

    Raises:
      UserError: A multiclass source has a single label.
    """
    if len(labels) != 1 or not all(clip.labels for clip in clips):
        return []
    [only] = labels
    what = f"{only!r} is the single label, and every clip has it: a model would call every sound"
    if task == "multilabel":
        detail = f"{what} {only!r}; add clips without a label{hint}"
        return [Notice(where, "", "single-label", detail)]
    raise UserError(
        f"{where}: {what} {only!r}, with certainty; add a class of other sounds (a background), or"
        f" use --task multilabel and add clips without a label{hint}"
    )


def _twins(labels: Iterable[str], key: Callable[[str], str]) -> list[tuple[str, str]]:
    first: dict[str, str] = {}
    twins = []
    for label in sorted(labels):
        earlier = first.setdefault(key(label), label)
        if earlier != label:
            twins.append((earlier, label))
    return twins


def _without_separators(label: str) -> str:
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", label.replace("_", " "))
