import pytest

from tests.helpers.dataset_layouts import audio, text
from vipann_tf import datasets
from vipann_tf.errors import UserError

HEADER = "slice_file_name,fsID,start,end,salience,fold,classID,class"


def miniature(root):
    text(
        root / "metadata/UrbanSound8K.csv",
        HEADER,
        "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark",
        "100263-2-0-117.wav,100263,58.5,62.5,1,10,2,children_playing",
        "7061-6-0-0.wav,7061,0,4,1,1,6,gun_shot",
    )
    audio(root / "audio/fold5/100032-3-0-0.wav")
    audio(root / "audio/fold10/100263-2-0-117.wav")
    text(root / "audio/fold1/.DS_Store", "x")
    return root


def test_listing(tmp_path):
    source = datasets.load("urbansound8k", miniature(tmp_path))
    assert (source.task, source.clip_seconds) == ("multiclass", 4.0)
    assert source.labels == ("children_playing", "dog_bark", "gun_shot")
    assert [(c.clip_id, c.labels, c.split) for c in source.clips] == [
        ("100032-3-0-0", ("dog_bark",), "fold5"),
        ("100263-2-0-117", ("children_playing",), "fold10"),
    ]
    assert [(r.clip_id, r.reason) for r in source.rejected] == [("7061-6-0-0", "missing-file")]


def test_another_layout(tmp_path):
    audio(tmp_path / "fold1/a.wav")
    with pytest.raises(UserError, match="looked for metadata/UrbanSound8K.csv; found fold1/"):
        datasets.load("urbansound8k", tmp_path)


def test_damaged_metadata(tmp_path):
    text(tmp_path / "metadata/UrbanSound8K.csv", HEADER, "a.wav,1,0,4,1,1,six,gun_shot")
    with pytest.raises(UserError, match="classID 'six' is not a number"):
        datasets.load("urbansound8k", tmp_path)
