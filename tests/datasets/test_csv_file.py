import pytest

from tests.helpers.dataset_layouts import text
from vipann_tf import datasets
from vipann_tf.errors import UserError


def load(tmp_path, *lines, **options):
    return datasets.load("csv", text(tmp_path / "mine.csv", *lines), **options)


def test_several_labels_make_it_multilabel(tmp_path):
    source = load(
        tmp_path,
        "note,filename,labels,split",
        "x,a.wav,Rain; Wind,train",
        "x,sub/b.wav,,eval",
        "x,/absolute/c.wav,Wind;Wind;,eval",
    )
    assert (source.task, source.labels) == ("multilabel", ("Rain", "Wind"))
    assert [(c.clip_id, c.path, c.labels, c.split) for c in source.clips] == [
        ("a.wav", str(tmp_path / "a.wav"), ("Rain", "Wind"), "train"),
        ("sub/b.wav", str(tmp_path / "sub/b.wav"), (), "eval"),
        ("/absolute/c.wav", "/absolute/c.wav", ("Wind",), "eval"),
    ]


def test_one_label_each_makes_it_multiclass_unless_told_otherwise(tmp_path):
    lines = ("filename,label,fold", "a.wav,cat,1", "b.wav,dog,fold2")
    source = load(tmp_path, *lines)
    assert source.task == "multiclass"
    assert [clip.split for clip in source.clips] == ["fold1", "fold2"]
    assert load(tmp_path, *lines, task="multilabel").task == "multilabel"


def test_windows_of_one_file(tmp_path):
    source = load(
        tmp_path,
        "filename,labels,offset_s,duration_s",
        "a.wav,cat,,",
        "a.wav,cat,2.5,1.5",
        "b.wav,dog,,",
    )
    assert [(c.clip_id, c.offset_s, c.duration_s, c.split) for c in source.clips] == [
        ("a.wav", 0.0, None, "train"),
        ("a.wav@2.5", 2.5, 1.5, "train"),
        ("b.wav", 0.0, None, "train"),
    ]


def test_directory_with_one_csv_and_a_byte_order_mark(tmp_path):
    text(tmp_path / "list.csv", "\ufefffilename,labels", "a.wav,cat", "b.wav,dog")
    assert len(datasets.load("csv", tmp_path).clips) == 2


@pytest.mark.parametrize(
    "lines, message",
    [
        (("labels,notes", "cat,x"), "no column 'filename'; its columns are labels"),
        (("filename,split", "a.wav,cat"), "no column 'labels'; its columns are filename, split"),
        (("filename,labels",), "has no rows"),
        (("filename,label,labels", "a,b,c"), "both a column 'labels' and a column 'label'"),
        (("filename,labels,split,fold", "a,b,c,1"), "both a column 'split' and a column 'fold'"),
        (("filename,labels", "a.wav,"), "no row has a label"),
        (("filename,labels", "a.wav,cat", ",cat"), "mine.csv, line 3: filename is empty"),
        (
            ("filename,labels,split", "a.wav,cat,my split"),
            "mine.csv, line 2: split 'my split' is not a usable",
        ),
        (("filename,labels,fold", "a.wav,cat,x"), "line 2: fold 'x' is not a number"),
        (
            ("filename,labels,offset_s", "a.wav,cat,-1"),
            "line 2: offset_s '-1' is below 0; give seconds",
        ),
        (("filename,labels,offset_s", "a.wav,cat,soon"), "offset_s 'soon' is not a number"),
        (("filename,labels,duration_s", "a.wav,cat,nan"), "duration_s 'nan' is not a number"),
        (("filename,labels,duration_s", "a.wav,cat,0"), "line 2: duration_s is 0; leave it empty"),
    ],
)
def test_mistakes_are_named(tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, *lines)


def test_unknown_task(tmp_path):
    with pytest.raises(UserError, match="task is 'tags'; it must be one of multilabel, multiclass"):
        load(tmp_path, "filename,labels", "a.wav,cat", task="tags")


def test_which_csv(tmp_path):
    with pytest.raises(UserError, match="looked for exactly one CSV file; found no files"):
        datasets.load("csv", tmp_path)
    text(tmp_path / "a.csv", "filename,labels")
    text(tmp_path / "b.csv", "filename,labels")
    with pytest.raises(UserError, match="exactly one CSV file; found a.csv, b.csv"):
        datasets.load("csv", tmp_path)


def test_not_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"filename,labels\n\xff\xfe.wav,cat\n")
    with pytest.raises(UserError, match="not UTF-8 text .byte 16."):
        datasets.load("csv", path)


def test_broken_csv(tmp_path):
    with pytest.raises(UserError, match="mine.csv, line .: field larger than field limit"):
        load(tmp_path, "filename,labels", "a.wav," + "x" * 200_000)
