"""Which labels a multiclass model confuses: the matrix, and the most frequent errors."""

from typing import Any

import numpy as np

from vipann_tf.evaluation.results import Results

__all__ = ["MATRIX_LABELS", "confusions"]

MATRIX_LABELS = 40  # a confusion matrix of more labels is not readable; confusions are listed
LISTED_CONFUSIONS = 12


def confusions(results: Results) -> dict[str, Any]:
    """Return the confusions of a multiclass model.

    Returns:
      matrix: Clips by truth and answer, None of more than `MATRIX_LABELS` labels; row_totals;
      pairs: the most frequent errors, "truth", "answer" and "count"; errors: their number in all.
    """
    truth = np.asarray(results.truth).argmax(axis=1)
    answer = results.answers.probs.argmax(axis=1)
    size = len(results.labels)
    matrix = np.bincount(truth * size + answer, minlength=size * size).reshape(size, size)
    pairs = [
        {"truth": results.labels[i], "answer": results.labels[k], "count": int(matrix[i, k])}
        for i, k in np.argwhere(matrix > 0)
        if i != k
    ]
    return {
        "matrix": matrix.tolist() if size <= MATRIX_LABELS else None,
        "row_totals": matrix.sum(axis=1).tolist(),
        "pairs": sorted(pairs, key=lambda pair: -pair["count"])[:LISTED_CONFUSIONS],
        "errors": int((truth != answer).sum()),
    }
