"""Sampling of all kernels of a draw before it is used."""

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from vipann_tf.models.batch_norm import BatchNorm
from vipann_tf.models.laplace_dense import LaplaceDense
from vipann_tf.models.posterior import KernelPosterior
from vipann_tf.models.randomness import Draw


def sample_draw(
    layers: Sequence[tf_keras.layers.Layer],
    seed: tf.Tensor | int,
    index: tf.Tensor | int,
    *,
    fold: bool = True,
) -> Draw:
    """Sample the kernels of draw number `index` of a seed.

    In lower precision, BatchNorm is folded into the kernels. TensorFlow does so in float32.

    Args:
      layers: All layers of the network; see `Chain.parts`.
      seed: int scalar.
      index: int scalar.
      fold: Whether BatchNorm may be folded, which is right for the stored statistics alone.
    """
    draw = Draw(seed, index)
    norms = {
        layer.after: layer
        for layer in layers
        if fold and isinstance(layer, BatchNorm) and layer.compute_dtype != "float32"
    }
    kernels, offsets = {}, {}
    for layer in layers:
        if isinstance(layer, LaplaceDense):
            kernels[layer.name] = layer.rotated_noise(draw)
        if not isinstance(layer, KernelPosterior):
            continue
        kernel = layer.drawn_kernel(draw)
        # With signs per activation the mean kernel is applied separately, so nothing is folded.
        if layer.name in norms and layer.signs == "channel":
            norm = norms[layer.name]
            factor, offsets[norm.name] = norm.folded()
            kernel *= factor
        kernels[layer.name] = tf.cast(kernel, layer.compute_dtype)
    return Draw(seed, index, kernels, offsets)
