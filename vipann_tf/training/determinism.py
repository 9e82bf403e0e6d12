"""Operations that give the same bits in every run."""

import tensorflow as tf

from vipann_tf.recipes import Training


def set_determinism(training: Training) -> None:
    """Switches TensorFlow's deterministic operations on, for the rest of the process, where wanted.

    Args:
      training: `deterministic_ops` says whether; `None` wants them where there is no GPU. `seed`
        becomes TensorFlow's global seed then, since an operation that draws without any is refused.
    """
    wanted = training.deterministic_ops
    if wanted is None:
        wanted = not tf.config.list_physical_devices("GPU")
    if wanted:
        tf.random.set_seed(training.seed)
        tf.config.experimental.enable_op_determinism()
