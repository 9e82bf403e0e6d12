"""The tests of calibration as a document of metrics.json, and in words.

`evaluate` has the words in its report, `calibrate` prints them for before and after.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.evaluation.plain_numbers import percent
from vipann_tf.uncertainty.calibration import expected_calibration_error, reliability, top_label
from vipann_tf.uncertainty.miscalibration import calibration_test, gap_power

__all__ = ["calibration_document", "calibration_words", "words_on_answers"]

LISTED_LABELS = 3


def calibration_document(
    probs: ArrayLike, truth: ArrayLike, task: str, labels: Sequence[str], *, seed: int = 0
) -> dict[str, Any]:
    """Test whether answers are calibrated; return what JSON can hold.

    Args:
      probs: Probabilities, `[clips, labels]`.
      truth: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      labels: Names of the labels.
      seed: Seed of the ECE by chance.

    Returns:
      verdict, decided_by, z, z_p and ece_p as in `CalibrationTest`; z is None if infinite.
      gap: mean confidence (multiclass) or probability (multilabel) less the share that is true.
      gap_p: p-value of the gap; multilabel the smallest of all labels.
      labels: multilabel: the labels with a gap beyond chance, the least probable gap first: label,
      expected and true (numbers of clips), p.
      power: None unless undecided: size, too_high and too_low as in `Power`.
    """
    test = calibration_test(probs, truth, task, seed=seed)
    found = np.flatnonzero(test.too_high | test.too_low) if task == "multilabel" else np.array([])
    power = gap_power(probs, task) if test.decided_by is None else None
    return {
        "verdict": test.verdict,
        "decided_by": test.decided_by,
        "gap": float((test.expected - test.true).mean() / len(np.asarray(truth))),
        "gap_p": float(test.gap_p.min()),
        "labels": [
            {
                "label": labels[i],
                "expected": float(test.expected[i]),
                "true": int(test.true[i]),
                "p": float(test.gap_p[i]),
            }
            for i in sorted(found, key=lambda i: test.gap_p[i])
        ],
        "z": test.z if np.isfinite(test.z) else None,
        "z_p": test.z_p,
        "ece_p": test.ece_p,
        "power": dataclasses.asdict(power) if power is not None else None,
    }


def calibration_words(
    task: str, test: Mapping[str, Any], *, clips: int, confidence: float, ece: float, labels: int
) -> str:
    """Return what the tests say, in one or two sentences.

    Args:
      task: "multilabel" or "multiclass".
      test: A `calibration_document`.
      clips: Number of clips.
      confidence: Mean confidence (multiclass) or probability (multilabel).
      ece: Expected calibration error.
      labels: Number of labels.
    """
    true = percent(confidence - test["gap"], 1)
    if task == "multiclass":
        start = f"Its mean confidence is {percent(confidence, 1)}, and {true} of its answers are"
        start += " right. "
    else:
        start = f"It gives labels a mean probability of {percent(confidence, 1)}, and {true} are"
        start += " true. "
    if test["verdict"] == "undecided":
        return (
            f"{start}With this many clips that cannot be distinguished from a perfectly calibrated "
            f"model. {_power(task, test['power'], clips)}"
        )
    verdict = {
        "overconfident": "It is overconfident: it claims more than it knows",
        "underconfident": "It is underconfident: it knows more than it claims",
        "uneven": "It is too sure in some places and not sure enough in others",
    }[test["verdict"]]
    if test["decided_by"] == "gap" and task == "multilabel":
        return (
            f"{start}{verdict}. {_labels(test['labels'], labels)}. A perfectly calibrated model "
            f"would have such a label {_chance(test['gap_p'])}."
        )
    reasons = {
        "gap": (
            "A perfectly calibrated model would have so large a gap between the two "
            f"{_chance(test['gap_p'])}."
        ),
        "spiegelhalter": (
            f"{_errors(test)}; those of a perfectly calibrated model would be so far off "
            f"{_chance(test['z_p'])}."
        ),
        "ece": (
            f"Its calibration error is {percent(ece, 1)}; that of a perfectly calibrated model "
            f"would be so large {_chance(test['ece_p'])}."
        ),
    }
    return f"{start}{verdict}. {reasons[test['decided_by']]}"


def words_on_answers(probs: ArrayLike, truth: ArrayLike, task: str, labels: Sequence[str]) -> str:
    """Test answers, and return `calibration_words` about them.

    Args:
      probs: Probabilities, `[clips, labels]`.
      truth: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      labels: Names of the labels.
    """
    probs = np.asarray(probs)
    confidence = top_label(probs, truth)[0] if task == "multiclass" else probs
    return calibration_words(
        task,
        calibration_document(probs, truth, task, labels),
        clips=len(probs),
        confidence=float(confidence.mean()),
        ece=float(expected_calibration_error(reliability(probs, truth, task))),
        labels=len(labels),
    )


def _power(task: str, power: Mapping[str, Any], clips: int) -> str:
    if task == "multiclass":
        points = f"{100 * power['size']:.0f} points"
        high, low = f"a confidence that is {points} too high", f"one that is {points} too low"
    else:
        high = f"probabilities that are {power['size']:g} times too high"
        low = "probabilities that are too low by the same factor"
    shares = {high: power["too_high"], low: power["too_low"]}
    known = [
        f"{what} would be found {_cases(share)}"
        for what, share in shares.items()
        if share is not None
    ]
    return f"With {clips} clips, {', and '.join(known)}."


def _errors(test: Mapping[str, Any]) -> str:
    """Return what the squared errors show: of the level of all probabilities, or else of each."""
    larger = test["z"] is None or test["z"] > 0
    size = "larger" if larger else "smaller"
    if larger == (test["verdict"] == "overconfident"):
        return f"Its squared errors are {size} than its own probabilities make one expect"
    # Of rare labels, too high probabilities promise larger errors than there are.
    level = "low" if larger else "high"
    promised = f"its squared errors are {size} than they make one expect"
    return f"Its probabilities are too {level} on the whole, so that {promised}"


def _labels(found: Sequence[Mapping[str, Any]], labels: int) -> str:
    sides = {
        "too high": [line for line in found if line["expected"] > line["true"]],
        "too low": [line for line in found if line["expected"] < line["true"]],
    }
    parts = []
    for side, lines in sides.items():
        if lines:
            named = [
                f"{line['label']}: {line['expected']:.1f} clips expected, {line['true']} have it"
                for line in lines[:LISTED_LABELS]
            ]
            more = "; ..." if len(lines) > LISTED_LABELS else ""
            parts.append(f"{side} for {len(lines)} of {labels} labels ({'; '.join(named)}{more})")
    return f"Its probabilities are {' and '.join(parts)}"


def _chance(p: float) -> str:
    if p < 0.001:
        return "by chance in fewer than 1 of 1000 cases"
    share = f"{1000 * p:.0f} of 1000" if p < 0.01 else f"{100 * p:.0f} of 100"
    return f"by chance in {share} cases"


def _cases(share: float) -> str:
    if share > 0.95:
        return "in nearly every case"
    return f"in {10 * share:.0f} of 10 cases" if share >= 0.05 else "in hardly any case"
