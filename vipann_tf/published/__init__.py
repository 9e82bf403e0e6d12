"""Import of published PyTorch checkpoints."""

from vipann_tf.published.checkpoint import Checkpoint, read_checkpoint, to_variables
from vipann_tf.published.labels import audioset_labels, read_labels

__all__ = ["Checkpoint", "audioset_labels", "read_checkpoint", "read_labels", "to_variables"]
