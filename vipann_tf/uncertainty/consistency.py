"""The calibration error that chance alone would show.

With few clips per bin, points stray from the diagonal even if a model is perfectly calibrated,
so an ECE means something only beside the ECE of such a model. Consistency resampling (Broecker &
Smith 2007, "Increasing the Reliability of Reliability Diagrams") keeps the answers as they are,
draws the truth from them again and again, and scores each draw.

Labels of one clip may depend on each other, and the answers do not say how. A pooled ECE of
dependent labels varies more than one of drawn truth: of 40 calibrated models with 160 strongly
dependent labels, 25 had an ECE beyond the 99 % quantile of `calibrated_ece`. `flipped_ece` keeps
the gaps of each clip together instead, and changes their signs.
"""

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.uncertainty.arrays import FloatArray, check_task, checked, checked_probs
from vipann_tf.uncertainty.calibration import bin_index, equal_width_edges

__all__ = ["calibrated_ece", "flipped_ece"]


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


def flipped_ece(
    probs: ArrayLike, labels: ArrayLike, *, draws: int = 200, seed: int = 0
) -> FloatArray:
    """Return pooled ECEs of a model that has the gaps of this one, each as often up as down.

    The wild bootstrap (Liu 1988, "Bootstrap Procedures under Some Non-I.I.D. Models") with random
    signs: a clip's gaps, truth less probability, are all kept or all negated. Their expectation is
    then 0, as in a calibrated model, and labels depend on each other as they do.

    Args:
      probs: Probabilities, `[clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.
      draws: Number of times that signs are drawn.
      seed: Seed of the signs.

    Returns:
      float64 `[draws]`, in 15 bins of equal width.
    """
    probs, labels = checked(probs, labels, "multilabel")
    edges = equal_width_edges()
    bins = len(edges) - 1
    clips = len(probs)
    cells = bin_index(probs, edges) + bins * np.arange(clips)[:, None]
    gaps = np.bincount(cells.ravel(), (labels - probs).ravel(), minlength=bins * clips)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(draws, clips))
    flipped: FloatArray = np.abs(signs @ gaps.reshape(clips, bins)).sum(axis=1) / probs.size
    return flipped
