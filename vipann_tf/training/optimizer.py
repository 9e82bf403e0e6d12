"""The optimizer of a recipe."""

import tf_keras

from vipann_tf.recipe import Optimizer


def make_optimizer(recipe: Optimizer, *, steps: int, precision: str) -> tf_keras.optimizers.Optimizer:
    """Adam or AdamW with the recipe's schedule.

    Args:
      recipe: Learning rate, schedule, decay and clipping.
      steps: Length of the training, over which the cosine falls.
      precision: Keras dtype policy; `mixed_float16` gets loss scaling.
    """
    optimizer = tf_keras.optimizers.AdamW(
        _learning_rate(recipe, steps),
        weight_decay=recipe.weight_decay,
        global_clipnorm=recipe.clip_norm,
    )
    # Neither biases nor BatchNorm, and no standard deviation, is drawn towards 0.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "kernel_rho"])
    if precision == "mixed_float16":
        return tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


def _learning_rate(recipe: Optimizer, steps: int):
    warmup = min(recipe.warmup_steps, steps)
    if recipe.schedule == "cosine":
        return tf_keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else recipe.learning_rate,
            decay_steps=max(steps - warmup, 1),
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    if warmup:
        return tf_keras.optimizers.schedules.PolynomialDecay(
            recipe.learning_rate / warmup, warmup, end_learning_rate=recipe.learning_rate
        )
    return recipe.learning_rate
