"""The calibration error that chance alone would show.

With few clips per bin, points stray from the diagonal even if a model is perfectly calibrated,
so an ECE means something only beside the ECE of such a model. Consistency resampling (Broecker &
Smith 2007, "Increasing the Reliability of Reliability Diagrams") keeps the answers as they are,
draws the truth from them again and again, and scores each draw.
"""

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.uncertainty.arrays import FloatArray, check_task, checked_probs
from vipann_tf.uncertainty.calibration import bin_index, equal_width_edges

__all__ = ["calibrated_ece"]


def calibrated_ece(
    probs: ArrayLike,
    task: str,
    *,
    draws: int = 200,
    seed: int = 0,
    edges: ArrayLike | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the ECEs that a perfectly calibrated model would show with these answers.

    Args:
      probs: Probabilities, `[clips, labels]`; rows sum to 1 for "multiclass".
      task: "multilabel" or "multiclass".
      draws: Number of truths to draw: from the answer's categorical distribution (multiclass), or
        independently per label (multilabel).
      seed: Seed of the draws.
      edges: Bin edges; 15 bins of equal width by default.

    Returns:
      Two float64 arrays `[draws]`: the ECE of the top label (multiclass) or of all pairs pooled
      (multilabel), and the mean of the labels' own ECEs (classwise, macro).
    """
    check_task(task)
    probs = checked_probs(probs)
    edges = equal_width_edges() if edges is None else np.asarray(edges)
    clips, labels = probs.shape
    bins = len(edges) - 1
    index = bin_index(probs, edges)
    by_label = (index + bins * np.arange(labels)).ravel()
    top = probs.argmax(axis=1)
    rows = np.arange(clips)
    steps = np.cumsum(probs, axis=1)
    rng = np.random.default_rng(seed)
    headline, macro = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        if task == "multiclass":
            # The last step is 1 up to rounding; scaling keeps the draw below it.
            uniform = rng.random((clips, 1)) * steps[:, -1:]
            truth = np.eye(labels)[(uniform >= steps).sum(axis=1)]
            right = truth[rows, top] - probs[rows, top]
            sums = np.bincount(index[rows, top], right, minlength=bins)
            headline[draw] = np.abs(sums).sum() / clips
            gaps = truth - probs
        else:
            gaps = (rng.random(probs.shape) < probs) - probs
            sums = np.bincount(index.ravel(), gaps.ravel(), minlength=bins)
            headline[draw] = np.abs(sums).sum() / probs.size
        sums = np.bincount(by_label, gaps.ravel(), minlength=bins * labels)
        macro[draw] = np.abs(sums).sum() / probs.size
    return headline, macro
