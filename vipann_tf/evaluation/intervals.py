"""Intervals over clips of the headline metrics, and paired differences between two models.

Means over clips are bootstrapped, means over labels (mAP, AUC, d-prime, macro F1) have jackknife
intervals. Coverage of the 95 % intervals, simulated (200 data sets, 10 labels, models calibrated to
heavily overconfident): with 400 clips 90 to 97 %; with 80 clips 91 to 95 % for accuracy, 90 to 96 %
for NLL and 89 to 91 % for ECE: few clips make intervals somewhat too narrow. Those of means over
labels are in docs/decisions.md, by `benchmarks/interval_coverage.py`.
The classwise and macro ECE spread their clips over so many bins that no interval we tried covered
the truth even half of the time, so they have none; `consistency.py` gives their values by chance
alone.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.errors import UserError
from vipann_tf.evaluation.weighted_metrics import clip_means, label_means
from vipann_tf.uncertainty.bootstrap import (
    Interval,
    interval,
    resample_pair_weights,
    resample_weights,
)
from vipann_tf.uncertainty.confidence_intervals import wilson_interval
from vipann_tf.uncertainty.consistency import calibrated_ece
from vipann_tf.uncertainty.jackknife import jackknife_interval, leave_out_weights
from vipann_tf.uncertainty.metrics import d_prime, metrics
from vipann_tf.uncertainty.ranking import weighted_auroc

__all__ = [
    "RESAMPLES",
    "mean_interval",
    "metric_intervals",
    "paired_auroc",
    "paired_differences",
]

LEVEL = 0.95
# Means over clips, which are smooth enough for a jackknife.
_MEANS = frozenset({"accuracy", "nll", "brier"})
RESAMPLES = 1000  # Efron & Tibshirani 1993, section 13.3, for 95 % intervals


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
      resamples: Number of resamples of the means over clips.
      seed: Seed of the resamples.
      groups: What clips have in common, `[clips]`; see `resample_weights`.

    Returns:
      The metrics of `metrics.metrics`, without its counts. Means over clips have percentile
      intervals, or jackknife intervals over groups, which hold for a few groups, too; except: an
      accuracy of 0 or 1 has Wilson's interval; the ECE has the reflected one, from 0 if a perfectly
      calibrated model would show as large an error by chance (`consistency.calibrated_ece`); the
      classwise and macro ECE have no ends. Means over labels have jackknife intervals, d-prime that
      of the AUC; if they are 0 or 1, Wilson's for as many trials as there are positive clips, but
      no more than groups. Every interval holds its value.
    """
    probs, labels = np.asarray(probs), np.asarray(labels)
    weights = resample_weights(len(probs), resamples, seed, groups)
    values = metrics(probs, labels, task)
    independent = len(probs) if groups is None else len(np.unique(np.asarray(groups)))
    found: dict[str, Interval] = {}
    for name, drawn in clip_means(probs, labels, task, weights).items():
        if name in ("ece_classwise", "ece_macro"):
            found[name] = Interval(values[name])
        elif name == "ece":
            found[name] = interval(values[name], drawn, kind="reflected")
            chance, _ = calibrated_ece(probs, task, seed=seed)
            ece = values[name]
            if ece is not None and ece <= np.quantile(chance, LEVEL):
                found[name] = replace(found[name], low=0.0)
        elif name == "accuracy" and values[name] in (0.0, 1.0):  # then resamples do not vary
            found[name] = _certain(values[name], independent)
        else:
            found[name] = interval(values[name], drawn)
    left_out = leave_out_weights(len(probs), groups)
    if groups is not None:
        replicates = clip_means(probs, labels, task, left_out)
        for name in found.keys() & _MEANS:
            if not (name == "accuracy" and values[name] in (0.0, 1.0)):
                found[name] = jackknife_interval(
                    values[name], replicates[name], share=name == "accuracy", least=0.0
                )
    for name, scores in label_means(probs, labels, task, left_out).items():
        if values[name] in (0.0, 1.0):
            positives = labels.sum(axis=0)
            scored = positives[(positives > 0) & (positives < len(labels))].sum()
            found[name] = _certain(values[name], int(min(scored, independent)))
        else:
            found[name] = jackknife_interval(values[name], scores, share=True)
    if "d_prime" in found:
        auc = found["auc"]
        ends = (None if end is None else d_prime(end) for end in (auc.low, auc.high))
        found["d_prime"] = Interval(values["d_prime"], *ends)
    return {name: found[name] for name in values if name in found}


