"""The arithmetic that a network cannot avoid, and how fast this machine multiplies."""

import time

import numpy as np
import tensorflow as tf

from vipann_tf.models.vipann import VIPANN

_MATRIX = 4096


def forward_flop(model: VIPANN, seconds: float) -> float:
    """Floating-point operations of one clip's convolutions and dense layers, one each.

    A multiplication and an addition count as two; BatchNorm, pooling and log-mel are left out
    (below 2 % at full width).
    """
    total = 0
    layers = [layer for layer in model.network.parts() if _kernel(layer) is not None]
    outputs = {}
    calls = {layer.name: layer.call for layer in layers}
    for layer in layers:

        def call(inputs, *args, layer=layer, **kwargs):
            result = calls[layer.name](inputs, *args, **kwargs)
            outputs[layer.name] = result.shape
            return result

        layer.call = call
    try:
        concrete = tf.function(model, autograph=False)
        concrete.get_concrete_function(tf.TensorSpec([1, int(seconds * 32000)]))
    finally:
        for layer in layers:
            del layer.call
    for layer in layers:
        positions = int(np.prod(outputs[layer.name][1:-1], dtype=np.int64))
        total += 2 * positions * int(np.prod(_kernel(layer).shape))
    return float(total)


def matmul_rate(dtype: tf.DType) -> float:
    """Best floating-point operations per second of a square matrix product, of five."""
    a = tf.cast(tf.random.stateless_normal([_MATRIX, _MATRIX], [0, 1]), dtype)
    best = np.inf
    for _ in range(5):
        began = time.perf_counter()
        tf.reduce_sum(tf.cast(tf.linalg.matmul(a, a)[:1], tf.float32)).numpy()
        best = min(best, time.perf_counter() - began)
    return 2.0 * _MATRIX**3 / best


def _kernel(layer):
    return (
        getattr(layer, "kernel_loc", None)
        if hasattr(layer, "kernel_loc")
        else getattr(layer, "kernel", None)
    )
