"""From the probabilities of draws to everything that they say, in one call."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import FloatArray, check_task, checked
from vipann_tf.uncertainty.metrics import metrics
from vipann_tf.uncertainty.selective import (
    area_under_risk_coverage,
    error_detection_auroc,
    wrong_answers,
)

__all__ = ["Uncertainty", "from_draws"]

# How far the probabilities of a multiclass clip may be from a sum of 1: bfloat16 has 8 bits.
_SUM_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What draws say of some clips; uncertainties in nats, all arrays float64.

    Attributes:
      probabilities: Means over draws, `[clips, labels]`.
      label_total, label_aleatoric, label_epistemic: Uncertainty of each label, one against the
        rest, `[clips, labels]`.
      total, aleatoric, epistemic: Uncertainty of each clip, `[clips]`.
      standard_error: Of the probabilities over draws, `[clips, labels]`; `None` for one draw.
      scores: With labels, those of `metrics.metrics`, and of each kind of uncertainty
        `error_auroc_KIND` (does it rank the errors?) and `aurc_KIND` (area under risk-coverage);
        `None` where the data do not define one.
    """

    probabilities: FloatArray
    label_total: FloatArray
    label_aleatoric: FloatArray
    label_epistemic: FloatArray
    total: FloatArray
    aleatoric: FloatArray
    epistemic: FloatArray
    standard_error: FloatArray | None
    scores: dict[str, float | int | None]


def from_draws(draws: ArrayLike, task: str, labels: ArrayLike | None = None) -> Uncertainty:
    """Return the uncertainty of draws, and with labels how good they are.

    Formulas and sources are in `decomposition`, `draws`, `metrics` and `selective`.

    Args:
      draws: Probabilities of every draw, `[draws, clips, labels]`, as of any library.
      task: "multilabel" or "multiclass".
      labels: Truth: multi-hot `[clips, labels]`, or for "multiclass" also the numbers of the true
        labels, integers `[clips]`; `None` for no scores.

    Raises:
      UserError: An array is not as described; multiclass probabilities do not sum to 1.

    >>> found = from_draws([[[0.9, 0.1]], [[0.5, 0.5]]], "multiclass", labels=[0])
    >>> [round(float(x[0]), 3) for x in (found.total, found.aleatoric, found.epistemic)]
    [0.611, 0.509, 0.102]
    >>> found.scores["accuracy"]
    1.0
    """
    from vipann_tf.uncertainty.decomposition import decompose  # imports TensorFlow

    probs = _checked_draws(draws, task)
    parts = {name: np.asarray(x) for name, x in decompose(probs, task)._asdict().items()}
    count = len(probs)
    # As `draws.probability_standard_error`, which takes sums of draws that are not in memory.
    error = probs.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else None
    scores: dict[str, float | int | None] = {}
    if labels is not None:
        _, truth = checked(parts["probabilities"], labels, task)
        scores |= metrics(parts["probabilities"], truth, task)
        wrong = wrong_answers(parts["probabilities"], truth, task)
        for kind in ("total", "aleatoric", "epistemic"):
            scores[f"error_auroc_{kind}"] = error_detection_auroc(parts[kind], wrong)
            scores[f"aurc_{kind}"] = area_under_risk_coverage(parts[kind], wrong)
    return Uncertainty(**parts, standard_error=error, scores=scores)


def _checked_draws(draws: ArrayLike, task: str) -> FloatArray:
    check_task(task)
    probs = np.asarray(draws, np.float64)
    if probs.ndim != 3 or not probs.size:
        raise UserError(
            f"draws have shape {probs.shape}; it must be [draws, clips, labels], none 0; one draw "
            "is probabilities[None]"
        )
    allowed = (probs >= 0) & (probs <= 1)
    if not np.all(allowed):  # NaN fails too
        raise UserError(
            f"a probability is {probs[~allowed][0]}; every one must be in [0, 1]: of logits take "
            "the softmax (multiclass) or the sigmoid (multilabel) first"
        )
    if task == "multiclass":
        sums = probs.sum(axis=-1)
        worst = np.unravel_index(np.argmax(np.abs(sums - 1)), sums.shape)
        if abs(sums[worst] - 1) > _SUM_TOLERANCE:
            raise UserError(
                f"the probabilities of draw {worst[0]}, clip {worst[1]} sum to {sums[worst]:.4g}; "
                "multiclass ones sum to 1, so normalise them, or say multilabel"
            )
    return probs