def mean_interval(
    values: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: ArrayLike | None = None,
    least: float = -np.inf,
) -> Interval:
    """Return the mean of a number per clip with its 95 % interval.

    Args:
      values: The number of each clip, `[clips]`.
      resamples: As in `metric_intervals`.
      seed: As in `metric_intervals`.
      groups: As in `metric_intervals`: with them the interval is the jackknife's over groups.
      least: The smallest mean that is possible.
    """
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if groups is None:
        weights = resample_weights(len(values), resamples, seed)
        return interval(mean, weights @ values / weights.sum(axis=1))
    left_out = leave_out_weights(len(values), groups)
    replicates = left_out @ values / left_out.sum(axis=1)
    return jackknife_interval(mean, replicates, share=False, least=least)


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
      `Interval`s of the differences: percentile for means over clips (jackknife if they have
      groups), jackknife for means over labels. The bias of a calibration error is about the same in
      both models and cancels.

    Raises:
      UserError: If the two models did not answer the same number of clips.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise UserError(
            f"the models gave probabilities of shape {first.shape} and {second.shape}; a paired "
            "difference needs answers to the same clips"
        )
    models = (first, second)
    values = [metrics(probs, labels, task) for probs in models]
    gaps = {name: _minus(values[0][name], values[1][name]) for name in values[0]}
    weights = resample_weights(len(first), resamples, seed, groups)
    means = [clip_means(probs, labels, task, weights) for probs in models]
    left_out = leave_out_weights(len(first), groups)
    over_labels = [label_means(probs, labels, task, left_out) for probs in models]
    if groups is not None:  # see `metric_intervals`
        without = [clip_means(probs, labels, task, left_out) for probs in models]
        for scores, mean in zip(over_labels, without, strict=True):
            scores.update({name: mean[name] for name in mean.keys() & _MEANS})
    found = {
        **{name: interval(gaps[name], drawn - means[1][name]) for name, drawn in means[0].items()},
        **{
            name: jackknife_interval(gaps[name], scores - over_labels[1][name], share=False)
            for name, scores in over_labels[0].items()
        },
    }
    return {name: found[name] for name in gaps if name in found}


def paired_auroc(
    parts: Sequence[Sequence[tuple[ArrayLike, ArrayLike]]],
    inside_groups: Sequence[Sequence[str]],
    outside_groups: Sequence[Sequence[str]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return first minus second of the AUROC of unfamiliar clips, the mean over parts.

    A part is a fold. Scores of models of different folds are not comparable, so each part has its
    own AUROC. Clips are resampled by their groups, so that a clip has the same weight in both
    models and in every part.

    Args:
      parts: One pair for the first and one for the second model per part: scores of familiar clips
        `[clips]` and of unfamiliar ones `[other clips]`.
      inside_groups: For each part, what each familiar clip shares with others, or its id.
      outside_groups: For each part, the same of its unfamiliar clips.
      resamples: As in `metric_intervals`.
      seed: As in `metric_intervals`.

    Returns:
      A percentile `Interval`.
    """
    groups = np.concatenate(inside_groups), np.concatenate(outside_groups)
    sizes = len(groups[0]), len(groups[1])
    both_weights = resample_pair_weights(sizes, resamples, seed, groups)
    weights = [
        np.split(drawn, np.cumsum([len(x) for x in of_parts])[:-1], axis=1)
        for drawn, of_parts in zip(
            np.split(both_weights, [sizes[0]], axis=1), (inside_groups, outside_groups), strict=True
        )
    ]
    value, drawn = 0.0, np.zeros(len(both_weights))
    for models, inside, outside in zip(parts, *weights, strict=True):
        is_outside = np.repeat([False, True], [inside.shape[1], outside.shape[1]])
        # The first weighting counts every clip once: the value itself.
        both = np.vstack([np.ones(len(is_outside)), np.hstack([inside, outside])])
        for sign, scores in zip((1, -1), models, strict=True):
            found = sign * weighted_auroc(np.concatenate(scores), is_outside, both) / len(parts)
            value, drawn = value + found[0], drawn + found[1:]
    return interval(value, drawn)


def _certain(value: float | None, trials: int) -> Interval:
    """Return Wilson's interval of a score that is 0 or 1, which other clips do not vary."""
    assert value is not None
    low, high = wilson_interval(value * trials, trials)
    return Interval(value, float(low), float(high))


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second
