"""Scores of each label, with intervals: which labels a model knows, and which it does not."""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from vipann_tf.evaluation.results import Results
from vipann_tf.uncertainty import calibration as cal
from vipann_tf.uncertainty.arrays import FloatArray
from vipann_tf.uncertainty.confidence_intervals import auroc_interval, average_precision_interval
from vipann_tf.uncertainty.jackknife import jackknife_interval, leave_out_weights
from vipann_tf.uncertainty.metrics import label_auc, label_average_precision
from vipann_tf.uncertainty.ranking import weighted_auroc, weighted_average_precision

__all__ = ["json_number", "label_scores"]


def label_scores(results: Results) -> list[dict]:
    """Return the scores of each label, as `per_label` of metrics.json has them.

    Args:
      results: Results of the evaluation.
    """
    probs, truth = results.answers.probs, np.asarray(results.truth, bool)
    stats = cal.label_reliability(probs, truth, results.task)
    columns: dict[str, FloatArray] = {
        "ece": cal.expected_calibration_error(stats),
        "epistemic": np.mean(results.answers.label_epistemic, axis=0, dtype=np.float64),
    }
    if results.task == "multilabel":
        precision, auc = label_average_precision(probs, truth), label_auc(probs, truth)
        clips = truth.sum(axis=0)
        ends = np.full((4, len(clips)), np.nan)
        for i in np.flatnonzero(~np.isnan(auc)).tolist():
            if results.groups is None:
                ends[:2, i] = average_precision_interval(precision[i], clips[i])
                ends[2:, i] = auroc_interval(auc[i], clips[i], len(truth) - clips[i])
            else:
                ends[:2, i] = _over_groups(precision[i], weighted_average_precision, results, i)
                ends[2:, i] = _over_groups(auc[i], weighted_auroc, results, i)
        columns.update(average_precision=precision, auc=auc)
        columns.update(average_precision_low=ends[0], average_precision_high=ends[1])
        columns.update(auc_low=ends[2], auc_high=ends[3])
    else:
        precision, recall, f1, _ = precision_recall_fscore_support(
            truth.argmax(axis=1),
            probs.argmax(axis=1),
            labels=np.arange(len(results.labels)),
            zero_division=np.nan,
        )
        columns.update(
            precision=np.asarray(precision), recall=np.asarray(recall), f1=np.asarray(f1)
        )
    return [
        {
            "label": label,
            "clips": int(truth[:, i].sum()),
            **{name: json_number(values[i]) for name, values in columns.items()},
        }
        for i, label in enumerate(results.labels)
    ]


def _over_groups(
    value: float,
    measure: Callable[[FloatArray, FloatArray, FloatArray], FloatArray],
    results: Results,
    label: int,
) -> tuple[float, float]:
    """Return the ends of a label's interval over groups, NaN if it hangs on one group."""
    weights = leave_out_weights(len(results.truth), results.groups)
    scores = measure(results.answers.probs[:, label], results.truth[:, label], weights)
    found = jackknife_interval(value, scores, share=True)
    return (np.nan, np.nan) if found.low is None or found.high is None else (found.low, found.high)


def json_number(value: float | None) -> float | None:
    """Return a number as JSON can hold it; `None` if it is not finite."""
    return float(value) if value is not None and np.isfinite(value) else None
