"""What makes a clip worth a label: the acquisition functions of active learning, by name.

| name | clips that come first |
| --- | --- |
| random | any: what the others are compared with |
| total | of the largest entropy of the mean answer |
| aleatoric | of the largest mean entropy of the draws' answers |
| epistemic | of the largest mutual information of label and network (BALD: Houlsby et al. 2011, |
| | arXiv 1112.5745, equation 2) |
| epistemic-diversity | epistemic, each far from those before it: `evaluation.rank.diverse_order` |
| margin | whose two most probable labels are closest (Scheffer et al. 2001, "Active hidden Markov |
| | models for information extraction", section 3); multilabel: the label closest to one half |
| badge | whose answers would change the last layer most, and differently (Ash et al. 2020, |
| | arXiv 1906.03671, algorithm 1) |
"""

from typing import get_args

import numpy as np
import numpy.typing as npt

from vipann_tf.active.answers import Answers
from vipann_tf.choices import Acquisition
from vipann_tf.errors import UserError
from vipann_tf.evaluation.rank import diverse_order
from vipann_tf.evaluation.results import KINDS
from vipann_tf.task import Task

__all__ = ["ACQUISITIONS", "choose"]

ACQUISITIONS: tuple[Acquisition, ...] = get_args(Acquisition)
Indices = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]


def choose(
    acquisition: Acquisition,
    answers: Answers,
    count: int,
    *,
    seed: int | tuple[int, ...] = 0,
) -> Indices:
    """Choose the clips to label next.

    Args:
      acquisition: Name of the function.
      answers: The head's answers to the clips to choose from.
      count: Number of clips to choose; all if there are fewer.
      seed: Seed of what `random` and `badge` draw; the others draw nothing.

    Returns:
      Indices of the clips, the first one to be labelled first, int64 [count].

    Raises:
      UserError: The name or the number is not allowed, or one network is asked for what only
        several can disagree on.
    """
    if acquisition not in ACQUISITIONS:
        raise UserError(
            f"acquisition is {acquisition!r}; it must be one of {', '.join(ACQUISITIONS)}"
        )
    if count < 1:
        raise UserError(f"count is {count}; use 1 or more")
    if acquisition.startswith("epistemic") and answers.num_networks == 1:
        raise UserError(
            "one network has no epistemic uncertainty to choose by; use strategy det-flip or "
            "det-laplace and export.num_draws of 2 or more, or another acquisition"
        )
    found = answers.decomposition
    count = min(count, len(found.total))
    if acquisition == "random":
        return np.random.default_rng(seed).permutation(len(found.total))[:count]
    if acquisition == "epistemic-diversity":
        return diverse_order(found.epistemic, answers.embeddings, count)[0]
    if acquisition == "badge":
        rng = np.random.default_rng(seed)
        return _badge(found.probabilities, answers.embeddings, answers.task, count, rng)
    scores = (
        np.asarray(getattr(found, acquisition))
        if acquisition in KINDS
        else -margin(found.probabilities, answers.task)
    )
    return np.argsort(-scores, kind="stable")[:count]


def margin(probabilities: npt.ArrayLike, task: Task) -> Array:
    """Return by how much the first answer is more probable than the second, float64 [clips].

    Args:
      probabilities: Of the labels, `[clips, labels]`.
      task: With "multilabel" each label has two answers, p and 1 - p, and the closest label counts.
    """
    probs = np.asarray(probabilities, np.float64)
    if task == "multilabel":
        return np.abs(2 * probs - 1).min(axis=1)
    ordered = np.sort(probs, axis=1)
    return ordered[:, -1] - ordered[:, -2] if probs.shape[1] > 1 else ordered[:, -1]


def _badge(
    probabilities: npt.ArrayLike,
    embeddings: npt.ArrayLike,
    task: Task,
    count: int,
    rng: np.random.Generator,
) -> Indices:
    """Draw clips by k-means++ among the gradients of the last layer at its own answers.

    The gradient of a clip is (p - answer) (x) embedding. It is never made: inner products of outer
    products are products of inner products. The first clip has the largest gradient, as in the
    authors' code.
    """
    probs = np.asarray(probabilities, np.float64)
    inputs = np.asarray(embeddings, np.float64)
    answer = probs > 0.5 if task == "multilabel" else np.eye(probs.shape[1])[probs.argmax(axis=1)]
    errors = probs - answer
    norms = (errors**2).sum(axis=1) * (inputs**2).sum(axis=1)
    nearest = np.full(len(norms), np.inf)
    chosen = [int(norms.argmax())]
    while len(chosen) < count:
        last = chosen[-1]
        products = (errors @ errors[last]) * (inputs @ inputs[last])
        nearest = np.minimum(nearest, np.maximum(norms + norms[last] - 2 * products, 0.0))
        nearest[chosen] = 0.0
        if nearest.sum() > 0:
            chosen.append(int(rng.choice(len(norms), p=nearest / nearest.sum())))
        else:  # only copies of chosen gradients are left
            chosen.append(int(np.setdiff1d(np.arange(len(norms)), chosen)[0]))
    return np.array(chosen)
