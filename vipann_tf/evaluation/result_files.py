"""Names of the files that `evaluate` and `compare` write. No TensorFlow in here."""

__all__ = ["COMPARE_CSV", "METRICS_JSON", "PREDICTIONS_CSV"]

METRICS_JSON = "metrics.json"
PREDICTIONS_CSV = "predictions.csv"
COMPARE_CSV = "compare.csv"
