"""What the report's page of each class shows: its clips, thresholds, reliability, confusions.

The page's script builds the pages from these numbers, so that 527 classes are not 527 copies of
HTML. Clips are numbers of rows of `Results.answers`.
"""

from collections import Counter
from typing import Any

import numpy as np

from vipann_tf.evaluation.results import Results
from vipann_tf.uncertainty.arrays import BoolArray, FloatArray
from vipann_tf.uncertainty.calibration import label_reliability

__all__ = ["CLIPS_A_CLASS", "THRESHOLDS", "class_clips", "class_pages", "clips_to_hear", "has_rule"]

CLIPS_A_CLASS = {"right": 3, "missed": 4, "false_alarms": 4}
THRESHOLDS = np.arange(101) / 100
SOUNDS = 40  # clips of class pages with sound, about 0.1 MB each
_CONFUSIONS = 8  # listed on a page, the most frequent ones


def detected(results: Results) -> BoolArray:
    """Return which labels are taken as answered, bool `[clips, labels]`.

    Multiclass: the most probable label. Multilabel: those whose probability reaches the model's
    threshold; a label without one is never answered.
    """
    probs = np.asarray(results.answers.probs)
    if results.task == "multiclass":
        return probs.argmax(axis=1)[:, None] == np.arange(probs.shape[1])
    thresholds = [np.nan if x is None else x for x in _thresholds(results)]
    return probs >= np.array(thresholds)


def class_clips(results: Results) -> list[dict[str, list[int]]]:
    """Return the clips that each class's page shows, the surest or the worst of each kind first.

    Multilabel classes without a threshold have no errors; then "right" are the clips with the
    label that have the highest probability, "missed" those with the lowest, "false_alarms" the
    clips without it that have the highest.

    Returns:
      Per label: "right", "missed" and "false_alarms" -> rows.
    """
    probs, truth = np.asarray(results.answers.probs), np.asarray(results.truth, bool)
    answered = detected(results)
    ruled = has_rule(results)
    found = []
    for label in range(len(results.labels)):
        p, true, said = probs[:, label], truth[:, label], answered[:, label]
        any_clip = np.full(len(p), not ruled[label])
        kinds = {
            "right": (true & (said | any_clip), -p),
            "missed": (true & (~said | any_clip), p),
            "false_alarms": (~true & (said | any_clip), -p),
        }
        found.append(
            {
                kind: _first(chosen, order, CLIPS_A_CLASS[kind])
                for kind, (chosen, order) in kinds.items()
            }
        )
    return found


def clips_to_hear(results: Results) -> list[str]:
    """Return the ids of the clips of class pages whose sound the report holds, `SOUNDS` at most.

    Each class has as many as the others: the worst false alarm, the worst miss, the surest right
    one; with more than `SOUNDS` classes none, beyond those that the report has anyway.
    """
    each = min(len(CLIPS_A_CLASS), SOUNDS // len(results.labels))
    kinds = ("false_alarms", "missed", "right")
    rows: list[int] = []
    for clips in class_clips(results):
        in_turn = [clips[kind][i] for i in range(each) for kind in kinds if i < len(clips[kind])]
        rows += in_turn[:each]
    return [results.answers.clip_ids[row] for row in dict.fromkeys(rows)]


def class_pages(results: Results) -> list[dict[str, Any]]:
    """Return the numbers of each class's page.

    Returns:
      Per label:
        right, missed, false_alarms: As in `class_clips`.
        hits, detected: Clips that have the label and those of all, whose probability is at least
          each of `THRESHOLDS`.
        threshold: The model's, or None; `chosen` is what its detections are, and for multiclass
          `answered` what the answers are: clips "hits", "detected" and "positives".
        bins: [mean probability, share that have the label, clips] of its reliability diagram.
        answered_as, mistaken: [label, clips]: top labels of clips that have the label, if they are
          wrong; and what clips have of which the label is wrongly the top one.
    """
    probs, truth = np.asarray(results.answers.probs), np.asarray(results.truth, bool)
    answered, thresholds = detected(results), _thresholds(results)
    stats = label_reliability(probs, truth, results.task)
    top, wrong = probs.argmax(axis=1), results.wrong
    pages: list[dict[str, Any]] = []
    for label, clips in enumerate(class_clips(results)):
        p, true = probs[:, label], truth[:, label]
        threshold = thresholds[label]
        page: dict[str, Any] = {
            **clips,
            "hits": _at_least(p[true]),
            "detected": _at_least(p),
            "threshold": threshold,
            "chosen": None if threshold is None else _counts(p >= threshold, true),
            "answered": None,
            "bins": [
                [_short(x), _short(y), int(n)]
                for x, y, n in zip(
                    stats.mean_confidence[label],
                    stats.accuracy[label],
                    stats.count[label],
                    strict=True,
                )
                if n
            ],
            "answered_as": _frequent(Counter(top[wrong & true].tolist())),
            "mistaken": _frequent(Counter(np.nonzero(truth[wrong & (top == label)])[1].tolist())),
        }
        if results.task == "multiclass":
            page["answered"] = _counts(answered[:, label], true)
        pages.append(page)
    return pages


def _thresholds(results: Results) -> list[float | None]:
    if results.thresholds is None:
        return [None] * len(results.labels)
    return list(results.thresholds.thresholds)


def has_rule(results: Results) -> list[bool]:
    """Return whether each class has a rule that says when it is answered, so that it has errors."""
    return [results.task == "multiclass" or x is not None for x in _thresholds(results)]


def _first(chosen: BoolArray, order: FloatArray, count: int) -> list[int]:
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(order[rows], kind="stable")][:count].tolist()


def _at_least(probs: FloatArray) -> list[int]:
    """Return the number of probabilities that are at least each threshold."""
    return (len(probs) - np.searchsorted(np.sort(probs), THRESHOLDS, side="left")).tolist()


def _counts(said: BoolArray, true: BoolArray) -> dict[str, int]:
    return {
        "hits": int((said & true).sum()),
        "detected": int(said.sum()),
        "positives": int(true.sum()),
    }


def _frequent(counts: Counter[int]) -> list[list[int]]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [[label, count] for label, count in ordered[:_CONFUSIONS]]


def _short(value: float) -> float:
    return round(float(value), 4)
