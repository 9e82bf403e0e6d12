"""The output of a frozen trunk, computed once per clip rather than once per epoch."""

import tensorflow as tf

from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import Augment, TrainingRecipe
from vipann_tf.records.reading import damage_as_user_error
from vipann_tf.training.clips import Stream, TrainingClips


def is_constant(model: VIPANN, augment: Augment) -> bool:
    """Return whether the trunk's features of a clip are the same in every step.

    Args:
      model: Network to train.
      augment: Random changes of the clips.
    """
    frozen = not any(layer.trainable for layer in model.trunk_layers())
    return frozen and model.architecture.trunk == "deterministic" and not augment.any


def pooled_batches(clips: TrainingClips, recipe: TrainingRecipe, model: VIPANN) -> Stream:
    """Compute the trunk's output for every clip, and return a stream of it instead of waveforms.

    Args:
      clips: Clips to train on.
      recipe: Batches, and treatment of damaged records.
      model: Network whose trunk is constant.

    Returns:
      Function of a position. Its batches are those of `TrainingClips.batches`, with `features`
      float32 [batch, 2048 x width] and no `waveform`.
    """
    features, clip_ids = [], []
    with damage_as_user_error():
        for batch in clips.once(recipe):
            features.append(model.compiled_network.until("pooled", batch["waveform"]))
            clip_ids.append(batch["clip_id"])
    table = tf.concat(features, 0)
    keys = tf.concat(clip_ids, 0)
    rows = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, tf.range(tf.size(keys, tf.int64))), -1
    )

    def with_features(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**batch, "features": tf.gather(table, rows.lookup(batch["clip_id"]))}

    return lambda position: clips.batches(recipe, position, waveform=False).map(with_features)
