"""What one training brought, as the page shows it."""

from __future__ import annotations

import dataclasses

from vipann_tf.active.learning import Scores
from vipann_tf.task import Task
from vipann_tf.uncertainty.bootstrap import Interval

__all__ = ["Round"]


@dataclasses.dataclass(frozen=True)
class Round:
    """One training.

    Attributes:
      model: Name of the new model directory.
      clips: Number of clips that were labelled here.
      copies: Number of those that were left out, since they are held-out clips.
      before, after: Score on the held-out clips with its interval, in words.
      difference: After less before, with its interval, in words.
      seconds: Time of the training.
    """

    model: str
    clips: int
    copies: int
    before: str
    after: str
    difference: str
    seconds: float

    @classmethod
    def of(
        cls, model: str, clips: int, copies: int, scores: Scores | None, task: Task, seconds: float
    ) -> Round:
        """Put the scores of a training into words: accuracy, or mean average precision."""
        metric = "accuracy" if task == "multiclass" else "map"
        if scores is None or scores.before is None or scores.gain is None:
            return cls(model, clips, copies, "-", "-", "-", seconds)
        return cls(
            *(model, clips, copies),
            before=_words(scores.before[metric]),
            after=_words(scores.after[metric]),
            difference=_words(scores.gain[metric], sign="+"),
            seconds=seconds,
        )


def _words(found: Interval, sign: str = "") -> str:
    if found.value is None:
        return "-"
    ends = "" if found.low is None else f" ({found.low:{sign}.3f} to {found.high:{sign}.3f})"
    return f"{found.value:{sign}.3f}{ends}"
