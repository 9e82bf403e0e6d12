"""Out of distribution: does uncertainty reveal sounds of another kind?

Every score is oriented so that larger means more likely out of distribution (OOD):

    total, aleatoric, epistemic   nats, as in `decomposition.py`
    max_probability               1 - max_c p_c (Hendrycks & Gimpel 2017)
    energy                        multiclass: -logsumexp_c z_c of the logits (Liu et al. 2020,
                                  "Energy-based Out-of-distribution Detection", eq. 4, T = 1);
                                  multilabel: -sum_c log(1 + e^z_c) (Wang et al. 2021, "Can
                                  multi-label classification networks know what they don't
                                  know?", eq. 6), which is sum_c log(1 - p_c)

Softmax probabilities do not determine the logits' common offset, so the multiclass energy needs
logits; without them it is left out.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.metrics import average_precision_score, roc_auc_score

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import FloatArray, check_task, checked_probs
from vipann_tf.uncertainty.bootstrap import Interval, interval, resample_pair_weights
from vipann_tf.uncertainty.ranking import weighted_auroc
from vipann_tf.uncertainty.scores import PROBABILITY_FLOOR

__all__ = ["OodMetrics", "ood_auroc_interval", "ood_metrics", "ood_scores"]


class OodMetrics(NamedTuple):
    """How well one score distinguishes out-of-distribution from in-distribution clips."""

    auroc: float  # P(an OOD clip scores higher than a clip of the data set); 0.5 is chance
    aupr_out: float  # average precision with OOD as the positive kind; chance: the share of OOD
    aupr_in: float  # average precision with in-distribution as the positive kind
    fpr_at_95_tpr: float  # share of OOD clips accepted where 95 % of the data set's are


def ood_scores(
    probs: ArrayLike,
    uncertainty: Mapping[str, ArrayLike],
    task: str,
    logits: ArrayLike | None = None,
) -> dict[str, FloatArray]:
    """Return the scores of a set of clips, each `[clips]`, larger for less familiar clips.

    Args:
      probs: Mean probabilities, `[clips, labels]`.
      uncertainty: "total", "aleatoric" and "epistemic", each `[clips]`, in nats.
      task: "multilabel" or "multiclass".
      logits: Logits averaged over draws, `[clips, labels]`, or None.

    Raises:
      UserError: If logits and probabilities differ in shape.
    """
    check_task(task)
    probs = checked_probs(probs)
    kinds = ("total", "aleatoric", "epistemic")
    scores = {kind: np.asarray(uncertainty[kind], np.float64) for kind in kinds}
    scores["max_probability"] = 1.0 - probs.max(axis=1)
    if logits is not None:
        logits = np.asarray(logits, np.float64)
        if logits.shape != probs.shape:
            raise UserError(
                f"logits have shape {logits.shape} and probabilities {probs.shape}; they must agree"
            )
    if task == "multilabel":
        if logits is None:
            energy = np.log(np.maximum(1.0 - probs, PROBABILITY_FLOOR)).sum(axis=1)
        else:
            energy = -np.logaddexp(0.0, logits).sum(axis=1)
        scores["energy"] = energy
    elif logits is not None:
        scores["energy"] = -logsumexp(logits, axis=1)
    return scores


def ood_metrics(inside: ArrayLike, outside: ArrayLike) -> OodMetrics:
    """Return how well a score separates the two sets of clips.

    The false positive rate follows Liang et al. 2018 (ODIN): in-distribution clips are the
    positives; the threshold is the lowest that accepts at least 95 % of them, and a clip is
    accepted where its score does not exceed it.

    Args:
      inside: Scores of clips of the data set, `[clips]`.
      outside: Scores of out-of-distribution clips, `[other clips]`.

    Raises:
      UserError: If either is empty or a score is not a number.
    """
    inside, outside = _checked("in-distribution", inside), _checked("OOD", outside)
    scores = np.concatenate([inside, outside])
    is_outside = np.r_[np.zeros(len(inside), bool), np.ones(len(outside), bool)]
    threshold = np.quantile(inside, 0.95, method="inverted_cdf")
    return OodMetrics(
        auroc=float(roc_auc_score(is_outside, scores)),
        aupr_out=float(average_precision_score(is_outside, scores)),
        aupr_in=float(average_precision_score(~is_outside, -scores)),
        fpr_at_95_tpr=float(np.mean(outside <= threshold)),
    )


def ood_auroc_interval(
    inside: ArrayLike,
    outside: ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
    groups: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
) -> Interval:
    """Return the AUROC with its 95 % interval; both sets of clips are resampled.

    Args:
      inside: Scores of clips of the data set, `[clips]`.
      outside: Scores of out-of-distribution clips, `[other clips]`.
      resamples: Number of resamples.
      seed: Seed of the resamples.
      groups: What the clips of each set have in common; see `resample_weights`.
    """
    inside, outside = np.asarray(inside), np.asarray(outside)
    value = ood_metrics(inside, outside).auroc
    sizes = len(inside), len(outside)
    weights = resample_pair_weights(sizes, resamples, seed, groups)
    is_outside = np.repeat([False, True], sizes)
    drawn = weighted_auroc(np.concatenate([inside, outside]), is_outside, weights)
    return interval(value, drawn)


def _checked(kind: str, scores: ArrayLike) -> FloatArray:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or not len(scores):
        raise UserError(
            f"{kind} scores have shape {scores.shape}; it must be [clips] with at least one clip"
        )
    if np.isnan(scores).any():
        clip = int(np.flatnonzero(np.isnan(scores))[0])
        raise UserError(f"the {kind} score of clip {clip} is nan; every clip needs a number")
    return scores
