"""All numbers of an evaluation: the content of metrics.json.

The document, schema version 1. An *interval* is `{"value", "low", "high"}`, the ends of a 95 %
interval over clips or groups (`intervals.metric_intervals`); null stands for what the data do not
define. Uncertainties are in nats.

    schema_version   1
    model, dataset, split, task, draws, seed, command, description     as in `Results`
    clips, labels    number of clips; label names in order
    groups           null, or the number of recordings (or of what the column `group` names) that
                     the clips are of: intervals are then over these
    metrics          name -> interval; `metrics.multiclass_metrics` or `multilabel_metrics`
    labels_left_out  multilabel: labels without a positive or without a negative clip
    labels_few       names of labels with one to four clips; map_common is the mAP without them
    base_rate        multiclass: share of the most frequent label; multilabel: mean share
    uncertainty      total, aleatoric, epistemic -> interval of the mean over clips
    calibration      bins (edges, count, confidence, accuracy; null in empty bins), mean_confidence,
                     mce, ece_equal_mass, ece_adaptive (label by label), ece_sweep (multiclass),
                     by_chance (ECE of a perfectly calibrated model: mean, high = 95 % quantile;
                     macro_mean, macro_high for the classwise or macro ECE), brier_parts, test (the
                     verdict with its p-values; `calibration_words.calibration_document`)
    selective        error_rate (top label wrong), and for each uncertainty of the answer
                     (`Answers.answer_uncertainty`): mean_right, mean_wrong, error_auroc (interval),
                     error_auroc_less_total (interval of the paired difference; null for total and
                     for one draw), aurc, e_aurc, retained_accuracy (share -> accuracy)
    ood              set name -> {"clips", "scores": score -> {"auroc": interval,
                     "auroc_less_total" (as error_auroc_less_total), "aupr_out", "aupr_in",
                     "fpr_at_95_tpr"}}
    per_label        a list in label order: label, clips (with it), ece, epistemic (mean over
                     clips), and average_precision, auc (multilabel), each with its _low and _high
                     end, or precision, recall, f1
    prediction_sets  null, or {"wanted", "coverage" (interval), "mean_size", "sizes"} (multiclass)
                     or {"wanted", "coverage", "absent_coverage", "mean_size", "decided"}; see
                     `prediction_sets.set_statistics`
    calibrated_here  whether the model was calibrated on some of these clips
    draws_needed     null, or {"standard_error": 95 % quantile over clips and labels, "wanted",
                     "draws"}: how many draws bring it down to the wanted one
"""

from typing import Any

import numpy as np

from vipann_tf.evaluation.calibration_words import calibration_document
from vipann_tf.evaluation.intervals import RESAMPLES, mean_interval, metric_intervals
from vipann_tf.evaluation.label_scores import json_number, label_scores
from vipann_tf.evaluation.prediction_sets import set_statistics
from vipann_tf.evaluation.results import KINDS, Results
from vipann_tf.evaluation.told_apart import less_total, unfamiliar_less_total
from vipann_tf.uncertainty import calibration as cal
from vipann_tf.uncertainty import selective
from vipann_tf.uncertainty.bootstrap import Interval, interval, resample_weights
from vipann_tf.uncertainty.confidence_intervals import auroc_interval
from vipann_tf.uncertainty.consistency import calibrated_ece
from vipann_tf.uncertainty.metrics import (
    COMMON,
    multilabel_metrics,
)
from vipann_tf.uncertainty.ood import ood_auroc_interval, ood_metrics
from vipann_tf.uncertainty.ranking import weighted_auroc
from vipann_tf.uncertainty.scores import brier_parts

__all__ = ["SCHEMA_VERSION", "summarise"]

SCHEMA_VERSION = 1
WANTED_STANDARD_ERROR = 0.01  # one percent


def summarise(results: Results, *, resamples: int = RESAMPLES) -> dict:
    """Return the document described above, of plain Python values that JSON can hold.

    Args:
      results: Results of the evaluation.
      resamples: Resamples of each bootstrap interval; `results.seed` is their seed.
    """
    probs, truth, task = results.answers.probs, results.truth, results.task
    found = metric_intervals(
        probs, truth, task, resamples=resamples, seed=results.seed, groups=results.groups
    )
    weights = resample_weights(len(probs), resamples, results.seed, results.groups)
    share = np.asarray(truth, float).mean(axis=0)
    document = {
        "schema_version": SCHEMA_VERSION,
        "model": results.model,
        "dataset": results.dataset,
        "split": results.split,
        "task": task,
        "draws": int(results.num_draws),
        "seed": int(results.seed),
        "command": results.command,
        "description": dict(results.description),
        "clips": len(probs),
        "groups": None if results.groups is None else len(set(results.groups)),
        "labels": list(results.labels),
        "metrics": {name: _interval(value) for name, value in found.items()},
        "base_rate": float(share.max() if task == "multiclass" else share.mean()),
        "uncertainty": _uncertainty(results, resamples),
        "calibration": _calibration(results),
        "selective": _selective(results, weights),
        "ood": {name: _ood(results, name, resamples) for name in results.outside},
        "per_label": label_scores(results),
        "labels_few": _few(results),
        "prediction_sets": _prediction_sets(results),
        "calibrated_here": results.calibrated_here,
        "draws_needed": _draws_needed(results),
    }
    if task == "multilabel":
        document["labels_left_out"] = multilabel_metrics(probs, truth)["labels_left_out"]
    return document


