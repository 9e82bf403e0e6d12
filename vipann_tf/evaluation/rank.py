"""Clips to label next: those that the model would learn most from.

Active learning asks for the labels of clips whose answer the model does not know. Epistemic
uncertainty measures that directly (BALD: Houlsby et al. 2011, "Bayesian Active Learning for
Classification and Preference Learning", eq. 2); aleatoric uncertainty does not fall with more
labels. Similar clips are similarly uncertain, and labelling all of them wastes work: with
diversity, clips are chosen one by one, each as far as possible from those chosen before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import BATCH, ModelUnderTest
from vipann_tf.evaluation.results import KINDS
from vipann_tf.evaluation.splits import unseen_splits
from vipann_tf.files.paths import StrPath
from vipann_tf.models.ensemble import Ensemble
from vipann_tf.models.vipann import VIPANN
from vipann_tf.records.pipeline import evaluation_batches

__all__ = ["Ranked", "diverse_order", "rank"]


@dataclass(frozen=True)
class Ranked:
    """A clip that is worth a label; uncertainties in nats.

    Attributes:
      rank: Rank, from 1.
      clip_id, split: The clip.
      answer, probability: The model's most probable label.
      total, aleatoric, epistemic: Uncertainty of the clip.
      distance: Distance to the nearest clip ranked before, 1 - cosine of the embeddings; `None` for
        the first one and without diversity.
    """

    rank: int
    clip_id: str
    split: str
    answer: str
    probability: float
    total: float
    aleatoric: float
    epistemic: float
    distance: float | None = None


def rank(
    model: StrPath,
    data: StrPath,
    *,
    by: str = "epistemic",
    top: int = 20,
    diversity: bool = False,
    splits: Sequence[str] = (),
    num_draws: int | None = None,
    seed: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Ranked]:
    """Rank clips by how uncertain a model is of them. Their labels are not used.

    Args:
      model: Model directory.
      data: Dataset directory of any labels.
      by: "epistemic", "aleatoric" or "total".
      top: Number of clips to return.
      diversity: Whether to prefer clips that are unlike those ranked before, see `diverse_order`.
      splits: Splits to choose from; by default all that the model was not trained on.
      num_draws: Number of draws; by default that of `serving_default`.
      seed: Seed of the draws; by default that of `serving_default`.
      on_progress: Called with the number of clips answered and their total.

    Returns:
      The clips; the first one is the one to label first.

    Raises:
      UserError: Model and data do not match, or an argument is not allowed.
    """
    if by not in KINDS:
        raise UserError(f"by is {by!r}; it must be one of {', '.join(KINDS)}")
    if top < 1:
        raise UserError(f"top is {top}; use 1 or more")
    tested = ModelUnderTest.open(model, num_draws=num_draws, seed=seed)
    if by == "epistemic" and tested.num_networks == 1:
        raise UserError(
            "one network has no epistemic uncertainty to rank by; use --samples of 2 or more and a "
            "model with a Bayesian part, or --by total"
        )
    dataset = tested.check(data, any_labels=True)
    names = dataset.check_splits(list(splits) or unseen_splits(tested.info, dataset))
    found = tested.predict(data, names, on_progress=on_progress)
    result = found.decomposition
    scores = getattr(result, by)
    if diversity:
        order, distances = diverse_order(scores, _embeddings(tested.network, data, names), top)
    else:
        order = np.argsort(-scores, kind="stable")[:top]
        distances = [None] * len(order)
    split_of = np.repeat(names, [dataset.splits[name].clips for name in names])
    answers = result.probabilities.argmax(axis=1)
    return [
        Ranked(
            rank=place,
            clip_id=found.clip_ids[i],
            split=str(split_of[i]),
            answer=tested.labels[answers[i]],
            probability=float(result.probabilities[i, answers[i]]),
            total=float(result.total[i]),
            aleatoric=float(result.aleatoric[i]),
            epistemic=float(result.epistemic[i]),
            distance=distance,
        )
        for place, (i, distance) in enumerate(zip(order, distances, strict=True), start=1)
    ]


def diverse_order(
    scores: ArrayLike, embeddings: ArrayLike, top: int
) -> tuple[np.ndarray, list[float | None]]:
    """Order clips by uncertainty and by distance to the clips before them.

    K-center greedy (Sener & Savarese 2018, "Active Learning for Convolutional Neural Networks: A
    Core-Set Approach", algorithm 1), weighted: the first clip has the largest score, each further
    one the largest product of score and distance to the nearest chosen clip. With equal scores it
    is their algorithm, with equal distances the plain ranking. Copies of a chosen clip come last.

    Args:
      scores: At least 0, `[clips]`.
      embeddings: `[clips, size]`; their directions are compared.
      top: Number of clips to choose; all if there are fewer.

    Returns:
      Indices of the clips, and the distance of each when it was chosen, `None` for the first:
      1 - cosine, from 0 (alike) to 2.
    """
    scores = np.maximum(np.asarray(scores, np.float64), 0.0)
    embeddings = np.asarray(embeddings, np.float32)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    units = embeddings / np.where(lengths > 0, lengths, 1.0)
    left = np.ones(len(scores), bool)
    nearest = np.full(len(scores), np.inf)
    chosen = [int(scores.argmax())]
    distances: list[float | None] = [None]
    while len(chosen) < min(top, len(scores)):
        left[chosen[-1]] = False
        nearest = np.minimum(nearest, np.clip(1.0 - units @ units[chosen[-1]], 0.0, 2.0))
        worth = np.where(left, scores * nearest, -1.0)
        # If all remaining clips have no distance or no score, the scores decide.
        best = int(np.argmax(np.where(worth == worth.max(), scores, -1.0)))
        chosen.append(best)
        distances.append(float(nearest[best]))
    return np.array(chosen), distances


def _embeddings(network: VIPANN | Ensemble, data: StrPath, splits: Sequence[str]) -> np.ndarray:
    """Return the embeddings of the clips, float32 [clips, size], by the posterior-mean network."""
    compiled: Any = network.compiled_network
    batches = evaluation_batches(data, splits, BATCH)
    embeddings = [compiled.until("embedding", batch["waveform"]) for batch in batches]
    return np.concatenate(embeddings)
