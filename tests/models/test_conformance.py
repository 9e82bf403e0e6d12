"""Every public layer, and the model, against what Keras expects of a layer.

The classes are found by walking the package. One that has no row in the table fails the first test.
"""

import importlib
import inspect
import json
import pickle
import pkgutil

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import vipann_tf
from tests.helpers.conformance import CASES, answers, assert_same, built
from vipann_tf.models.architecture import STAGE_BLOCKS
from vipann_tf.models.chain import parts

every_case = pytest.mark.parametrize("name", list(CASES))
# The whole model takes half of the time of these tests.
every_layer = pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow if x == "VIPANN" else ()) for x in CASES]
)


@pytest.fixture
def shallow(monkeypatch):
    monkeypatch.setitem(STAGE_BLOCKS, 22, (1, 0, 0, 1))  # tracing takes a time a layer


def test_the_table_is_complete():
    found = set()
    for info in pkgutil.walk_packages(vipann_tf.__path__, "vipann_tf."):
        if any(part.startswith("_") for part in info.name.split(".")):
            continue
        module = importlib.import_module(info.name)
        found |= {
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, tf_keras.layers.Layer)
            and value.__module__ == info.name
            and not value.__name__.startswith("_")
        }
    assert found == {case.make for case in CASES.values()}


@every_case
def test_is_registered(name):
    make = CASES[name].make
    assert tf_keras.utils.get_registered_name(make) == f"vipann_tf>{name}"
    assert tf_keras.utils.get_registered_object(f"vipann_tf>{name}") is make


@every_case
def test_every_argument_is_tested_away_from_its_default(name):
    case = CASES[name]
    kwargs = case.kwargs("mixed_bfloat16")
    if "__init__" not in vars(case.make):  # Keras's own
        assert set(kwargs) == {"name", "trainable", "dtype"}
        return
    parameters = inspect.signature(case.make).parameters
    named = {p for p, value in parameters.items() if value.kind is not value.VAR_KEYWORD}
    assert named <= set(kwargs)
    if named == set(parameters):  # no **kwargs of Keras
        assert named == set(kwargs)
    for argument in named:
        assert kwargs[argument] != parameters[argument].default, argument


def in_config(argument, value):
    """How a config has an argument."""
    if argument == "architecture":
        return value.model_dump()
    if argument == "make":
        return value.get_config()
    if argument == "layers":
        return [tf_keras.layers.serialize(layer) for layer in value]
    return value


@every_case
def test_config_round_trip(name):
    case = CASES[name]
    kwargs = case.kwargs("mixed_bfloat16")
    config = case.make(**kwargs).get_config()
    for argument, value in kwargs.items():
        stored = config[argument]
        if argument == "dtype" and isinstance(stored, dict):
            stored = stored["config"]["name"]
        assert stored == in_config(argument, value), argument
    stored = json.loads(json.dumps(config))
    for copy in (stored, pickle.loads(pickle.dumps(config))):
        again = case.make.from_config(copy)
        assert type(again) is case.make
        assert json.loads(json.dumps(again.get_config())) == stored
    revived = tf_keras.layers.deserialize(tf_keras.layers.serialize(case.make(**kwargs)))
    assert type(revived) is case.make
    assert json.loads(json.dumps(revived.get_config())) == stored
    if "trainable" in kwargs:
        assert (revived.trainable, revived.name) == (False, "a_layer")


@pytest.mark.parametrize(
    "name", [name for name, c in CASES.items() if "make" in c.kwargs("float32")]
)
def test_the_config_of_a_block_that_is_frozen_freezes_its_parts(name):
    block = CASES[name].make(**CASES[name].kwargs("float32"))
    block.trainable = False
    again = type(block).from_config(block.get_config())
    assert not again.trainable and not any(part.trainable for part in parts([again]))


