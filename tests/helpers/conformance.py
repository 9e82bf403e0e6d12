"""The public layers and models, with the arguments and inputs that they are tested with."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tests.helpers import networks
from vipann_tf.audio.logmel import LogMel
from vipann_tf.models.batch_norm import BatchNorm
from vipann_tf.models.blocks import (
    AveragePool,
    BasicBlock,
    Bottleneck,
    ConvBlock,
    GlobalPool,
    MelNorm,
)
from vipann_tf.models.chain import Chain
from vipann_tf.models.convolution import Conv2D
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense
from vipann_tf.models.laplace_dense import LaplaceDense
from vipann_tf.models.layer_factory import LayerFactory
from vipann_tf.models.randomness import Draw, TrainingNoise, randomness
from vipann_tf.models.vipann import VIPANN

MEAN = ("mean",)


ALL = ("mean", "draw", "training")


@dataclasses.dataclass(frozen=True)
class Case:
    """One public class.

    Attributes:
      make: The class.
      kwargs: Function of a dtype policy: every argument of the constructor, none at its default.
      shape: Of an input, without the batch.
      contexts: Contexts in which it is compared.
      output: Dtype of its outputs under the policy mixed_bfloat16.
    """

    make: Callable[..., Any]
    kwargs: Callable[[str], dict[str, Any]]
    shape: tuple[int, ...]
    contexts: tuple[str, ...] = ALL
    output: tf.DType = tf.bfloat16


def of_keras(dtype):
    return {"name": "a_layer", "trainable": False, "dtype": dtype}


def of_flipout(dtype):
    stddevs = {"prior_stddev": 0.5, "initial_stddev": 0.25}
    loss = {"prior": "pretrained", **stddevs, "kl_weight": 0.125}
    return {"activation": "tanh", "bias_kind": "normal", **loss, "seed": 11, **of_keras(dtype)}


def factory(dtype, depth=22):
    return LayerFactory(
        networks.architecture("flipout", depth=depth, width=1 / 64),
        seed=3,
        dtype=dtype,
        synchronized=True,
        conv_flipout={"prior_stddev": 0.5},
        dense_flipout={"initial_stddev": 0.25},
    )


def of_residual(depth):
    flags = {"halve": True, "project": True}
    return lambda dtype: {"make": factory(dtype, depth), "planes": 3, **flags, "name": "a_layer"}


def chained(dtype):
    return [
        FlipoutDense(3, name="dense", dtype=dtype),
        tf_keras.layers.ReLU(name="relu", dtype=dtype),
        Dropout(0.3, monte_carlo=True, name="dropout", dtype=dtype),
    ]


CASES = {
    case.make.__name__: case
    for case in (
        Case(
            FlipoutConv2D,
            lambda dtype: {
                "filters": 3,
                "kernel_size": (3, 2),
                "strides": (2, 1),
                "padding": "valid",
                "dilation_rate": (1, 2),
                "use_bias": True,
                "signs": "activation",
                **of_flipout(dtype),
            },
            (7, 5, 2),
        ),
        Case(
            Conv2D,
            lambda dtype: {
                "filters": 3,
                "kernel_size": (3, 2),
                "kernel_initializer": tf_keras.initializers.serialize(tf_keras.initializers.Ones()),
                **of_keras(dtype),
            },
            (7, 5, 2),
            MEAN,
        ),
        Case(FlipoutDense, lambda d: {"units": 3, "use_bias": False, **of_flipout(d)}, (4,)),
        Case(
            LaplaceDense,
            lambda dtype: {
                "units": 3,
                "kernel_initializer": tf_keras.initializers.serialize(tf_keras.initializers.Ones()),
                **of_keras(dtype),
            },
            (4,),
            ("mean", "draw"),
        ),
        Case(Dropout, lambda d: {"rate": 0.3, "monte_carlo": True, **of_keras(d)}, (7, 5)),
        Case(
            BatchNorm,
            lambda d: {"after": "conv", "synchronized": True, "momentum": 0.9, **of_keras(d)},
            (7, 5, 4),
            MEAN,
        ),
        # Its dtype is float32 whatever the argument.
        Case(LogMel, lambda _: {"name": "a_layer", "trainable": False}, (1600,), MEAN, tf.float32),
        Case(MelNorm, lambda d: {"make": factory(d), "name": "a_layer"}, (7, 64), MEAN, tf.float32),
        Case(AveragePool, of_keras, (7, 5, 2), MEAN),
        Case(GlobalPool, of_keras, (7, 5, 2), MEAN),
        Case(
            ConvBlock,
            lambda d: {"make": factory(d), "filters": 3, "pool": True, "name": "a_layer"},
            (7, 5, 2),
        ),
        Case(BasicBlock, of_residual(22), (7, 5, 2)),
        Case(Bottleneck, of_residual(54), (7, 5, 2)),
        Case(
            Chain,
            lambda d: {"layers": chained(d), "stages": {"middle": 1}, **of_keras(d)},
            (4,),
        ),
        Case(
            VIPANN,
            lambda dtype: {
                "architecture": networks.architecture("imported", width=1 / 64, head="flipout"),
                "seed": 3,
                "dtype": dtype,
                "synchronized": True,
                "flipout": {"prior_stddev": 0.5, "initial_stddev": 0.25},
                "trunk_flipout": {"prior": "pretrained"},
            },
            (16000,),
            output=tf.float32,
        ),
    )
}


def context_of(kind, seed, index, offset=0):
    training = TrainingNoise(seed, index, offset)
    return {"mean": None, "draw": Draw(seed, index), "training": training}[kind]


def answers(called, contexts):
    """A function of (inputs, seed, index) that asks in every context."""

    def answer(inputs, seed, index, offset=0):
        outputs = {}
        for kind in contexts:
            with randomness(context_of(kind, seed, index, offset)):
                outputs[kind] = called(inputs)
        return outputs

    return answer


def built(name, dtype="float32"):
    """An object of the case, random where it has weights, and what it is asked."""
    case = CASES[name]
    called = case.make(**case.kwargs(dtype))
    inputs = 0.1 * tf.random.stateless_normal([4, *case.shape], [1, 2])
    called(inputs)
    networks.randomise({weight.name.split(":")[0]: weight for weight in called.weights})
    return called, case, (inputs, tf.constant(7, tf.int64), tf.constant(2, tf.int64))


def assert_same(ours, expected, rtol=1e-4, atol=1e-5):
    for kind in expected:
        np.testing.assert_allclose(ours[kind], expected[kind], rtol, atol, err_msg=kind)
    outputs = list(expected.values())  # and the contexts differ
    for i, first in enumerate(outputs):
        for second in outputs[:i]:
            assert np.abs(first - second).max() > 1e-4
