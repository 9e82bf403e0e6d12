"""Damaged shards: stopped at by name and offset, or skipped and counted."""

import logging

import pytest
import tensorflow as tf

from tests.helpers import small_data
from vipann_tf.errors import UserError
from vipann_tf.records.pipeline import evaluation_batches, training_batches
from vipann_tf.records.reading import damage_as_user_error, find_damage
from vipann_tf.records.tfrecord_file import scan

SHARD = "train-00001-of-00003.tfrecord"


@pytest.fixture
def data(tmp_path):
    small_data.write(tmp_path / "set", {"train": 24, "eval": 4})
    return tmp_path / "set"


def offsets(data):
    with open(data / SHARD, "rb") as file:
        return [offset for offset, _ in scan(file)]


def flip(data, place):
    content = bytearray((data / SHARD).read_bytes())
    content[place] ^= 1
    (data / SHARD).write_bytes(content)


def ids(batches):
    with damage_as_user_error():
        return [int(i) for batch in batches for i in batch["clip_id"].numpy()]


def train(data, count, **options):
    return training_batches(data, ["train"], batch_size=4, seed=0, **options).take(count)


@pytest.mark.parametrize("record, inside", [(0, 40), (3, 100), (7, 200)])
def test_a_flipped_bit_is_named(data, record, inside):
    place = offsets(data)[record]
    flip(data, place + inside)
    assert find_damage(data / SHARD) == [place]
    message = rf"{SHARD}: the record at byte {place} is damaged; .* data.on_corrupt=skip"
    with pytest.raises(UserError, match=message):
        ids(evaluation_batches(data, ["train"], 5))
    with pytest.raises(UserError, match=message):
        ids(train(data, 6, cache=False))
    with pytest.raises(UserError, match=message):
        ids(train(data, 6, cache=False, balance=True))
    with pytest.raises(UserError, match=message):
        train(data, 6, cache=True)
    assert len(ids(evaluation_batches(data, ["eval"], 5))) == 4


def test_damage_is_skipped_and_counted(data):
    places = offsets(data)
    for record in (2, 5):
        flip(data, places[record] + 50)
    with open(data / SHARD, "rb") as file:
        lost = 2 - sum(record is None for _, record in scan(file))
    assert lost == 0
    seen = []
    options = {"on_corrupt": "skip", "on_damage": lambda path, offset: seen.append((path, offset))}
    found = ids(evaluation_batches(data, ["train"], 5, **options))
    expected = [(str(data / SHARD), places[2]), (str(data / SHARD), places[5])]
    assert len(set(found)) == len(found) == 22 and seen == expected
    for cache in (True, False):
        seen.clear()
        found = ids(train(data, 11, cache=cache, **options))  # two epochs: 44 clips
        assert sorted(found[:22]) == sorted(found[22:]) and len(set(found)) == 22
        assert seen == expected


def test_after_a_damaged_length_the_rest_of_the_shard_is_lost(data):
    places = offsets(data)
    flip(data, places[3] + 2)
    with pytest.raises(UserError, match=f"the record at byte {places[3]} is damaged"):
        ids(evaluation_batches(data, ["train"], 5))
    seen = []
    found = evaluation_batches(
        data, ["train"], 5, on_corrupt="skip", on_damage=lambda *damage: seen.append(damage[1])
    )
    assert len(ids(found)) == 24 - 5 and seen[0] == places[3]


def test_truncated_and_missing_shards_are_noticed_before_reading(data):
    path = data / SHARD
    content = path.read_bytes()
    path.write_bytes(content[:-7])
    size = len(content)
    with pytest.raises(UserError, match=rf"{SHARD} has {size - 7} bytes where .* {size}"):
        evaluation_batches(data, ["train"], 5)
    assert len(ids(evaluation_batches(data, ["train"], 5, on_corrupt="skip"))) == 23
    path.write_bytes(content[: offsets(data)[5]])  # between two records
    seen = []
    found = evaluation_batches(
        data, ["train"], 5, on_corrupt="skip", on_damage=lambda *damage: seen.append(damage[1])
    )
    assert len(ids(found)) == 21 and seen == [len(path.read_bytes())]
    path.unlink()
    for on_corrupt in ("stop", "skip"):
        with pytest.raises(UserError, match=f"{SHARD} is missing where dataset.json says"):
            evaluation_batches(data, ["train"], 5, on_corrupt=on_corrupt)


def test_skipping_is_logged(data, caplog):
    flip(data, offsets(data)[1] + 30)
    with caplog.at_level(logging.WARNING, logger="vipann_tf"):
        ids(evaluation_batches(data, ["train"], 5, on_corrupt="skip"))
    assert f"{SHARD}: skipped a damaged record at byte {offsets(data)[1]}" in caplog.text


def test_both_ways_of_reading_give_the_same_of_sound_shards(data):
    for cache in (True, False):
        stopped, skipped = (
            ids(train(data, 9, cache=cache, on_corrupt=way)) for way in ("stop", "skip")
        )
        assert stopped == skipped


def test_other_errors_pass():
    with (
        pytest.raises(tf.errors.InvalidArgumentError, match="something else"),
        damage_as_user_error(),
    ):
        raise tf.errors.InvalidArgumentError(None, None, "something else")
