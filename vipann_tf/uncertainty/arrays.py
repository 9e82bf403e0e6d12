"""What every measure expects of its arrays: probabilities [clips, labels], and the truth."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vipann_tf.errors import UserError
from vipann_tf.task import TASKS, check_task

__all__ = ["TASKS", "BoolArray", "FloatArray", "check_task", "checked", "checked_probs"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def checked_probs(probs: ArrayLike) -> FloatArray:
    """Return probabilities, `[clips, labels]`, as float64.

    Raises:
      UserError: If the array is empty or a value is not in [0, 1].
    """
    probs = np.asarray(probs, np.float64)
    if probs.ndim != 2 or probs.size == 0:
        raise UserError(
            f"probabilities have shape {probs.shape}; it must be [clips, labels] with at least "
            "one clip and one label"
        )
    allowed = (probs >= 0) & (probs <= 1)
    if not np.all(allowed):  # NaN fails too
        raise UserError(f"a probability is {probs[~allowed][0]}; every one must be in [0, 1]")
    return probs


def checked(probs: ArrayLike, labels: ArrayLike, task: str) -> tuple[FloatArray, BoolArray]:
    """Return probabilities and labels as arrays that the measures can rely on.

    Args:
      probs: Probabilities in [0, 1], `[clips, labels]`, any floating type.
      labels: Multi-hot truth, `[clips, labels]`, of 0 and 1, any type; exactly one 1 per clip for
        "multiclass". For "multiclass" also the numbers of the true labels, integers `[clips]`.
      task: "multilabel" or "multiclass".

    Returns:
      Probabilities as float64 and labels as bool, both `[clips, labels]`.

    Raises:
      UserError: If the shapes differ or are empty, or a value or the task is not allowed.
    """
    check_task(task)
    probs = checked_probs(probs)
    labels = np.asarray(labels)
    if task == "multiclass" and labels.ndim == 1:
        labels = _one_hot(labels, probs.shape[1])
    if probs.shape != labels.shape:
        raise UserError(
            f"probabilities have shape {probs.shape} and labels {labels.shape}; both must be "
            "[clips, labels], or multiclass labels integers [clips]"
        )
    allowed = (labels == 0) | (labels == 1)
    if not np.all(allowed):
        raise UserError(f"a label is {labels[~allowed][0]}; give multi-hot labels of 0 and 1")
    labels = labels.astype(bool)
    if task == "multiclass":
        counts = labels.sum(axis=1)
        if not np.all(counts == 1):
            clip = int(np.argmax(counts != 1))
            raise UserError(
                f"clip {clip} has {counts[clip]} labels; multiclass clips have exactly one"
            )
    return probs, labels


def _one_hot(numbers: NDArray[Any], count: int) -> BoolArray:
    """Return one-hot labels, `[clips, labels]`, of the numbers of labels."""
    if numbers.dtype.kind not in "iu":
        raise UserError(
            f"labels are {numbers.dtype} [clips]; numbers of labels are integers, and one-hot "
            "labels are [clips, labels]"
        )
    wrong = (numbers < 0) | (numbers >= count)
    if wrong.any():
        raise UserError(
            f"clip {int(np.argmax(wrong))} has label {numbers[wrong][0]}; there are {count} "
            f"labels, from 0 to {count - 1}"
        )
    one_hot: BoolArray = np.arange(count) == numbers[:, np.newaxis]
    return one_hot
