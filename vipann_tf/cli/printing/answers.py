"""Print answers about files: for people, as JSON or as CSV."""

import csv
import json
import sys

import numpy as np

from vipann_tf.saved_model.predict import Answer
from vipann_tf.saved_model.stored_calibration import ConformalThresholds

_COLUMNS = (
    "file",
    "label",
    "probability",
    "label_aleatoric",
    "label_epistemic",
    "total",
    "aleatoric",
    "epistemic",
)


class AnswerPrinter:
    """A printer of the most probable labels of each file, on stdout, as the answers come.

    Args:
      labels: Label names in the order of the outputs.
      top: Number of labels to print per file.
      style: `table` (one block per file), `json` (one object and line per file) or `csv` (one row
        per label, below a heading).
      conformal: Thresholds of prediction sets, if the model has them; table and JSON then show the
        sets, CSV does not.
    """

    def __init__(
        self,
        labels: list[str],
        *,
        top: int,
        style: str,
        conformal: ConformalThresholds | None = None,
    ):
        self._labels, self._top, self._style = labels, top, style
        self._conformal = conformal
        if style == "csv":
            csv.writer(sys.stdout, lineterminator="\n").writerow(_COLUMNS)

    def print(self, answer: Answer) -> None:
        """Print an answer."""
        if self._style == "json":
            document = _as_dict(answer, self._labels, self._top)
            if self._conformal is not None:
                document["prediction_set"] = _prediction_set(answer, self._labels, self._conformal)
            print(json.dumps(document))
        elif self._style == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            clip = [f"{x:.6f}" for x in (answer.total, answer.aleatoric, answer.epistemic)]
            for label, *numbers in _top(answer, self._labels, self._top):
                writer.writerow([answer.path, label, *(f"{x:.6f}" for x in numbers), *clip])
        else:
            _print_block(answer, self._labels, self._top, self._conformal)
        sys.stdout.flush()  # a pipe or a file gets each answer at once


def _print_block(
    answer: Answer, labels: list[str], top: int, conformal: ConformalThresholds | None
) -> None:
    print(f"{answer.path} ({answer.seconds:.1f} s)")
    for label, probability, *_ in _top(answer, labels, top):
        print(f"  {probability:.3f}  {label}")
    print(
        f"  uncertainty {answer.total:.3f} nats = {answer.aleatoric:.3f} aleatoric (the sound's) "
        f"+ {answer.epistemic:.3f} epistemic (the model's)"
    )
    if conformal is not None:
        for name, members in _prediction_set(answer, labels, conformal).items():
            if name != "coverage":
                print(f"  {_SETS[name].format(conformal.coverage)}: {_listed(members)}")


# Names of the sets of `_prediction_set` -> their meaning.
_SETS = {
    "labels": "one of these, with {:.0%} coverage",
    "present": "heard, with {:.0%} coverage",
    "undecided": "neither heard nor excluded",
}
_SHOWN_OF_A_SET = 8


def _listed(members: list[str]) -> str:
    """Return names in one line, the last of many as a number only."""
    more = len(members) - _SHOWN_OF_A_SET
    shown = ", ".join(members[:_SHOWN_OF_A_SET]) or "none"
    return f"{shown} and {more} more" if more > 0 else shown


def _prediction_set(answer: Answer, labels: list[str], conformal: ConformalThresholds) -> dict:
    """Return the labels that cannot be excluded, see `uncertainty.conformal`.

    The most probable label is first. Multiclass: `labels`. Multilabel: `present`, whose absence can
    be excluded, and `undecided`.
    """
    from vipann_tf.evaluation.prediction_sets import from_metadata
    from vipann_tf.uncertainty.conformal import MulticlassConformal

    probs = answer.probabilities[np.newaxis].astype(np.float64)
    order = np.argsort(-answer.probabilities, kind="stable")

    def names(member: np.ndarray) -> list[str]:
        return [labels[i] for i in order if member[i]]

    predictor = from_metadata(conformal)
    if isinstance(predictor, MulticlassConformal):
        # float32 probabilities do not sum to one exactly enough.
        (member,) = predictor.sets(probs / probs.sum())
        return {"coverage": conformal.coverage, "labels": names(member)}
    possible = predictor.possible(probs)
    present, absent = possible.present[0], possible.absent[0]
    return {
        "coverage": conformal.coverage,
        "present": names(present & ~absent),
        "undecided": names(present & absent),
    }


def _top(answer: Answer, labels: list[str], top: int) -> list[tuple[str, float, float, float]]:
    """Return label, probability, aleatoric and epistemic part of the most probable labels."""
    order = np.argsort(-answer.probabilities, kind="stable")[:top]
    return [
        (
            labels[i],
            float(answer.probabilities[i]),
            float(answer.label_aleatoric[i]),
            float(answer.label_epistemic[i]),
        )
        for i in order
    ]


def _as_dict(answer: Answer, labels: list[str], top: int) -> dict:
    names = ("label", "probability", "aleatoric", "epistemic")
    return {
        "file": answer.path,
        "seconds": round(answer.seconds, 3),
        "total": answer.total,
        "aleatoric": answer.aleatoric,
        "epistemic": answer.epistemic,
        "labels": [dict(zip(names, row, strict=True)) for row in _top(answer, labels, top)],
    }
