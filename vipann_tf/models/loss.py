"""The training loss: the negative evidence lower bound, per clip.

loss = NLL + weight * KL(posterior || prior) / N,

where N is the number of training clips (Blundell et al., arXiv 1505.05424, equation 8, for
minibatches of equal size). The KL term is scaled only here.
"""

import tensorflow as tf

from vipann_tf.models.objective import Objective
from vipann_tf.task import Task


def kl_scale(objective: Objective, step: tf.Tensor, clips: int | tf.Tensor) -> tf.Tensor:
    """Return the factor of the summed KL at a step: float32 scalar.

    Args:
      objective: Has the weight, the warm-up and the cycles.
      step: int64 scalar, starting at 0.
      clips: Number of training clips, N; as a tensor, float64.
    """
    scale = tf.cast(objective.kl_weight / clips, tf.float32)
    if objective.kl_cycle_steps:
        step %= objective.kl_cycle_steps
    if objective.kl_warmup_steps:
        scale *= tf.minimum(tf.cast(step, tf.float32) / objective.kl_warmup_steps, 1.0)
    return scale


def negative_log_likelihood(
    logits: tf.Tensor, labels: tf.Tensor, task: Task, reduction: str = "sum"
) -> tf.Tensor:
    """Return the cross-entropy of each clip in nats, float32 [batch].

    Args:
      logits: [batch, labels].
      labels: [batch, labels], multi-hot, or mixtures of such rows (mixup).
      task: `multilabel` or `multiclass`.
      reduction: `sum` or `mean` over labels, for `multilabel`.
    """
    logits = tf.cast(logits, tf.float32)
    labels = tf.cast(labels, tf.float32)
    if task == "multiclass":
        return tf.nn.softmax_cross_entropy_with_logits(labels, logits)
    per_label = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return (tf.reduce_sum if reduction == "sum" else tf.reduce_mean)(per_label, axis=-1)


def probabilities(logits: tf.Tensor, task: Task) -> tf.Tensor:
    """Return float32 probabilities of logits [..., labels]."""
    logits = tf.cast(logits, tf.float32)
    return tf.nn.softmax(logits) if task == "multiclass" else tf.nn.sigmoid(logits)
