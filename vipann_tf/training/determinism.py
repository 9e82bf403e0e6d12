"""Operations with the same bits in every run."""

import tensorflow as tf

from vipann_tf.recipes import Training


def set_determinism(training: Training) -> None:
    """Enable deterministic operations for the rest of the process if the recipe asks for them.

    Args:
      training: `deterministic_ops`, where `None` enables them if there is no GPU, and `seed`, which
        becomes the global seed that deterministic random operations need.
    """
    wanted = training.deterministic_ops
    if wanted is None:
        wanted = not tf.config.list_physical_devices("GPU")
    if wanted:
        tf.random.set_seed(training.seed)
        tf.config.experimental.enable_op_determinism()
