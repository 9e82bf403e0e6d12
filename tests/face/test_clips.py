"""The clips of a dataset directory are those that were prepared."""

import numpy as np
import pytest

import vipann_tf as vt
from tests.helpers import small_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("clips") / "data"
    small_data.write(directory, {"train": 19, "eval": 4})
    return directory


def test_every_clip_is_there_once_with_its_samples_and_labels(data):
    clips = list(vt.read_clips(data))
    assert [clip.split for clip in clips] == ["eval"] * 4 + ["train"] * 19
    assert sorted(int(clip.clip_id) for clip in clips) == list(range(23))
    for clip in clips:
        assert clip.labels == small_data.labels_of(int(clip.clip_id))
        assert clip.waveform.dtype == np.float32
        np.testing.assert_array_equal(clip.waveform, small_data.waveform(clip.clip_id))


@pytest.mark.parametrize("splits", ["eval", ["eval"]])
def test_splits_are_chosen(data, splits):
    assert sorted(int(clip.clip_id) for clip in vt.read_clips(data, splits)) == [19, 20, 21, 22]


def test_mistakes_are_told_before_anything_is_read(data, tmp_path):
    with pytest.raises(vt.UserError, match="split 'test' is unknown; dataset small has"):
        vt.read_clips(data, ["test"])
    with pytest.raises(vt.UserError, match="no-such"):
        vt.read_clips(tmp_path / "no-such")


def test_a_damaged_record_is_named(data, tmp_path):
    copy = tmp_path / "data"
    copy.mkdir()
    for file in data.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    shard = copy / "eval-00000-of-00003.tfrecord"
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    with pytest.raises(vt.UserError, match=r"eval-00000-of-00003.tfrecord: the record at byte 0"):
        list(vt.read_clips(copy))
