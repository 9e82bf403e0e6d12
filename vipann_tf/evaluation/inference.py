"""Asking a Keras model for its draws: the loop over draws is outermost.

Features that all draws share are computed once a clip, kernels are drawn once a draw, and only sums over
draws are kept: the cost of drawing does not grow with the clips, nor the memory with the draws.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vipann_tf.models.randomness import Draw
from vipann_tf.models.vipann import VIPANN
from vipann_tf.uncertainty import decomposition

# Features held at once; beyond it clips are taken in portions, each of which draws anew.
FEATURE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Predictions:
    """What a model says of clips.

    Attributes:
      clip_ids: Names, [clips].
      labels: Multi-hot truth, float32 [clips, labels].
      decomposition: Probabilities and uncertainty, NumPy arrays with clips as the first axis.
    """

    clip_ids: list[str]
    labels: np.ndarray
    decomposition: decomposition.Decomposition


def predict_batches(
    model: VIPANN,
    batches: Iterable[dict[str, tf.Tensor]],
    *,
    samples: int,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
    clips: int = 0,
) -> Predictions:
    """Averages a model's draws over clips.

    Args:
      model: The network.
      batches: Dicts of `waveform` [batch, samples], `labels` [batch, labels] and `clip_id` [batch].
      samples: Number of draws; a deterministic network has one, however many are asked for.
      seed: Of the draws, numbered from 1.
      on_progress: Called with the number of clips answered and `clips`.
      clips: Number of clips in all, for `on_progress`.
    """
    prefix = tf.function(model.prefix, [tf.TensorSpec([None, None])], autograph=False)
    indices = range(1, samples + 1) if model.architecture.stochastic else [1]

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64)], autograph=False)
    def kernels_of(index):
        return dict(model.draw(tf.constant(seed, tf.int64), index).kernels)

    @tf.function(reduce_retracing=True, autograph=False)
    def suffix(features, index, kernels):
        return model.suffix(features, Draw(tf.constant(seed, tf.int64), index, kernels))

    clip_ids, labels, results = [], [], []
    for portion in _portions(batches, prefix):
        clip_ids += [name.decode() for batch in portion for name in batch["clip_id"].numpy()]
        labels += [batch["labels"].numpy() for batch in portion]
        shape = [sum(len(batch["labels"]) for batch in portion), model.architecture.labels]
        moments = decomposition.start(shape)
        for index in tf.constant(indices, tf.int64):
            kernels = kernels_of(index)
            probs = [suffix(batch["features"], index, kernels) for batch in portion]
            moments = decomposition.add(moments, tf.concat(probs, 0))
        results.append(decomposition.finish(moments, model.architecture.task))
        if on_progress is not None:
            on_progress(len(clip_ids), clips)
    fields = (np.concatenate([value.numpy() for value in parts]) for parts in zip(*results))
    return Predictions(clip_ids, np.concatenate(labels), decomposition.Decomposition(*fields))


def _portions(batches, prefix) -> Iterator[list[dict[str, tf.Tensor]]]:
    """Batches with `features` in place of `waveform`, in lists of at most `FEATURE_BYTES`."""
    portion, size = [], 0
    for batch in batches:
        batch = dict(batch)
        features = prefix(batch.pop("waveform"))
        if portion and size + _bytes(features) > FEATURE_BYTES:
            yield portion
            portion, size = [], 0
        portion.append({**batch, "features": features})
        size += _bytes(features)
    if portion:
        yield portion


def _bytes(tensor: tf.Tensor) -> int:
    return tensor.shape.num_elements() * tensor.dtype.size