@every_layer
@pytest.mark.usefixtures("shallow")
def test_compiled_and_reloaded_are_eager(name, tmp_path):
    called, case, asked = built(name)
    answer = answers(called, case.contexts)
    eager = answer(*asked)
    scalar = tf.TensorSpec([], tf.int64)
    shape = [None] * len(case.shape) if name in ("VIPANN", "LogMel") else [None, *case.shape][1:]
    compiled = tf.function(
        lambda *asked: answer(*asked),
        [tf.TensorSpec([None, *shape]), scalar, scalar],
        autograph=False,
    )
    assert_same(compiled(*asked), eager)
    module = tf.Module()
    module.weights = list(called.weights)
    module.answer = compiled
    tf.saved_model.save(module, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert_same(loaded.answer(*asked), eager)
    another_batch = answer(asked[0][:2], *asked[1:])
    assert_same(loaded.answer(asked[0][:2], *asked[1:]), another_batch)


def arithmetic(operation, shape, seed, dtype):
    """Stands in for `randomness._philox`: numbers of variance 1 by arithmetic alone.

    XLA keys Philox otherwise, and makes other floating-point numbers of its bits
    (test_randomness.py): its draws are others. With these numbers the rest of what it computes can
    be compared.
    """
    count = tf.reduce_prod(tf.cast(tf.convert_to_tensor(shape, tf.int32), tf.int64))
    bits = seed[0] + 7 * seed[1] + tf.range(count)
    for multiplier in (6364136223846793005, 2862933555777941757):
        bits = tf.bitwise.bitwise_xor(bits * multiplier + 1442695040888963407, bits // 2**33)
    bits = tf.reshape(bits, shape)
    if not dtype.is_floating:
        return tf.cast(bits // 2 ** (64 - 8 * dtype.size), dtype)
    numbers = tf.cast(bits // 2**40, tf.float32) / 2.0**24 + 0.5
    return (
        numbers if operation is tf.raw_ops.StatelessRandomUniformV2 else 12**0.5 * (numbers - 0.5)
    )


@every_layer
@pytest.mark.usefixtures("shallow")
def test_compiled_by_xla_is_eager(name, monkeypatch):
    monkeypatch.setattr("vipann_tf.models.randomness._philox", arithmetic)
    called, case, asked = built(name)
    answer = answers(called, case.contexts)
    compiled = tf.function(answer, jit_compile=True, autograph=False)
    assert_same(compiled(*asked), answer(*asked))


@every_case
@pytest.mark.usefixtures("shallow")
def test_in_a_keras_file(name, tmp_path):
    called, case, asked = built(name)
    model = called
    if name != "VIPANN":
        model = tf_keras.Sequential([tf_keras.Input(case.shape), called])
    expected = answers(model, case.contexts)(*asked)
    model.save(tmp_path / "model.keras")
    loaded = tf_keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded if name == "VIPANN" else loaded.layers[0]) is case.make
    assert_same(answers(loaded, case.contexts)(*asked), expected)


@every_case
@pytest.mark.usefixtures("shallow")
def test_mixed_precision(name):
    full, case, asked = built(name)
    mixed, _, _ = built(name, "mixed_bfloat16")
    assert {variable.dtype for variable in mixed.weights} <= {tf.float32}
    expected = answers(full, case.contexts)(*asked)
    ours = answers(mixed, case.contexts)(*asked)
    for kind, output in ours.items():
        assert output.dtype == case.output, kind
        scale = np.abs(expected[kind]).max()
        # bfloat16 has 8 bits.
        difference = np.abs(tf.cast(output, tf.float32) - expected[kind]).max()
        assert difference < 0.05 * scale, kind
        assert (difference > 0) == (name not in ("LogMel", "MelNorm")), kind


@every_layer
@pytest.mark.usefixtures("shallow")
def test_replicas_compute_what_one_device_does(name):
    """Each replica has its rows of the batch, and the noise of those rows."""
    one, case, asked = built(name)
    expected = answers(one, case.contexts)(*asked)
    # Not by collective operations, whose keys another strategy in this process can confuse.
    strategy = tf.distribute.MirroredStrategy(
        tf.config.list_logical_devices("CPU"),
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    assert strategy.num_replicas_in_sync == 2, "tests/conftest.py makes two devices"
    with strategy.scope():
        mirrored, _, _ = built(name)
    size = len(asked[0]) // 2

    @tf.function(autograph=False)
    def step(inputs):
        def part(inputs):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return answers(mirrored, case.contexts)(inputs, *asked[1:], offset=replica * size)

        return strategy.run(part, args=(inputs,))

    rows = strategy.experimental_distribute_values_from_function(
        lambda context: asked[0][context.replica_id_in_sync_group * size :][:size]
    )
    found = {
        kind: tf.concat(strategy.experimental_local_results(output), 0)
        for kind, output in step(rows).items()
    }
    assert_same(found, expected)
