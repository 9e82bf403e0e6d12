"""Bootstrap intervals of the headline metrics, and paired differences between two models.

Coverage of the 95 % intervals, simulated (200 data sets, 10 labels, models calibrated to heavily
overconfident): with 400 clips 90 to 97 %; with 80 clips 91 to 95 % for accuracy, 84 to 89 % for
macro F1, 90 to 96 % for NLL and 89 to 91 % for ECE: few clips make intervals somewhat too narrow.
The classwise and macro ECE spread their clips over so many bins that no interval we tried covered
the truth even half of the time, so they have none; `consistency.py` gives their values by chance
alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from scipy.stats import norm

from vipann_tf.errors import UserError
from vipann_tf.evaluation.metrics import metrics
from vipann_tf.uncertainty.arrays import BoolArray, FloatArray, checked
from vipann_tf.uncertainty.bootstrap import (
    Interval,
    interval,
    resample_weights,
)
from vipann_tf.uncertainty.calibration import BINS, bin_index, equal_width_edges
from vipann_tf.uncertainty.confidence_intervals import wilson_interval
from vipann_tf.uncertainty.consistency import calibrated_ece
from vipann_tf.uncertainty.ranking import weighted_auroc, weighted_average_precision
from vipann_tf.uncertainty.scores import clip_brier, clip_nll

__all__ = [
    "RESAMPLES",
    "metric_intervals",
    "paired_auroc",
    "paired_differences",
    "resampled_metrics",
]

LEVEL = 0.95
RESAMPLES = 1000  # Efron & Tibshirani 1993, section 13.3, for 95 % intervals
_CELLS = 4_000_000  # weights handled at a time: 32 MB


def metric_intervals(
    probs: ArrayLike,
    labels: ArrayLike,
    task: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> dict[str, Interval]:
    """Return every headline metric with its 95 % interval over clips.

    Args:
      probs: Mean probabilities, `[clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      resamples: Number of resamples. Time grows with clips x labels x resamples: 5,000 clips of
        527 labels took 11 s for 25 resamples on one core, 80 clips of 10 labels 10 ms for 200.
      seed: Seed of the resamples.
      groups: What clips have in common, `[clips]`; see `resample_weights`.

    Returns:
      The metrics of `metrics.metrics`, without its counts, each as a percentile `Interval`, except:
      an accuracy of 0 or 1 has Wilson's interval; the ECE has the reflected one, from 0 if a
      perfectly calibrated model would show as large an error by chance
      (`consistency.calibrated_ece`); the classwise and macro ECE have no ends.
    """
    probs = np.asarray(probs)
    weights = resample_weights(len(probs), resamples, seed, groups)
    values = metrics(probs, labels, task)
    resampled = resampled_metrics(probs, labels, task, weights)
    result = {}
    for name, drawn in resampled.items():
        if name in ("ece_classwise", "ece_macro"):
            result[name] = Interval(values[name])
        elif name == "ece":
            result[name] = interval(values[name], drawn, kind="reflected")
            chance, _ = calibrated_ece(probs, task, seed=seed)
            ece = values[name]
            if ece is not None and ece <= np.quantile(chance, LEVEL):
                result[name] = replace(result[name], low=0.0)
        else:
            result[name] = interval(values[name], drawn)
    accuracy = values.get("accuracy")
    if accuracy in (0.0, 1.0):  # then resamples do not vary
        low, high = wilson_interval(accuracy * len(probs), len(probs))
        result["accuracy"] = Interval(accuracy, float(low), float(high))
    return result


def paired_differences(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    task: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> dict[str, Interval]:
    """Return first minus second for every headline metric, on the same resamples of the clips.

    Args:
      first: Mean probabilities of one model, `[clips, labels]`.
      second: Those of another model, for the same clips in the same order.
      labels: Multi-hot truth, `[clips, labels]`.
      task: As in `metric_intervals`.
      resamples: As in `metric_intervals`.
      seed: As in `metric_intervals`.
      groups: As in `metric_intervals`.

    Returns:
      Percentile `Interval`s of the differences. The bias of a calibration error is about the same
      in both models and cancels.

    Raises:
      UserError: If the two models did not answer the same number of clips.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise UserError(
            f"the models gave probabilities of shape {first.shape} and {second.shape}; a paired "
            "difference needs answers to the same clips"
        )
    weights = resample_weights(len(first), resamples, seed, groups)
    values = [metrics(probs, labels, task) for probs in (first, second)]
    drawn = [resampled_metrics(probs, labels, task, weights) for probs in (first, second)]
    return {
        name: interval(_minus(values[0][name], values[1][name]), drawn[0][name] - drawn[1][name])
        for name in drawn[0]
    }


def paired_auroc(
    parts: Sequence[Sequence[tuple[ArrayLike, ArrayLike]]],
    inside_ids: Sequence[Sequence[str]],
    outside_ids: Sequence[Sequence[str]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return first minus second of the AUROC of unfamiliar clips, the mean over parts.

    A part is a fold. Scores of models of different folds are not comparable, so each part has its
    own AUROC. Clips are resampled by their ids, so that a clip has the same weight in both models
    and in every part.

    Args:
      parts: One pair for the first and one for the second model per part: scores of familiar clips
        `[clips]` and of unfamiliar ones `[other clips]`.
      inside_ids: For each part, the ids of its familiar clips.
      outside_ids: For each part, the ids of its unfamiliar clips.
      resamples: As in `metric_intervals`.
      seed: As in `metric_intervals`.

    Returns:
      A percentile `Interval`.
    """
    weights = []
    for offset, ids in enumerate((inside_ids, outside_ids)):
        sizes = [len(x) for x in ids]
        groups = np.concatenate(ids)
        drawn = resample_weights(len(groups), resamples, seed + offset, groups)
        weights.append(np.split(drawn, np.cumsum(sizes)[:-1], axis=1))
    value, drawn = 0.0, np.zeros(resamples)
    for models, inside, outside in zip(parts, *weights, strict=True):
        is_outside = np.repeat([False, True], [inside.shape[1], outside.shape[1]])
        # The first weighting counts every clip once: the value itself.
        both = np.vstack([np.ones(len(is_outside)), np.hstack([inside, outside])])
        for sign, scores in zip((1, -1), models, strict=True):
            found = sign * weighted_auroc(np.concatenate(scores), is_outside, both) / len(parts)
            value, drawn = value + found[0], drawn + found[1:]
    return interval(value, drawn)


def resampled_metrics(
    probs: ArrayLike, labels: ArrayLike, task: str, weights: ArrayLike
) -> dict[str, FloatArray]:
    """Return every headline metric under each weighting of the clips.

    Weights of one give the values of `metrics.metrics`.

    Args:
      probs: As in `metric_intervals`.
      labels: As in `metric_intervals`.
      task: As in `metric_intervals`.
      weights: At least 0, `[weightings, clips]`.

    Returns:
      Metric names and float64 `[weightings]`, NaN where not defined.
    """
    probs, labels = checked(probs, labels, task)
    weights = np.asarray(weights, np.float64)
    total = weights.sum(axis=1)
    result = {
        "nll": weights @ clip_nll(probs, labels, task) / total,
        "brier": weights @ clip_brier(probs, labels, task) / total,
    }
    macro = _label_gaps(probs, labels, weights).sum(axis=2).mean(axis=1) / total
    if task == "multiclass":
        answer = np.eye(probs.shape[1], dtype=bool)[probs.argmax(axis=1)]
        hit = weights @ (answer & labels)  # [weightings, labels]: true positives
        said_or_true = weights @ answer + weights @ labels
        with np.errstate(invalid="ignore"):  # a label neither true nor answered has no F1
            f1 = 2 * hit / said_or_true
        top = probs.max(axis=1, keepdims=True)
        right = (answer & labels).any(axis=1, keepdims=True)
        result = {
            "accuracy": hit.sum(axis=1) / total,
            "macro_f1": np.nanmean(f1, axis=1),
            **result,
            "ece": _label_gaps(top, right, weights)[:, 0].sum(axis=1) / total,
            "ece_classwise": macro,
        }
    else:
        auc = _mean_over_labels(weighted_auroc, probs, labels, weights)
        result = {
            "map": _mean_over_labels(weighted_average_precision, probs, labels, weights),
            "auc": auc,
            "d_prime": np.sqrt(2.0) * norm.ppf(auc),
            **result,
            "ece": _pooled_gaps(probs, labels, weights).sum(axis=1) / (total * probs.shape[1]),
            "ece_macro": macro,
        }
    return result


def _label_gaps(probs: FloatArray, labels: BoolArray, weights: FloatArray) -> FloatArray:
    """Return weighted |sum of label - probability|, `[weightings, labels, bins]`."""
    index = bin_index(probs, equal_width_edges())
    columns = index + BINS * np.arange(probs.shape[1])
    sums = weights @ _gap_matrix(probs, labels, columns, BINS * probs.shape[1])
    return np.abs(sums).reshape(len(weights), probs.shape[1], BINS)


def _pooled_gaps(probs: FloatArray, labels: BoolArray, weights: FloatArray) -> FloatArray:
    """Return weighted |sum of label - probability| over all pairs, `[weightings, bins]`."""
    index = bin_index(probs, equal_width_edges())
    return np.abs(weights @ _gap_matrix(probs, labels, index, BINS))


def _gap_matrix(
    probs: FloatArray, labels: BoolArray, columns: np.ndarray, width: int
) -> scipy.sparse.csr_matrix:
    """Return label - probability of each pair, added up in its column: `[clips, width]`."""
    rows = np.repeat(np.arange(len(probs)), probs.shape[1])
    gaps = (labels - probs).ravel()
    return scipy.sparse.csr_matrix((gaps, (rows, columns.ravel())), shape=(len(probs), width))


def _mean_over_labels(
    score: Callable[..., FloatArray], probs: FloatArray, labels: BoolArray, weights: FloatArray
) -> FloatArray:
    """Return the mean over labels that have both kinds of clips in the resample, `[weightings]`."""
    step = max(1, _CELLS // len(probs))
    parts = []
    for start in range(0, len(weights), step):
        part = weights[start : start + step]
        total, defined = np.zeros(len(part)), np.zeros(len(part))
        for label in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
            values = score(probs[:, label], labels[:, label], part)
            # A resample may have lost its negatives, where AP is 1 by convention: leave it out.
            known = np.isfinite(values) & (part @ ~labels[:, label] > 0)
            total += np.where(known, values, 0.0)
            defined += known
        parts.append(np.divide(total, defined, out=np.full(len(part), np.nan), where=defined > 0))
    return np.concatenate(parts)


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second
