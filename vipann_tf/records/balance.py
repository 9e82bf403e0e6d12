"""Class balance for multilabel data: how often to repeat a clip, from its labels alone.

Repeating the clips of a rare label also repeats the common labels on them, so factors inverse to
label counts leave common labels over-represented. Here a clip's weight is the product of
one factor for each of its labels, and the factors are fitted to the dataset's label sets so that
the expected count is the same for every label: iterative proportional fitting (Deming and Stephan,
Annals of Mathematical Statistics 11, 1940), which among all weights with these counts gives those
nearest to uniform in the Kullback-Leibler sense.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from vipann_tf.records.label_sets import LabelSets
from vipann_tf.records.schema import LABELS

__all__ = ["balanced", "log_factors"]

# A label with fewer clips is repeated as if it had this many.
FEW_CLIPS = 20
# Bound on the distance between a label's factor and the one that its count alone suggests.
# Labels that never occur alone can't all be balanced; without a bound their factors would diverge.
MAX_CORRECTION = 10.0
# No clip occurs more often than this in one pass; common clips are dropped instead.
MAX_REPEATS = 8.0
_SWEEPS = 200
_TOLERANCE = 0.01


def log_factors(label_sets: LabelSets, num_labels: int) -> tuple[np.ndarray, float]:
    """Fit one factor per label.

    Args:
      label_sets: Set of label indices -> number of clips.
      num_labels: Length of the label list.

    Returns:
      Log factors, float64 [num_labels], and the log of a common scale: a clip should
      occur `exp(scale + sum of its labels' log factors)` times. Labels without clips have factor 1.
    """
    sets = [(list(labels), count) for labels, count in label_sets.items()]
    clips = np.array([count for _, count in sets], np.float64)
    sets_with: list[list[int]] = [[] for _ in range(num_labels)]
    for index, (labels, _) in enumerate(sets):
        for label in labels:
            sets_with[label].append(index)
    holders = [np.array(indices, np.int64) for indices in sets_with]
    counts = np.array([clips[indices].sum() for indices in holders])
    present = np.flatnonzero(counts)
    if not present.size:
        return np.zeros(num_labels), 0.0
    target = counts[present].mean() * np.minimum(1, counts / FEW_CLIPS)

    start = np.zeros(num_labels)
    start[present] = np.log(target[present] / counts[present])
    bound = np.log(MAX_CORRECTION)
    factors = np.zeros(num_labels)
    log_weights = np.zeros(len(sets))
    for _ in range(_SWEEPS):
        moved = 0.0
        for label in present.tolist():
            indices = holders[label]
            expected = clips[indices] @ np.exp(log_weights[indices])
            wanted = factors[label] + np.log(target[label] / expected)
            wanted = np.clip(wanted, start[label] - bound, start[label] + bound)
            step = wanted - factors[label]
            factors[label] = wanted
            log_weights[indices] += step
            moved = max(moved, abs(step))
        if moved < _TOLERANCE:
            break
    return factors, float(min(0.0, np.log(MAX_REPEATS) - log_weights.max()))


def balanced(
    records: tf.data.Dataset, factors: np.ndarray, log_scale: float, key: tf.Tensor
) -> tf.data.Dataset:
    """Repeat and drop serialised records at random so that labels are about equally frequent.

    Args:
      records: string []: serialised records.
      factors: float [labels], from `log_factors`.
      log_scale: From `log_factors`.
      key: int32 [2]: key of the random stream.

    Returns:
      string []. The same records and key give the same result.
    """
    table = tf.constant(factors, tf.float32)

    def copies(index: tf.Tensor, record: tf.Tensor) -> tf.data.Dataset:
        feature = {LABELS: tf.io.RaggedFeature(tf.int64)}
        labels = tf.io.parse_single_example(record, feature)[LABELS]
        times = tf.exp(tf.reduce_sum(tf.gather(table, labels)) + log_scale)
        # 2.3 times means twice, and a third time with probability 0.3.
        draw = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(key, index))
        return tf.data.Dataset.from_tensors(record).repeat(tf.cast(times + draw, tf.int64))

    return records.enumerate().flat_map(copies)
