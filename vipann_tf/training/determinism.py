"""Operations that give the same bits in every run."""

import tensorflow as tf

from vipann_tf.recipes import Training


def set_determinism(training: Training) -> None:
    """Switch deterministic operations on for the rest of the process where they are wanted.

    Args:
      training: `deterministic_ops` says whether they are wanted; `None` wants them where there is
        no GPU. `seed` becomes the global seed then, since deterministic operations refuse to draw
        without one.
    """
    wanted = training.deterministic_ops
    if wanted is None:
        wanted = not tf.config.list_physical_devices("GPU")
    if wanted:
        tf.random.set_seed(training.seed)
        tf.config.experimental.enable_op_determinism()
