"""TFRecord framing against TensorFlow's writer and reader."""

import io

import numpy as np
import pytest
import tensorflow as tf

from vipann_tf.records.tfrecord_file import RecordWriter, scan

RECORDS = [b"first", b"", np.random.default_rng(0).bytes(100_003), b"last one"]


def written():
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for record in RECORDS:
        writer.write(record)
    assert writer.records == 4 and writer.size_bytes == len(buffer.getvalue())
    return buffer.getvalue(), writer.digest


def test_bytes_are_those_of_tensorflow(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as theirs:
        for record in RECORDS:
            theirs.write(record)
    assert (tmp_path / "theirs").read_bytes() == written()[0]


def test_digest_depends_on_content_and_order():
    digests = set()
    for records in ([b"a", b"b"], [b"b", b"a"], [b"ab"], [b"a", b"c"]):
        writer = RecordWriter(io.BytesIO())
        for record in records:
            writer.write(record)
        digests.add(writer.digest)
    assert len(digests) == 4 and written()[1] == written()[1]


def offsets():
    return np.cumsum([0] + [16 + len(record) for record in RECORDS])


def test_scan_of_a_sound_file():
    assert list(scan(io.BytesIO(written()[0]))) == list(zip(offsets()[:-1], RECORDS, strict=True))


@pytest.mark.parametrize("place", [12, 60_000, 100_044])
def test_scan_passes_over_damaged_data(place):
    data = bytearray(written()[0])
    data[place] ^= 4
    damaged = int(np.searchsorted(offsets(), place, side="right")) - 1
    found = list(scan(io.BytesIO(data)))
    assert [item[0] for item in found] == offsets()[:-1].tolist()
    assert [i for i, item in enumerate(found) if item[1] is None] == [damaged]


def test_scan_ends_at_a_damaged_length():
    data = bytearray(written()[0])
    data[int(offsets()[2]) + 1] ^= 1
    assert list(scan(io.BytesIO(data))) == [(0, b"first"), (21, b""), (37, None)]


@pytest.mark.parametrize("cut", [1, 4, 5, 100_020])
def test_scan_of_a_truncated_file(cut):
    found = list(scan(io.BytesIO(written()[0][:-cut])))
    assert found[-1][1] is None and all(item[1] is not None for item in found[:-1])
