"""Which clips to label next: those that the model would learn most from.

Active learning asks for the labels of clips whose answer the model does not know. Epistemic
uncertainty says that directly (BALD: Houlsby et al. 2011, "Bayesian Active Learning for
Classification and Preference Learning", eq. 2); aleatoric uncertainty stays however many labels
are bought. Clips that are alike are alike uncertain, and labelling all of them is labour lost:
with diversity, clips are taken one by one, each as far as possible from those taken before.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.evaluation.evaluate import BATCH
from vipann_tf.evaluation.inference import predict_batches
from vipann_tf.evaluation.results import KINDS
from vipann_tf.models.vipann import VIPANN
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.metadata import ModelInfo, read_labels

__all__ = ["Ranked", "diverse_order", "rank"]


@dataclass(frozen=True)
class Ranked:
    """A clip that is worth a label; uncertainties in nats.

    Attributes:
      rank: From 1.
      clip_id, split: The clip.
      answer, probability: The model's most probable label.
      total, aleatoric, epistemic: Of the clip.
      distance: To the nearest clip ranked before, 1 - cosine of the embeddings; `None` for the
        first one and where diversity was not asked for.
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
    model: str | os.PathLike,
    data: str | os.PathLike,
    *,
    by: str = "epistemic",
    top: int = 20,
    diversity: bool = False,
    splits: Sequence[str] = (),
    samples: int | None = None,
    seed: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Ranked]:
    """Ranks clips by how uncertain a model is of them. Their labels are not looked at.

    Args:
      model: Model directory.
      data: Dataset directory of any labels.
      by: "epistemic", "aleatoric" or "total".
      top: Number of clips to return.
      diversity: Whether to prefer clips that are unlike those ranked before, see `diverse_order`.
      splits: To choose from; by default all that the model was not trained on.
      samples, seed: Draws; by default those of `serving_default`.
      on_progress: Called with the clips answered and their total.

    Returns:
      The clips, first the one to label first.

    Raises:
      UserError: Model and data do not go together, or an argument is not allowed.
    """
    if by not in KINDS:
        raise UserError(f"by is {by!r}; it must be one of {', '.join(KINDS)}")
    if top < 1:
        raise UserError(f"top is {top}; use 1 or more")
    network, info = load_model(model)
    dataset = read_dataset_info(data)
    if dataset.sample_rate_hz != info.sample_rate_hz:
        raise UserError(
            f"{data} has {dataset.sample_rate_hz} Hz, the model takes {info.sample_rate_hz} Hz; "
            "prepare it anew"
        )
    samples = info.samples if samples is None else samples
    if samples < 1:
        raise UserError(f"samples is {samples}; use 1 or more")
    if by == "epistemic" and (samples == 1 or not info.architecture.stochastic):
        raise UserError(
            "one network has no epistemic uncertainty to rank by; use --samples of 2 or more and a "
            "model with a Bayesian part, or --by total"
        )
    names = dataset.check_splits(list(splits) or _unseen(info, dataset))
    found = predict_batches(
        network,
        evaluation_batches(data, names, BATCH),
        samples=samples,
        seed=info.seed if seed is None else seed,
        temperature=info.calibration.temperature,
        on_progress=on_progress,
        clips=dataset.count(names),
    )
    result, labels = found.decomposition, read_labels(model)
    scores = getattr(result, by)
    order = np.argsort(-scores, kind="stable")[:top]
    distances = [None] * len(order)
    if diversity:
        order, distances = diverse_order(scores, _embeddings(network, data, names), top)
    split_of = np.repeat(names, [dataset.splits[name].clips for name in names])
    answers = result.probabilities.argmax(axis=1)
    return [
        Ranked(
            place,
            found.clip_ids[i],
            str(split_of[i]),
            labels[answers[i]],
            float(result.probabilities[i, answers[i]]),
            *(float(getattr(result, kind)[i]) for kind in KINDS),
            distance,
        )
        for place, (i, distance) in enumerate(zip(order, distances, strict=True), start=1)
    ]


def diverse_order(scores, embeddings, top: int) -> tuple[np.ndarray, list[float | None]]:
    """Orders clips by uncertainty and by how unlike the ones before they are.

    K-center greedy (Sener & Savarese 2018, "Active Learning for Convolutional Neural Networks: A
    Core-Set Approach", algorithm 1), weighted: first the largest score, then again and again the
    clip with the largest product of score and distance to the nearest clip chosen. With equal
    scores it is their algorithm, with equal distances the plain ranking, and copies of a clip
    that was chosen come last.

    Args:
      scores: At least 0, `[clips]`.
      embeddings: `[clips, size]`; their directions are compared.
      top: Number of clips to choose; all where there are fewer.

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
    chosen, distances = [int(scores.argmax())], [None]
    while len(chosen) < min(top, len(scores)):
        left[chosen[-1]] = False
        nearest = np.minimum(nearest, np.clip(1.0 - units @ units[chosen[-1]], 0.0, 2.0))
        worth = np.where(left, scores * nearest, -1.0)
        # Where all that are left have no distance or no score, the scores decide.
        best = int(np.argmax(np.where(worth == worth.max(), scores, -1.0)))
        chosen.append(best)
        distances.append(float(nearest[best]))
    return np.array(chosen), distances


def _unseen(info: ModelInfo, dataset: DatasetInfo) -> list[str]:
    """Splits that did not train the model."""
    same = info.data is not None and info.data.dataset == dataset.name
    names = [name for name in dataset.splits if not (same and name in info.data.splits)]
    if not names:
        raise UserError(
            f"all of {dataset.name} trained the model ({', '.join(dataset.splits)}); name what to "
            "choose from with --split, or give other data"
        )
    return names


def _embeddings(network: VIPANN, data, splits: Sequence[str]) -> np.ndarray:
    """Embeddings of the clips, float32 [clips, size], by the posterior-mean network."""
    embed = tf.function(network.embed, [tf.TensorSpec([None, None])], autograph=False)
    batches = evaluation_batches(data, splits, BATCH)
    return np.concatenate([embed(batch["waveform"]).numpy() for batch in batches])
