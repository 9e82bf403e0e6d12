"""BatchNorm statistics of each draw.

In training, Flipout's signs differ between examples, so that the perturbation of a channel
averages out over a batch. A draw perturbs all examples alike and shifts whole channels: the stored
statistics are not those of its activations. Statistics that are estimated again for each draw are
(Maddox et al., arXiv 1902.02476, section 4, do this for the samples of SWAG).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tensorflow as tf

from vipann_tf.models.randomness import Draw, Moments

if TYPE_CHECKING:
    from vipann_tf.models.vipann import VIPANN


@dataclass(frozen=True)
class DrawStatistics:
    """Mean and variance of the inputs of BatchNorm layers, for draws 1 to T of a seed.

    Attributes:
      seed: Seed of the draws.
      moments: By layer name: float32 variable [2, T, channels], the means before the variances.
    """

    seed: int
    moments: Mapping[str, tf.Variable]

    @property
    def num_draws(self) -> int:
        """T, the number of draws that have statistics."""
        return int(next(iter(self.moments.values())).shape[1])

    def of(self, index: tf.Tensor | int) -> dict[str, Moments]:
        """Return the statistics of one draw by layer name.

        Args:
          index: int scalar from 1 to T.
        """
        chosen = {name: tf.gather(both, index - 1, axis=1) for name, both in self.moments.items()}
        return {name: (both[0], both[1]) for name, both in chosen.items()}


def estimate_statistics(
    model: "VIPANN", shared: Sequence[tf.Tensor], *, num_draws: int, seed: int
) -> DrawStatistics:
    """Estimate the statistics of draws 1 to `num_draws` on some clips.

    Each batch is normalised by its own moments, layer after layer. The statistics of a layer are
    the moments of all batches together: the mean of their means, and the mean of their variances
    plus the variance of their means.

    Args:
      model: The network; its trunk must be random.
      shared: Batches at the stage "shared", each of the same number of clips.
      num_draws: Number of draws.
      seed: Seed of the draws.
    """

    def moments(batch: tf.Tensor, index: tf.Tensor) -> dict[str, Moments]:
        found: dict[str, Moments] = {}
        draw = Draw(tf.constant(seed, tf.int64), index, observed=found)
        model.run(batch, start="shared", draw=draw)
        return found

    moments_of = tf.function(moments, autograph=False, reduce_retracing=True)
    rows: dict[str, list[tf.Tensor]] = {}
    for index in range(1, num_draws + 1):
        batches = [moments_of(batch, tf.constant(index, tf.int64)) for batch in shared]
        for name in batches[0]:
            means = tf.stack([batch[name][0] for batch in batches])
            variances = tf.stack([batch[name][1] for batch in batches])
            spread = tf.math.reduce_variance(means, 0)
            both = tf.stack([tf.reduce_mean(means, 0), tf.reduce_mean(variances, 0) + spread])
            rows.setdefault(name, []).append(both)
    stacked = {name: tf.stack(draws, axis=1) for name, draws in rows.items()}
    return DrawStatistics(
        seed, {name: tf.Variable(both, trainable=False) for name, both in stacked.items()}
    )
