"""What a preparation wrote."""

import pathlib

import tensorflow as tf


def contents(directory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pathlib.Path(directory).iterdir()}


def records(directory, split) -> dict[str, tf.train.Example]:
    names = sorted(str(path) for path in pathlib.Path(directory).glob(f"{split}-*.tfrecord"))
    found = {}
    for data in tf.data.TFRecordDataset(names):
        example = tf.train.Example.FromString(data.numpy())
        clip_id = example.features.feature["clip_id"].bytes_list.value[0].decode()
        assert clip_id not in found
        found[clip_id] = example.features.feature
    return found
