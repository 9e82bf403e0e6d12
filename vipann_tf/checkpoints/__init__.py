"""Published PyTorch checkpoints become our variables."""

from vipann_tf.checkpoints.checkpoint import Checkpoint, read_checkpoint, to_variables
from vipann_tf.checkpoints.labels import audioset_labels, read_labels

__all__ = ["Checkpoint", "audioset_labels", "read_checkpoint", "read_labels", "to_variables"]
