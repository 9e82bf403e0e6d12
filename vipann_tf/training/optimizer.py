"""The optimizer of a recipe."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from vipann_tf.recipes import Optimizer


class FusedAdamW(tf_keras.optimizers.AdamW):
    """AdamW that updates a variable in one pass over memory instead of about fifteen.

    The arithmetic is Keras's (Kingma & Ba, arXiv 1412.6980, the form at the end of section 2), by
    TensorFlow's kernel, which supports neither `amsgrad` nor `adaptive_epsilon`.
    """

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Update one variable."""
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        place = self._index_dict[self._var_key(variable)]
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].handle,
            v=self._velocities[place].handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, dtype), step),
            lr=tf.cast(self.learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=gradient,
        )


class GroupedAdamW(FusedAdamW):
    """AdamW that multiplies the learning rate and the decay of some variables by factors.

    Args:
      learning_rate: A number or a schedule, for the variables without a factor.
      factors: (variables, factor) of each group; factors of overlapping groups are multiplied.
      **kwargs: Arguments of `tf_keras.optimizers.AdamW`.
    """

    def __init__(
        self,
        learning_rate: float | tf_keras.optimizers.schedules.LearningRateSchedule,
        *,
        factors: Sequence[tuple[Sequence[tf.Variable], float]],
        **kwargs: Any,
    ):
        self._factor = 1.0
        super().__init__(learning_rate, **kwargs)
        self._factors: dict[str, float] = {}
        for variables, factor in factors:
            for variable in variables:
                key = self._var_key(variable)
                self._factors[key] = self._factors.get(key, 1.0) * factor

    @property
    def learning_rate(self) -> tf.Tensor:
        """The learning rate of the variable that is being updated; otherwise, the common one."""
        rate = super().learning_rate
        return rate if self._factor == 1.0 else rate * self._factor

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Update one variable at its own rate."""
        with self._rate_of(variable):
            super().update_step(gradient, variable)

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        for variable in variables:
            with self._rate_of(variable):
                super()._apply_weight_decay([variable])

    @contextlib.contextmanager
    def _rate_of(self, variable: tf.Variable) -> Iterator[None]:
        # The base class reads `learning_rate` inside the block.
        self._factor = self._factors.get(self._var_key(variable), 1.0)
        try:
            yield
        finally:
            self._factor = 1.0


def make_optimizer(
    recipe: Optimizer,
    *,
    steps: int,
    precision: str,
    trunk_variables: Sequence[tf.Variable] = (),
    stddev_variables: Sequence[tf.Variable] = (),
) -> tf_keras.optimizers.Optimizer:
    """Make the AdamW of a recipe (Adam if there is no decay).

    Args:
      recipe: Learning rates, schedule, decay, clipping, averaging.
      steps: Length of the training and of the cosine schedule.
      precision: Keras dtype policy; `mixed_float16` gets loss scaling.
      trunk_variables: Variables with the `trunk_learning_rate` of the recipe.
      stddev_variables: Variables with the `stddev_learning_rate_factor`: rho of every posterior.
        Adam moves a variable by at most its learning rate per step, and rho must move by units
        while a kernel moves by hundredths.
    """
    common = {
        # Keras's default on GPUs is XLA, which would have nothing left to fuse.
        "jit_compile": False,
        "weight_decay": recipe.weight_decay,
        "global_clipnorm": recipe.clip_norm,
        "use_ema": recipe.ema_momentum is not None,
        "ema_momentum": recipe.ema_momentum or 0.0,
    }
    rate = _learning_rate(recipe, steps)
    factors = []
    if recipe.trunk_learning_rate is not None:
        factors.append((trunk_variables, recipe.trunk_learning_rate / recipe.learning_rate))
    if recipe.stddev_learning_rate_factor != 1:
        factors.append((stddev_variables, recipe.stddev_learning_rate_factor))
    optimizer = (
        GroupedAdamW(rate, factors=factors, **common) if factors else FusedAdamW(rate, **common)
    )
    # Biases, BatchNorm and standard deviations do not decay.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "kernel_rho"])
    if precision == "mixed_float16":
        return tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


def averaged_variables(
    optimizer: tf_keras.optimizers.Optimizer, variables: Sequence[tf.Variable]
) -> list[tf.Variable]:
    """Return the moving averages of the variables, or the variables if there are none.

    Args:
      optimizer: Made by `make_optimizer` and built for these variables, in this order.
      variables: The trainable variables.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    # Keras's public method overwrites the variables with the averages.
    return optimizer._model_variables_moving_average if optimizer.use_ema else list(variables)


def _learning_rate(
    recipe: Optimizer, steps: int
) -> float | tf_keras.optimizers.schedules.LearningRateSchedule:
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
