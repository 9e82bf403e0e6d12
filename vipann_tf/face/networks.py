"""A new network by its name."""

from vipann_tf.models.architecture import Architecture, Head, Kind
from vipann_tf.models.vipann import VIPANN
from vipann_tf.task import Task

__all__ = ["resnet54"]


def resnet54(
    labels: int,
    task: Task,
    *,
    trunk: Kind = "deterministic",
    head: Head | None = None,
    width: float = 1.0,
    seed: int = 0,
    dtype: str = "float32",
) -> VIPANN:
    """Return a new ResNet-54 of PANNs from waveforms to logits, with random weights.

    Args:
      labels: Number of labels.
      task: `multilabel` (a sigmoid per label) or `multiclass` (a softmax).
      trunk: Kind of all layers up to the pooled features.
      head: Kind of the two dense layers; by default that of the trunk.
      width: Multiplier of every channel count, a multiple of 1/64; 1.0 is the published network.
      seed: Seed of the initial weights.
      dtype: Keras dtype policy; variables, log-mel and logits are float32.

    Raises:
      ValueError: A value is not allowed.
    """
    architecture = Architecture(
        depth=54, width=width, trunk=trunk, head=head or trunk, labels=labels, task=task
    )
    return VIPANN(architecture, seed=seed, dtype=dtype)
