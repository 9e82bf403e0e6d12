"""Answers about files, printed for people, as JSON or as CSV."""

import csv
import json
import sys
from collections.abc import Sequence

import numpy as np

from vipann_tf.saved_model.predict import Answer


def print_answers(answers: Sequence[Answer], labels: list[str], *, top: int, style: str) -> None:
    """Prints the most probable labels of each file that has an answer, to stdout.

    Args:
      answers: What the model said.
      labels: Label names in the order of the outputs.
      top: Labels to print a file.
      style: `table` (a block a file), `json` (an object a file, one a line) or `csv` (a row a label).
    """
    answered = [answer for answer in answers if answer.error is None]
    if style == "json":
        for answer in answered:
            print(json.dumps(_as_dict(answer, labels, top), ensure_ascii=False))
    elif style == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(
            ["file", "label", "probability", "label_aleatoric", "label_epistemic"]
            + ["total", "aleatoric", "epistemic"]
        )
        for answer in answered:
            clip = [f"{x:.6f}" for x in (answer.total, answer.aleatoric, answer.epistemic)]
            for row in _top(answer, labels, top):
                writer.writerow([answer.path, row[0], *(f"{x:.6f}" for x in row[1:]), *clip])
    else:
        for answer in answered:
            _print_block(answer, labels, top)


def _print_block(answer: Answer, labels: list[str], top: int) -> None:
    print(f"{answer.path} ({answer.seconds:.1f} s)")
    for label, probability, *_ in _top(answer, labels, top):
        print(f"  {probability:.3f}  {label}")
    print(
        f"  uncertainty {answer.total:.3f} nats = {answer.aleatoric:.3f} aleatoric (the sound's) "
        f"+ {answer.epistemic:.3f} epistemic (the model's)"
    )


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