def _interval(value: Interval) -> dict[str, float | None]:
    return {"value": value.value, "low": value.low, "high": value.high}


def _uncertainty(results: Results, resamples: int) -> dict:
    return {
        kind: _interval(
            mean_interval(
                getattr(results.answers, kind),
                resamples=resamples,
                seed=results.seed,
                groups=results.groups,
                least=0.0,
            )
        )
        for kind in KINDS
    }


def _calibration(results: Results) -> dict:
    probs, truth, task = results.answers.probs, results.truth, results.task
    stats = cal.reliability(probs, truth, task)
    if task == "multiclass":
        confidence, outcome = cal.top_label(probs, truth)
    else:
        confidence, outcome = np.ravel(probs), np.ravel(truth)
    headline, macro = calibrated_ece(probs, task, seed=results.seed)
    parts = brier_parts(cal.label_reliability(probs, truth, task))
    over_labels = np.sum if task == "multiclass" else np.mean  # as the Brier score itself
    equal_mass = cal.count_bins(confidence, outcome, cal.equal_mass_edges(confidence))
    sweep = cal.sweep_calibration_error(confidence, outcome) if task == "multiclass" else None
    return {
        "bins": {
            "edges": stats.edges.tolist(),
            "count": stats.count.tolist(),
            "confidence": [json_number(value) for value in stats.mean_confidence],
            "accuracy": [json_number(value) for value in stats.accuracy],
        },
        "mean_confidence": float(np.mean(confidence)),
        "mce": float(cal.maximum_calibration_error(stats)),
        "ece_equal_mass": float(cal.expected_calibration_error(equal_mass)),
        "ece_adaptive": cal.adaptive_calibration_error(probs, truth, task),
        "ece_sweep": sweep,
        "by_chance": {
            "mean": float(headline.mean()),
            "high": float(np.quantile(headline, 0.95)),
            "macro_mean": float(macro.mean()),
            "macro_high": float(np.quantile(macro, 0.95)),
        },
        "brier_parts": {name: float(over_labels(part)) for name, part in parts._asdict().items()},
        "test": calibration_document(probs, truth, task, results.labels, seed=results.seed),
    }


def _selective(results: Results, weights: np.ndarray) -> dict:
    wrong = results.wrong
    document: dict[str, Any] = {"error_rate": float(wrong.mean())}
    for kind in KINDS:
        values = results.answers.answer_uncertainty(kind, results.task)
        auroc = selective.error_detection_auroc(values, wrong)
        kept = selective.retained_accuracy(values, wrong)
        document[kind] = {
            "mean_right": json_number(values[~wrong].mean() if not wrong.all() else None),
            "mean_wrong": json_number(values[wrong].mean() if wrong.any() else None),
            "error_auroc": _interval(_error_auroc(auroc, values, results, weights)),
            "error_auroc_less_total": less_total(results, kind, weights),
            "aurc": selective.area_under_risk_coverage(values, wrong),
            "e_aurc": selective.excess_area_under_risk_coverage(values, wrong),
            "retained_accuracy": {str(share): accuracy for share, accuracy in kept.items()},
        }
    return document


def _error_auroc(
    auroc: float | None, values: np.ndarray, results: Results, weights: np.ndarray
) -> Interval:
    """Return it with an interval that holds for a few errors, too, unless clips have groups."""
    wrong = results.wrong
    if auroc is None:
        return Interval(None)
    if results.groups is not None:
        return interval(auroc, weighted_auroc(values, wrong, weights))
    return Interval(auroc, *auroc_interval(auroc, int(wrong.sum()), int((~wrong).sum())))


def _ood(results: Results, name: str, resamples: int) -> dict:
    inside = results.answers.scores(results.task)
    outside = results.outside[name].scores(results.task)
    scores = {}
    for score in inside:
        if score not in outside:
            continue
        measured = ood_metrics(inside[score], outside[score])._asdict()
        auroc = ood_auroc_interval(
            inside[score],
            outside[score],
            resamples=resamples,
            seed=results.seed,
            groups=(results.groups, results.outside[name].groups),
        )
        scores[score] = {
            **measured,
            "auroc": _interval(auroc),
            "auroc_less_total": unfamiliar_less_total(results, name, score),
        }
    return {"clips": len(results.outside[name].clip_ids), "scores": scores}


def _few(results: Results) -> list[str]:
    """Return the names of the labels that have clips, but fewer than `COMMON`."""
    clips = np.asarray(results.truth, bool).sum(axis=0)
    few = (clips > 0) & (clips < COMMON)
    return [label for label, is_few in zip(results.labels, few, strict=True) if is_few]


def _prediction_sets(results: Results) -> dict | None:
    if results.sets is None:
        return None
    found = set_statistics(
        results.sets,
        results.answers.probs,
        results.truth,
        seed=results.seed,
        groups=results.groups,
    )
    return {
        name: _interval(value) if isinstance(value, Interval) else value
        for name, value in found.items()
    }


def _draws_needed(results: Results) -> dict | None:
    if results.standard_error is None:
        return None
    # `draws` imports TensorFlow, which a summary without draws does not need.
    from vipann_tf.uncertainty.draws import sufficient_draws

    error = float(np.quantile(results.standard_error, 0.95))
    return {
        "standard_error": error,
        "wanted": WANTED_STANDARD_ERROR,
        "draws": sufficient_draws(error, results.num_draws, WANTED_STANDARD_ERROR),
    }
