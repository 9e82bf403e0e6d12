"""Batches: a pure function of seed and position, and the clips that were written."""

import functools
import operator
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import small_data
from vipann_tf.errors import UserError
from vipann_tf.records.pipeline import evaluation_batches, training_batches

CLIPS = 23  # in train; no multiple of any batch size below


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data") / "set"
    small_data.write(directory, {"train": CLIPS, "eval": 7})
    return directory


def take(directory, batches, splits=("train",), batch_size=5, seed=1, **options):
    stream = training_batches(directory, splits, batch_size=batch_size, seed=seed, **options)
    return [{key: value.numpy() for key, value in batch.items()} for batch in stream.take(batches)]


def flat(batches, key):
    return np.concatenate([batch[key] for batch in batches])


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_batches_hold_what_was_written(data):
    for batch in take(data, 3):
        assert batch["waveform"].shape == (5, 100) and batch["waveform"].dtype == np.float32
        assert batch["labels"].shape == (5, 3) and batch["labels"].dtype == np.float32
        for clip_id, waveform, labels in zip(
            batch["clip_id"], batch["waveform"], batch["labels"], strict=True
        ):
            np.testing.assert_array_equal(waveform, small_data.waveform(clip_id))
            names = small_data.labels_of(int(clip_id))
            np.testing.assert_array_equal(labels, [label in names for label in "abc"])


def test_waveforms_can_be_left_out(data):
    whole, rest = take(data, 3), take(data, 3, waveform=False)
    assert_same([{k: v for k, v in batch.items() if k != "waveform"} for batch in whole], rest)


@pytest.mark.parametrize("buffer", [1, 4, None])
def test_an_epoch_is_every_clip_once(data, buffer):
    batches = take(data, 14, shuffle_buffer=buffer)
    ids, epochs, indices = (flat(batches, key) for key in ("clip_id", "epoch", "index"))
    assert epochs.tolist() == sorted(epochs) and set(epochs) == {0, 1, 2, 3}
    for epoch in range(3):
        assert sorted(ids[epochs == epoch].astype(int)) == list(range(CLIPS))
        assert indices[epochs == epoch].tolist() == list(range(CLIPS))


def test_order_changes_with_epoch_and_seed(data):
    ids = flat(take(data, 14), "clip_id")
    other = flat(take(data, 14, seed=2), "clip_id")
    # Two random orders agree at one place on average, with a standard deviation of one.
    assert (ids[:CLIPS] == ids[CLIPS : 2 * CLIPS]).sum() < 7
    assert (ids[:CLIPS] == other[:CLIPS]).sum() < 7


@pytest.mark.parametrize("seed", [-1, 0, 2**40 + 3])
def test_any_integer_is_a_seed(data, seed):
    assert_same(take(data, 2, seed=seed), take(data, 2, seed=seed))


def test_high_bits_of_the_seed_count(data):
    assert flat(take(data, 4, seed=1), "clip_id").tolist() != (
        flat(take(data, 4, seed=1 + 2**32), "clip_id").tolist()
    )


@pytest.mark.parametrize("options", [{}, {"shuffle_buffer": 6}, {"balance": True}])
def test_stream_depends_on_seed_and_position_alone(data, options):
    first = take(data, 12, **options)
    tf.random.set_seed(99)
    assert_same(first, take(data, 12, **options))
    assert_same(first, take(data, 12, cache=False, **options))
    for done in (4, 9):
        last = first[done - 1]
        position = (int(last["epoch"][-1]), int(last["index"][-1]) + 1)
        assert_same(first[done:], take(data, 12 - done, position=position, **options))
        resumed = take(data, 12 - done, position=position, cache=False, **options)
        assert_same(first[done:], resumed)


def test_a_position_past_the_end_begins_the_next_epoch(data):
    assert_same(take(data, 2, position=(0, CLIPS)), take(data, 2, position=(1, 0)))


