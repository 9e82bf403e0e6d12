"""Answers about files, printed for people, as JSON or as CSV."""

import csv
import json
import sys
from collections.abc import Sequence

import numpy as np

from vipann_tf.saved_model.metadata import ConformalThresholds
from vipann_tf.saved_model.predict import Answer


def print_answers(
    answers: Sequence[Answer],
    labels: list[str],
    *,
    top: int,
    style: str,
    conformal: ConformalThresholds | None = None,
) -> None:
    """Prints the most probable labels of each file that has an answer, to stdout.

    Args:
      answers: What the model said.
      labels: Label names in the order of the outputs.
      top: Labels to print a file.
      style: `table` (a block a file), `json` (an object a file, one a line) or `csv` (a row a label).
      conformal: Where the model has them, thresholds of prediction sets, which table and JSON then
        show; the CSV's columns do not depend on the model.
    """
    answered = [answer for answer in answers if answer.error is None]
    if style == "json":
        for answer in answered:
            row = _as_dict(answer, labels, top)
            if conformal is not None:
                row["prediction_set"] = _prediction_set(answer, labels, conformal)
            print(json.dumps(row, ensure_ascii=False))
    elif style == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(
            [
                "file",
                "label",
                "probability",
                "label_aleatoric",
                "label_epistemic",
                "total",
                "aleatoric",
                "epistemic",
            ]
        )
        for answer in answered:
            clip = [f"{x:.6f}" for x in (answer.total, answer.aleatoric, answer.epistemic)]
            for row in _top(answer, labels, top):
                writer.writerow([answer.path, row[0], *(f"{x:.6f}" for x in row[1:]), *clip])
    else:
        for answer in answered:
            _print_block(answer, labels, top, conformal)


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


# What the sets of `_prediction_set` say, by their names.
_SETS = {
    "labels": "one of these, with {:.0%} coverage",
    "present": "heard, with {:.0%} coverage",
    "undecided": "neither heard nor excluded",
}
_SHOWN_OF_A_SET = 8


def _listed(members: list[str]) -> str:
    """Names in a line, the last of many as a number."""
    more = len(members) - _SHOWN_OF_A_SET
    shown = ", ".join(members[:_SHOWN_OF_A_SET]) or "none"
    return f"{shown} and {more} more" if more > 0 else shown


def _prediction_set(answer: Answer, labels: list[str], conformal: ConformalThresholds) -> dict:
    """The labels that cannot be excluded, the most probable first; see `uncertainty.conformal`.

    One label a clip: `labels`. Several: `present`, whose absence can be excluded, and `undecided`.
    """
    from vipann_tf.evaluation.prediction_sets import from_metadata

    probs = answer.probabilities[np.newaxis].astype(np.float64)
    order = np.argsort(-answer.probabilities, kind="stable")

    def names(member) -> list[str]:
        return [labels[i] for i in order if member[i]]

    if conformal.method != "label":
        # float32 probabilities do not sum to one as exactly as is asked for.
        (member,) = from_metadata(conformal).sets(probs / probs.sum())
        return {"coverage": conformal.coverage, "labels": names(member)}
    (present,), (absent,) = from_metadata(conformal).sets(probs)
    return {
        "coverage": conformal.coverage,
        "present": names(present & ~absent),
        "undecided": names(present & absent),
    }


def _top(answer: Answer, labels: list[str], top: int) -> list[tuple[str, float, float, float]]:
    """(label, probability, aleatoric, epistemic) of the most probable labels."""
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
