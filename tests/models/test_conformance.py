"""Every public layer, and the model: config, compiled against eager, SavedModel.

A class that is registered with Keras and has no row in the table fails the first test.
"""

import dataclasses
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import vipann_tf.audio
import vipann_tf.models
from tests.helpers import networks
from vipann_tf.audio.logmel import LogMel
from vipann_tf.models.architecture import STAGE_BLOCKS
from vipann_tf.models.convolution import Conv2D
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense
from vipann_tf.models.randomness import Draw, TrainingNoise, randomness
from vipann_tf.models.vipann import VIPANN


@dataclasses.dataclass(frozen=True)
class Case:
    """One public class.

    Attributes:
      make: The class.
      kwargs: Every argument of its constructor, none at its default.
      shape: Of an input, without the batch.
      contexts: Contexts in which it is compared.
    """

    make: Callable[..., Any]
    kwargs: dict[str, Any]
    shape: tuple[int, ...]
    contexts: tuple[str, ...] = ("mean", "draw", "training")


FLIPOUT = {
    "prior": "pretrained",
    "prior_stddev": 0.5,
    "initial_stddev": 0.25,
    "seed": 11,
    "name": "a_layer",
    "trainable": False,
    "dtype": "mixed_bfloat16",
}
CASES = {
    "FlipoutConv2D": Case(
        FlipoutConv2D,
        {"filters": 3, "kernel_size": (3, 2), "signs": "activation", **FLIPOUT},
        (7, 5, 2),
    ),
    "Conv2D": Case(
        Conv2D,
        {
            "filters": 3,
            "kernel_size": (3, 2),
            "kernel_initializer": tf_keras.initializers.serialize(tf_keras.initializers.Ones()),
            "name": "a_layer",
            "trainable": False,
            "dtype": "mixed_bfloat16",
        },
        (7, 5, 2),
        ("mean",),
    ),
    "FlipoutDense": Case(FlipoutDense, {"units": 3, "use_bias": False, **FLIPOUT}, (4,)),
    "Dropout": Case(
        Dropout,
        {
            "rate": 0.3,
            "monte_carlo": True,
            "name": "a_layer",
            "trainable": False,
            "dtype": "bfloat16",
        },
        (7, 5),
    ),
    # Its dtype is float32 whatever the argument.
    "LogMel": Case(LogMel, {"name": "a_layer", "trainable": False}, (1600,), ("mean",)),
    "VIPANN": Case(
        VIPANN,
        {
            "architecture": networks.architecture("imported", width=1 / 64, head="flipout"),
            "seed": 3,
            "dtype": "mixed_bfloat16",
            "synchronized": True,
            "flipout": {"prior_stddev": 0.5, "initial_stddev": 0.25},
            "trunk_flipout": {"prior": "pretrained"},
        },
        (16000,),
        ("draw",),
    ),
}
every_case = pytest.mark.parametrize("name", list(CASES))


def context_of(kind, seed, index):
    return {"mean": None, "draw": Draw(seed, index), "training": TrainingNoise(seed, index)}[kind]


def answers(called, contexts):
    """A function of (inputs, seed, index) that asks in every context."""

    def answer(inputs, seed, index):
        outputs = {}
        for kind in contexts:
            with randomness(context_of(kind, seed, index)):
                outputs[kind] = tf.cast(called(inputs), tf.float32)
        return outputs

    return answer


def built(name):
    """A float32 object of the case, random where it has weights, and what it is asked."""
    case = CASES[name]
    if name == "VIPANN":
        called = networks.network("imported")
    else:
        in_float32 = {"dtype": "float32"} if "dtype" in case.kwargs else {}
        called = case.make(**{**case.kwargs, **in_float32})
        called.build([None, *case.shape])
    inputs = 0.1 * tf.random.stateless_normal([3, *case.shape], [1, 2])
    return called, case, (inputs, tf.constant(7, tf.int64), tf.constant(2, tf.int64))


def assert_same(ours, expected):
    for kind in expected:
        np.testing.assert_allclose(ours[kind], expected[kind], rtol=1e-4, atol=1e-5, err_msg=kind)
    outputs = list(expected.values())  # and the contexts differ
    for i, first in enumerate(outputs):
        for second in outputs[:i]:
            assert np.abs(first - second).max() > 1e-4


def test_the_table_is_complete():
    for package in (vipann_tf.models, vipann_tf.audio):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    registered = {
        key.removeprefix("vipann_tf>")
        for key in tf_keras.utils.get_custom_objects()
        if key.startswith("vipann_tf>")
    }
    assert registered == set(CASES)


@every_case
def test_every_argument_is_tested_away_from_its_default(name):
    case = CASES[name]
    parameters = inspect.signature(case.make).parameters
    named = {p for p, value in parameters.items() if value.kind is not value.VAR_KEYWORD}
    assert named <= set(case.kwargs)
    if named == set(parameters):  # no **kwargs of Keras
        assert named == set(case.kwargs)
    for argument, parameter in parameters.items():
        assert case.kwargs.get(argument) != parameter.default, argument


@every_case
def test_config_round_trip(name):
    case = CASES[name]
    config = case.make(**case.kwargs).get_config()
    for argument, value in case.kwargs.items():
        if argument == "architecture":
            value = value.model_dump()
        stored = config[argument]
        if argument == "dtype" and isinstance(stored, dict):
            stored = stored["config"]["name"]
        assert stored == value, argument
    stored = json.loads(json.dumps(config))
    again = case.make.from_config(stored)
    assert type(again) is case.make
    assert json.loads(json.dumps(again.get_config())) == stored
    if name != "VIPANN":
        revived = tf_keras.layers.deserialize(tf_keras.layers.serialize(case.make(**case.kwargs)))
        assert json.loads(json.dumps(revived.get_config())) == stored
        assert (revived.trainable, revived.name) == (False, "a_layer")


@every_case
def test_compiled_and_reloaded_are_eager(name, tmp_path, monkeypatch):
    monkeypatch.setitem(STAGE_BLOCKS, 22, (1, 0, 0, 1))  # tracing takes a time a layer
    called, case, asked = built(name)
    answer = answers(called, case.contexts)
    eager = answer(*asked)
    scalar = tf.TensorSpec([], tf.int64)
    shape = [None] * len(case.shape) if name in ("VIPANN", "LogMel") else [None, *case.shape][1:]
    compiled = tf.function(answer, [tf.TensorSpec([None, *shape]), scalar, scalar], autograph=False)
    assert_same(compiled(*asked), eager)
    module = tf.Module()
    module.weights = list(called.weights)
    module.answer = compiled
    tf.saved_model.save(module, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert_same(loaded.answer(*asked), eager)
    another_batch = answer(asked[0][:2], *asked[1:])
    assert_same(loaded.answer(asked[0][:2], *asked[1:]), another_batch)


@pytest.mark.parametrize("name", [name for name in CASES if name != "VIPANN"])
def test_in_a_saved_keras_model(name, tmp_path):
    called, case, asked = built(name)
    model = tf_keras.Sequential([tf_keras.Input(case.shape), called])
    expected = answers(model, case.contexts)(*asked)
    model.save(tmp_path / "model.keras")
    loaded = tf_keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is case.make
    assert_same(answers(loaded, case.contexts)(*asked), expected)