def test_sets_smaller_than_a_batch(data):
    (batch,) = take(data, 1, splits=["eval"], batch_size=16)
    assert batch["epoch"].tolist() == [0] * 7 + [1] * 7 + [2] * 2


def test_several_splits(data):
    ids = flat(take(data, 6, splits=["eval", "train"]), "clip_id").astype(int)
    assert sorted(ids) == list(range(30))


def test_parts_of_several_processes_make_the_batch(data):
    whole = take(data, 7, batch_size=6)
    parts = [take(data, 7, batch_size=6, shard=(n, 3)) for n in range(3)]
    for number, batch in enumerate(whole):
        for key in batch:
            joined = np.concatenate([part[number][key] for part in parts])
            np.testing.assert_array_equal(joined, batch[key])


def test_evaluation_sees_every_clip_once_in_a_fixed_order(data):
    batches = [
        {key: value.numpy() for key, value in batch.items()}
        for batch in evaluation_batches(data, ["train"], 5)
    ]
    assert [len(batch["clip_id"]) for batch in batches] == [5, 5, 5, 5, 3]
    ids = flat(batches, "clip_id").astype(int)
    assert sorted(ids) == list(range(CLIPS))
    again = [i for batch in evaluation_batches(data, "train", 4) for i in batch["clip_id"].numpy()]
    assert ids.tolist() == [int(i) for i in again]
    for batch in batches:
        for clip_id, waveform in zip(batch["clip_id"], batch["waveform"], strict=True):
            np.testing.assert_array_equal(waveform, small_data.waveform(clip_id))


def test_static_shapes(data):
    spec = training_batches(data, ["train"], batch_size=4, seed=0).element_spec
    assert spec["waveform"].shape == (4, 100) and spec["labels"].shape == (4, 3)
    assert evaluation_batches(data, ["train"], 4).element_spec["waveform"].shape[1] == 100


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"splits": ["test"]}, "split 'test' is unknown; dataset small has eval, train"),
        ({"batch_size": 0}, "batch_size is 0; use a multiple of 1"),
        ({"batch_size": 5, "shard": (0, 2)}, "batch_size is 5; use a multiple of 2"),
        ({"shard": (2, 2), "batch_size": 4}, r"shard is \(2, 2\); use \(index, count\)"),
        ({"position": (-1, 0)}, r"position is \(-1, 0\); both numbers"),
        ({"position": (0, -3)}, r"position is \(0, -3\)"),
        ({"shuffle_buffer": 0}, "shuffle_buffer is 0; use 1"),
        ({"on_corrupt": "ignore"}, "on_corrupt is 'ignore'; use stop or skip"),
    ],
)
def test_wrong_arguments(data, arguments, message):
    arguments = {"splits": ["train"], "batch_size": 4, "seed": 0, **arguments}
    with pytest.raises(UserError, match=message):
        training_batches(data, **arguments)


def test_wrong_arguments_of_evaluation(data):
    with pytest.raises(UserError, match="split 'test' is unknown"):
        evaluation_batches(data, ["test"], 4)
    with pytest.raises(UserError, match="batch_size is 0"):
        evaluation_batches(data, ["train"], 0)


REPLICAS = """
import sys
import tensorflow as tf
from vipann_tf.records.pipeline import training_batches

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
stream = training_batches(sys.argv[1], ["train"], batch_size=6, seed=1)
parts = next(iter(strategy.experimental_distribute_dataset(stream)))["clip_id"].values
for part in parts:
    print(*(i.decode() for i in part.numpy()))
"""


def test_replicas_share_a_batch(data):
    """In a process of its own: devices can't be split once TensorFlow has begun."""
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS, str(data)],
        capture_output=True, text=True, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    parts = [line.split() for line in done.stdout.splitlines()]
    assert [len(part) for part in parts] == [3, 3]
    (batch,) = take(data, 1, batch_size=6)
    assert functools.reduce(operator.iadd, parts, []) == [i.decode() for i in batch["clip_id"]]
