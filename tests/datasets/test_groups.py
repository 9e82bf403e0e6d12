"""What clips share: the name of it, the same wherever the files lie."""

import pytest

from tests.helpers.dataset_layouts import text
from vipann_tf.datasets import esc50, urbansound8k
from vipann_tf.datasets.base import Clip
from vipann_tf.datasets.groups import group_names
from vipann_tf.datasets.tree import SourceTree


def clips(*rows):
    """Clips of pairs of a path and a group, named a, b, c ..."""
    return [
        Clip(chr(97 + i), path, (), "train", float(i), 1.0, group)
        for i, (path, group) in enumerate(rows)
    ]


@pytest.mark.parametrize(
    "rows, names",
    [
        ([("x", ""), ("y", ""), ("z", "")], ["", "", ""]),
        # Windows of recordings, and a whole one.
        ([("x", ""), ("y", ""), ("x", ""), ("z", ""), ("y", "")], ["a", "b", "a", "", "b"]),
        # A site of two recordings, one that is alone, and a recording without a site.
        ([("x", "pond"), ("y", "pond"), ("z", "hill"), ("w", "")], ["pond", "pond", "", ""]),
        # A recording that is of two sites joins them.
        ([("x", "pond"), ("x", "hill"), ("y", "hill"), ("z", "pond")], ["a", "a", "a", "a"]),
        ([("x", "pond"), ("x", "")], ["a", "a"]),
        ([], []),
    ],
)
def test_names(rows, names):
    assert group_names(clips(*rows)) == names


def test_sounds_that_are_made_have_no_files():
    rows = [("", ""), ("", "pond"), ("", "pond"), ("", "hill")]
    assert group_names(clips(*rows), by_file=False) == ["", "pond", "pond", ""]


def test_one_file_by_two_paths(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.wav").write_bytes(b"")
    paths = [str(tmp_path / "x.wav"), str(tmp_path / "folder" / ".." / "x.wav")]
    assert group_names(clips((paths[0], ""), (paths[1], ""), (paths[0], ""))) == ["a"] * 3


def test_published_data_sets_say_what_their_clips_were_cut_from(tmp_path):
    header = "filename,fold,target,category,esc10,src_file,take"
    rows = ["1-7-A-0.wav,1,0,dog,True,7,A", "1-7-B-0.wav,1,0,dog,True,7,B"]
    rows.append("1-8-A-0.wav,1,0,dog,True,8,A")
    text(tmp_path / "esc/meta/esc50.csv", "\n".join([header, *rows]))
    for row in rows:
        text(tmp_path / "esc/audio" / row.partition(",")[0], "")
    found = esc50.load(SourceTree(tmp_path / "esc"))
    assert group_names(found.clips) == ["7", "7", ""]

    header = "slice_file_name,fsID,start,end,salience,fold,classID,class"
    rows = ["9-3-0-0.wav,9,0,4,1,1,3,dog_bark", "9-3-0-1.wav,9,4,8,1,1,3,dog_bark"]
    text(tmp_path / "us/metadata/UrbanSound8K.csv", "\n".join([header, *rows]))
    for row in rows:
        text(tmp_path / "us/audio/fold1" / row.partition(",")[0], "")
    found = urbansound8k.load(SourceTree(tmp_path / "us"))
    assert group_names(found.clips) == ["9", "9"]
