import pytest

from tests.helpers.dataset_layouts import audio
from vipann_tf import datasets
from vipann_tf.errors import UserError


def test_both_archives(tmp_path):
    audio(tmp_path / "scenes_stereo/bus01.wav")
    audio(tmp_path / "scenes_stereo/busystreet10.wav")
    audio(tmp_path / "scenes_stereo/notes.wav")
    audio(tmp_path / "scenes_stereo_testset/scenes_stereo_testset/bus01.wav")
    audio(tmp_path / "scenes_stereo_testset/audio/test_tubestation07.wav")
    audio(tmp_path / "elsewhere/park01.wav")
    source = datasets.load("dcase2013", tmp_path)
    assert (source.task, source.clip_seconds, len(source.labels)) == ("multiclass", 30.0, 10)
    assert sorted((c.clip_id, c.labels[0], c.split) for c in source.clips) == [
        ("development/bus01", "bus", "development"),
        ("development/busystreet10", "busystreet", "development"),
        ("evaluation/bus01", "bus", "evaluation"),
        ("evaluation/test_tubestation07", "tubestation", "evaluation"),
    ]
    assert [(r.clip_id, r.reason) for r in source.rejected] == [("development/notes", "no-label")]


def test_one_archive_will_do(tmp_path):
    audio(tmp_path / "scenes_stereo_testset/park03.wav")
    assert {clip.split for clip in datasets.load("dcase2013", tmp_path).clips} == {"evaluation"}


def test_another_layout(tmp_path):
    audio(tmp_path / "dev/bus01.wav")
    with pytest.raises(UserError, match="in scenes_stereo and scenes_stereo_testset; found dev/"):
        datasets.load("dcase2013", tmp_path)
