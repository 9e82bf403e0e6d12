"""How tables and pages call the metrics, and which way of each is better."""

from typing import NamedTuple

__all__ = ["METRIC_NAMES", "MetricName"]


class MetricName(NamedTuple):
    """What a reader sees of a metric.

    Attributes:
      shown: The name in tables and pages.
      more_is_better: Whether a larger value is better, else a smaller one is.
    """

    shown: str
    more_is_better: bool


# By the keys of `metrics.metrics`, which files keep.
METRIC_NAMES = {
    "accuracy": MetricName("accuracy", True),
    "macro_f1": MetricName("macro F1", True),
    "map": MetricName("mAP", True),
    "map_common": MetricName("mAP, 5+ clips", True),
    "auc": MetricName("AUC", True),
    "d_prime": MetricName("d'", True),
    "nll": MetricName("NLL", False),
    "ece": MetricName("ECE", False),
    "ece_classwise": MetricName("ECE by label", False),
    "ece_macro": MetricName("ECE by label", False),
    "brier": MetricName("Brier", False),
}
