import pytest

from tests.helpers.dataset_layouts import audio, text
from vipann_tf import datasets
from vipann_tf.errors import UserError

HEADER = "filename,fold,target,category,esc10,src_file,take"


def miniature(root):
    """Rows 2 and 4 belong to ESC-10; alphabetical order differs from that of targets."""
    text(
        root / "meta/esc50.csv",
        HEADER,
        "1-100-A-1.wav,1,1,rooster,False,100,A",
        "2-200-B-10.wav,2,10,rain,True,200,B",
        "5-500-A-36.wav,5,36,vacuum_cleaner,False,500,A",
        "5-500-B-0.wav,5,0,dog,True,500,B",
    )
    audio(root / "audio/1-100-A-1.wav")
    audio(root / "audio/2-200-B-10.ogg")
    audio(root / "audio/5-500-A-36.wav")
    audio(root / "audio/5-500-B-0.wav")
    audio(root / "audio/9-not-listed.wav")
    return root


def test_all_rows(tmp_path):
    source = datasets.load("esc50", miniature(tmp_path))
    assert (source.name, source.task, source.clip_seconds) == ("esc50", "multiclass", 5.0)
    assert source.labels == ("dog", "rooster", "rain", "vacuum_cleaner")
    assert [(c.clip_id, c.labels, c.split) for c in source.clips] == [
        ("1-100-A-1", ("rooster",), "fold1"),
        ("2-200-B-10", ("rain",), "fold2"),
        ("5-500-A-36", ("vacuum_cleaner",), "fold5"),
        ("5-500-B-0", ("dog",), "fold5"),
    ]
    assert source.clips[1].path == str(tmp_path / "audio/2-200-B-10.ogg")
    assert source.rejected == ()


def test_subset(tmp_path):
    source = datasets.load("esc50", miniature(tmp_path), subset="esc10")
    assert (source.name, source.labels) == ("esc10", ("dog", "rain"))
    assert [clip.clip_id for clip in source.clips] == ["2-200-B-10", "5-500-B-0"]


def test_missing_audio_is_rejected(tmp_path):
    (miniature(tmp_path) / "audio/5-500-B-0.wav").unlink()
    source = datasets.load("esc50", tmp_path)
    assert len(source.clips) == 3
    assert [(r.clip_id, r.reason) for r in source.rejected] == [("5-500-B-0", "missing-file")]
    assert "dog" in source.labels


def test_another_layout_says_what_was_sought_and_found(tmp_path):
    audio(tmp_path / "dog/a.wav")
    text(tmp_path / "notes.txt", "x")
    with pytest.raises(UserError, match=r"looked for meta/esc50.csv; found dog/, notes.txt"):
        datasets.load("esc50", tmp_path)


def test_unknown_subset(tmp_path):
    with pytest.raises(UserError, match="subset 'esc20' of esc50 is unknown; use esc50 or esc10"):
        datasets.load("esc50", miniature(tmp_path), subset="esc20")


@pytest.mark.parametrize(
    "row, message",
    [
        ("a.wav,1,x,dog,True,1,A", "target 'x' is not a number"),
        ("a.wav,one,3,dog,True,1,A", "fold 'one' is not a number"),
    ],
)
def test_damaged_metadata(tmp_path, row, message):
    text(tmp_path / "meta/esc50.csv", HEADER, row)
    audio(tmp_path / "audio/a.wav")
    with pytest.raises(UserError, match=message):
        datasets.load("esc50", tmp_path)


def test_missing_column(tmp_path):
    text(tmp_path / "meta/esc50.csv", "filename,fold", "a.wav,1")
    with pytest.raises(UserError, match="no column 'target'; its columns are filename, fold"):
        datasets.load("esc50", tmp_path)


def test_real_esc10(real_data):
    source = datasets.load("esc50", real_data("esc10"), subset="esc10")
    assert len(source.clips) == 400 and len(source.labels) == 10 and not source.rejected
    assert source.labels[0] == "dog" and source.labels[-1] == "chainsaw"
    counts = {}
    for clip in source.clips:
        counts[clip.split, clip.labels[0]] = counts.get((clip.split, clip.labels[0]), 0) + 1
    assert len(counts) == 50 and set(counts.values()) == {8}
