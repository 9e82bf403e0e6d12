"""Average the draws of a Keras model over clips; the loop over draws is outermost.

Features that all draws share are computed once per clip, kernels once per draw, and only sums over
draws are kept: the cost of drawing does not grow with the clips, and memory does not grow with the
draws.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from vipann_tf.models.ensemble import Ensemble
from vipann_tf.models.loss import probabilities
from vipann_tf.models.vipann import VIPANN
from vipann_tf.records.reading import damage_as_user_error
from vipann_tf.uncertainty import decomposition
from vipann_tf.uncertainty.draws import probability_standard_error

# Bytes of features held at once; more clips are split into portions, each with its own drawing.
FEATURE_BYTES = 512 * 2**20

Batch = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Predictions:
    """Predictions of a model, averaged over draws.

    Attributes:
      clip_ids: Names, [clips].
      truth: Multi-hot labels of the dataset, float32 [clips, its labels].
      decomposition: Probabilities and uncertainty, NumPy arrays with clips as the first axis.
      logits: Mean over draws, float32 [clips, labels].
      standard_error: Standard error of the probabilities over draws, [clips, labels]; `None` for
        one draw.
      sample_logits: Logits of every draw, float32 [draws, clips, labels], if requested.
      groups: What clips share with others, such as their recording, [clips]; `None` if the batches
        do not say, or all differ.
    """

    clip_ids: tuple[str, ...]
    truth: np.ndarray
    decomposition: decomposition.Decomposition
    logits: np.ndarray
    standard_error: np.ndarray | None
    sample_logits: np.ndarray | None = None
    groups: tuple[str, ...] | None = None


def predict_batches(
    model: VIPANN | Ensemble,
    batches: Iterable[Batch],
    *,
    num_draws: int,
    seed: int,
    temperature: float = 1.0,
    keep_draws: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    clips: int = 0,
) -> Predictions:
    """Average a model's draws over clips.

    Args:
      model: The network, or an ensemble of networks.
      batches: Dicts of `waveform` [batch, samples], `labels` [batch, any], `clip_id` [batch] and,
        if clips may share something, `group` [batch].
      num_draws: Number of draws; a deterministic network always has one.
      seed: Seed of the draws.
      temperature: Divides the logits.
      keep_draws: Whether to return the logits of every draw, before the temperature; memory then
        grows with the draws.
      on_progress: Called with the number of clips answered, in proportion to the finished draws,
        and `clips`.
      clips: Total number of clips, for `on_progress`.
    """
    indices = model.architecture.draw_indices(num_draws)
    task = model.architecture.task
    network: Any = model.compiled_network  # its draws are for its own logits

    clip_ids, groups, truth, parts, kept = [], [], [], [], []
    for portion in _portions(batches, network):
        clip_ids += [name.decode() for batch in portion for name in batch["clip_id"].numpy()]
        groups += [name.decode() for x in portion if "group" in x for name in x["group"].numpy()]
        truth += [batch["labels"].numpy() for batch in portion]
        clips_here = sum(len(batch["labels"]) for batch in portion)
        moments = decomposition.start([clips_here, model.architecture.labels])
        logits_sum, draws = 0.0, []
        for drawn, index in enumerate(tf.constant(indices, tf.int64), start=1):
            draw = network.draw(tf.constant(seed, tf.int64), index)
            logits = tf.concat([network.logits(batch["shared"], draw) for batch in portion], 0)
            moments = decomposition.add(moments, probabilities(logits / temperature, task))
            logits_sum += logits.numpy()
            if keep_draws:
                draws.append(logits.numpy())
            if on_progress is not None:
                undone = clips_here * (len(indices) - drawn) // len(indices)
                on_progress(len(clip_ids) - undone, clips)
        parts.append(
            (
                [value.numpy() for value in decomposition.finish(moments, task)],
                logits_sum / len(indices),
                probability_standard_error(moments) if len(indices) > 1 else None,
            )
        )
        kept.append(draws)
    results, logits, errors = zip(*parts, strict=True)
    return Predictions(
        tuple(clip_ids),
        np.concatenate(truth),
        decomposition.Decomposition(
            *(np.concatenate(field) for field in zip(*results, strict=True))
        ),
        np.concatenate(logits),
        None if errors[0] is None else np.concatenate(errors),
        np.concatenate(kept, axis=1) if keep_draws else None,
        tuple(groups) if len(set(groups)) < len(groups) else None,
    )


def _portions(batches: Iterable[Batch], network: Any) -> Iterator[list[Batch]]:
    """Yield batches with `shared` in place of `waveform`, in lists of at most `FEATURE_BYTES`."""
    portion: list[Batch] = []
    size = 0
    with damage_as_user_error():
        for batch in batches:
            batch = dict(batch)
            shared = network.until("shared", batch.pop("waveform"))
            if portion and size + _bytes(shared) > FEATURE_BYTES:
                yield portion
                portion, size = [], 0
            portion.append({**batch, "shared": shared})
            size += _bytes(shared)
    if portion:
        yield portion


def _bytes(tensor: tf.Tensor) -> int:
    return tensor.shape.num_elements() * tensor.dtype.size
