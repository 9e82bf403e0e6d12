"""Records and dataset.json: TensorFlow's own Example is the oracle for the bytes."""

import json

import numpy as np
import pytest
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.records import schema


def waveform(seed=0, samples=1_500):
    return np.random.default_rng(seed).integers(-32768, 32768, samples).astype("<i2")


@pytest.mark.parametrize("labels", [[], [0], [6, 2, 4], [526]])
def test_bytes_are_a_tf_train_example(labels):
    data = schema.serialize("clip/1 é", waveform(), labels)
    example = tf.train.Example.FromString(data)
    feature = example.features.feature
    assert sorted(feature) == ["clip_id", "labels", "waveform"]
    assert feature["clip_id"].bytes_list.value[0].decode() == "clip/1 é"
    assert feature["waveform"].bytes_list.value[0] == waveform().tobytes()
    assert list(feature["labels"].int64_list.value) == labels
    assert feature["labels"].WhichOneof("kind") == "int64_list"
    assert schema.serialize("clip/1 é", waveform(), labels) == data


@pytest.mark.parametrize(
    "labels, hot",
    [([], [0, 0, 0, 0, 0]), ([3], [0, 0, 0, 1, 0]), ([0, 2, 4], [1, 0, 1, 0, 1])],
)
def test_round_trip(labels, hot):
    record = schema.serialize("mine", waveform(), labels)
    parsed = schema.parse_record(tf.constant(record), samples=1_500, num_labels=5)
    assert parsed["waveform"].dtype == tf.float32 and parsed["labels"].dtype == tf.float32
    np.testing.assert_array_equal(parsed["waveform"].numpy() * 32768, waveform())
    np.testing.assert_array_equal(parsed["labels"], hot)
    assert parsed["clip_id"] == b"mine"


def test_what_clips_share():
    """Records of clips that share nothing, and those of earlier versions, have no group."""
    shared = schema.serialize("north@5", waveform(), [1], "north@0 \udce9")
    feature = tf.train.Example.FromString(shared).features.feature
    assert feature["group"].bytes_list.value[0] == b"north@0 \\udce9"
    alone = schema.serialize("north@5", waveform(), [1])
    for record, group in ((shared, b"north@0 \\udce9"), (alone, b"north@5")):
        parsed = schema.parse_record(tf.constant(record), 1_500, 5, waveform=False, group=True)
        assert parsed["group"] == group and parsed["clip_id"] == b"north@5"
    assert "group" not in schema.parse_record(tf.constant(shared), 1_500, 5)


def test_wrong_length_is_refused():
    record = tf.constant(schema.serialize("a", waveform(), []))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="1600"):
        schema.parse_record(record, 1_600, 4)


def test_undecodable_file_names_are_escaped():
    data = schema.serialize(b"caf\xe9.wav".decode("utf-8", "surrogateescape"), waveform(), [])
    assert b"caf\\udce9.wav" in data


def test_int16_is_exact_for_16_bit_pcm_and_saturates():
    pcm = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(schema.to_int16(pcm.astype(np.float32) / 32768), pcm)
    beyond = np.array([-3.0, -1.0, 1.0, 3e38], np.float32)
    np.testing.assert_array_equal(schema.to_int16(beyond), [-32768, -32768, 32767, 32767])


def split(**changes):
    values = {
        "clips": 5, "shards": 2, "label_counts": [4, 3], "shard_clips": [3, 2],
        "shard_bytes": [30, 20], "silent": 0, "clipped": 1, "digest": "ab",
    }  # fmt: skip
    return schema.SplitInfo(**{**values, **changes})


def info(**changes):
    values = {
        "name": "mine", "task": "multilabel", "labels": ["a", "b"], "sample_rate_hz": 32_000,
        "clip_seconds": 2.5, "splits": {"train": split(), "eval": split(clips=2)},
        "rejected": {"empty": 3},
    }  # fmt: skip
    return schema.DatasetInfo(**{**values, **changes})


def test_dataset_json_round_trip(tmp_path):
    (tmp_path / "dataset.json").write_text(info().model_dump_json())
    assert schema.read_dataset_info(tmp_path) == info()
    assert info().samples == 80_000 and info().clips == 7
    assert info().count(["eval"]) == 2 and info().count(["train", "eval"]) == 7


def test_fingerprint_follows_what_a_model_learns_from():
    same = info(rejected={})
    assert info().fingerprint == same.fingerprint
    for other in (info(labels=["b", "a"]), info(splits={"train": split(digest="cd")})):
        assert info().fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "names, message",
    [
        (["test"], "split 'test' is unknown; dataset mine has train, eval"),
        ([], "no split is named; dataset mine has train, eval"),
    ],
)
def test_unknown_splits(names, message):
    with pytest.raises(UserError, match=message):
        info().check_splits(names)


def test_one_name_will_do():
    assert info().check_splits("eval") == ["eval"]


def test_not_a_dataset_directory(tmp_path):
    with pytest.raises(UserError, match="has no dataset.json; make one with `vipann-tf prepare`"):
        schema.read_dataset_info(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is not a dataset directory"):
        schema.read_dataset_info(tmp_path / "file")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"schema_version": 2}, "schema_version: Input should be 1"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"task": "regression"}, "task: Input should be 'multilabel' or 'multiclass'"),
    ],
)
def test_damaged_dataset_json(tmp_path, change, message):
    content = json.loads(info().model_dump_json()) | change
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        schema.read_dataset_info(tmp_path)


def test_truncated_dataset_json(tmp_path):
    (tmp_path / "dataset.json").write_text(info().model_dump_json()[:50])
    with pytest.raises(UserError, match="the file: Invalid JSON.*prepare the dataset again"):
        schema.read_dataset_info(tmp_path)


def test_shard_names():
    assert schema.shard_name("fold1", 3, 8) == "fold1-00003-of-00008.tfrecord"
