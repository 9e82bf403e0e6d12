"""Tables as people save them: spreadsheets' formats, long form, columns of their own."""

import csv
import json
import random
from fractions import Fraction

import pytest

from tests.helpers.dataset_layouts import text
from vipann_tf import datasets
from vipann_tf.errors import UserError


def load(tmp_path, *lines, **options):
    return datasets.load("csv", text(tmp_path / "mine.csv", *lines), **options)


def notices(source):
    return {notice.kind: notice.detail for notice in source.notices}


def parts(source):
    return {clip.clip_id: (clip.labels, clip.offset_s, clip.duration_s) for clip in source.clips}


def test_rows_of_one_interval_are_one_clip_with_all_labels(tmp_path):
    lines = ("filename,labels,offset_s,duration_s", "a.wav,dog,1,2", "b.wav,cow,,")
    lines += ("./a.wav,cock; dog,1.0,2.00", "a.wav,dog,1,2")
    source = load(tmp_path, *lines)
    assert source.task == "multilabel"
    assert parts(source) == {
        "a.wav@1": (("dog", "cock"), 1.0, 2.0),
        "b.wav": (("cow",), 0.0, None),
    }
    assert "1 times, for example a.wav on the lines 2, 4, 5; they" in notices(source)["joined-rows"]
    [row] = source.rejected
    assert (row.clip_id, row.reason) == ("a.wav@1", "duplicate-row")
    assert row.detail == "line 5 adds no label to line 2"
    with pytest.raises(UserError, match="mine.csv: rows name the same part .* --task multilabel"):
        load(tmp_path, *lines, task="multiclass")


def test_rows_that_repeat_another_are_rejected(tmp_path):
    source = load(tmp_path, "filename,label", "a.wav,dog", "b.wav,cat", "a.wav,dog")
    assert source.task == "multiclass" and len(source.clips) == 2
    assert [row.reason for row in source.rejected] == ["duplicate-row"] and not source.notices


@pytest.mark.parametrize("column, one, other", [("split", "train", "eval"), ("group", "x", "y")])
def test_rows_of_one_interval_in_two_splits_are_refused(tmp_path, column, one, other):
    message = f"line 3: a.wav has {column} '{other}' here, but '{one}' on line 2"
    with pytest.raises(UserError, match=message):
        load(tmp_path, f"filename,label,{column}", f"a.wav,dog,{one}", f"a.wav,cat,{other}")


def test_start_and_end(tmp_path):
    source = load(
        tmp_path,
        "filename,labels,start_s,end_s",
        "a.wav,dog,0,5",
        "a.wav,cat,5.1,5.4",
        "a.wav,cat,7,",
        "a.wav,dog,,2.5",
    )
    assert parts(source) == {
        "a.wav@0-5": (("dog",), 0.0, 5.0),
        "a.wav@5.1": (("cat",), 5.1, 0.3),  # 5.4 - 5.1 is not 0.3 in floating point
        "a.wav@7": (("cat",), 7.0, None),
        "a.wav@0-2.5": (("dog",), 0.0, 2.5),
    }


@pytest.mark.parametrize(
    "lines, message",
    [
        (("filename,labels,start_s,end_s", "a,b,5,5"), "line 2: end_s is 5, but start_s is 5; end"),
        (("filename,labels,end_s", "a,b,0"), "line 2: end_s is 0, but start_s is 0"),
        (("filename,labels,start_s,duration_s", "a,b,1,2"), "'start_s' and a column 'duration_s'"),
        (
            ("filename,labels,offset_s,end_s", "a,b,1,2"),
            "'end_s' and a column 'offset_s'; keep one",
        ),
        (("filename,labels,start_s", "a,b,-1"), "line 2: start_s '-1' is below 0"),
        (("filename,labels,start", "a,b,1"), "column 'start' is unknown; did you mean 'start_s'"),
        (("file,labels", "a,b"), "column 'file' is unknown; did you mean 'filename'.*ignore"),
        (
            ("filename,labels,Qx,zz", "a,b,,"),
            "'Qx' is unknown; this line names col.*-columns Qx,zz",
        ),
        (("filename,labels,labels", "a,b,c"), "line 1: column 'labels' is there twice"),
        (("filename,labels", "a,dog, barking"), "line 2: 3 fields, but the header has 2"),
        (("filename,labels,fold", "", "a,dog"), "line 3: 2 fields, but the header has 3"),
        (
            ("filename,labels", 'a,"dog', "b,cat"),
            "line 2: unexpected end of data; check the quotes",
        ),
        (("filename,labels,offset_s", 'a,b,"1,5"'), "'1,5' is ambiguous: .*with a point"),
        (("filename;labels;offset_s", "a;b;1,5", "a;b;2.5"), "line 3: .*'2.5' is ambiguous"),
        (("filename,labels,offset_s", 'a,b,"1,234.5"'), "offset_s '1,234.5' is not a number"),
        (("filename,labels,fold", "a,b,1.5"), "line 2: fold '1.5' is not a number"),
        (("filename,labels", "a,Dog", "b,dog"), "labels 'Dog' and 'dog' differ in capital letters"),
        (("filename,labels", "a,dog", "b,dog"), "'dog' is the single label"),
    ],
)
def test_mistakes_are_named(tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, *lines)


def test_lines_are_counted_as_an_editor_does(tmp_path):
    lines = ('"sep=,"', "filename,labels,notes", 'a.wav,dog,"two', 'lines"', "", ",,", "b.wav")
    with pytest.raises(UserError, match="mine.csv, line 7: 1 fields"):
        load(tmp_path, *lines)


def test_empty_rows_and_surplus_empty_fields_are_skipped(tmp_path):
    lines = (
        "",
        "filename,labels,split,,",
        "a.wav,dog,Train,,",
        ",,,,",
        "b.wav,cat,train,,,,",
        ",,",
    )
    source = load(tmp_path, *lines)
    assert [(clip.clip_id, clip.split) for clip in source.clips] == [
        ("a.wav", "train"),
        ("b.wav", "train"),
    ]
    assert notices(source) == {"split-spelling": "Train and train are one split: train"}


def test_numbered_rows_of_pandas(tmp_path):
    source = load(tmp_path, ",Filename,LABEL,fold", "0,a.wav,dog,1.0", "1,b.wav,cat,2.0")
    assert [clip.split for clip in source.clips] == ["fold1", "fold2"]
    assert notices(source) == {"nameless-column": "columns without a name were left out: 1"}


@pytest.mark.parametrize(
    "separator, name, decimal",
    [
        (",", None, "."),
        (";", "semicolons", "."),
        (";", "semicolons", ","),
        ("\t", "tabs", ","),
        ("|", "vertical bars", "."),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_separators_and_decimal_commas(tmp_path, separator, name, decimal, first):
    path = tmp_path / "mine.csv"
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        if first:
            file.write(f"sep={separator}\r\n")
        writer = csv.writer(file, delimiter=separator, lineterminator="\r\n")
        writer.writerow(["filename", "labels", "offset_s", "duration_s"])
        writer.writerow(["a, b; c.wav", "Rain; Wind", f"1{decimal}5", "2"])
        writer.writerow(["d.wav", "Owl, eagle", "", ""])
    source = datasets.load("csv", path)
    assert parts(source) == {
        "a, b; c.wav@1.5": (("Rain", "Wind"), 1.5, 2.0),
        "d.wav": (("Owl, eagle",), 0.0, None),
    }
    if first or name:
        detail = f"read as a table separated by {name or 'commas'}"
        detail += ", with decimal commas" if decimal == "," else ""
        assert notices(source) == {"table-format": detail}
    else:
        assert not source.notices


def test_spaces_before_quotes(tmp_path):
    source = load(tmp_path, "filename, labels", 'a.wav, "dog;cat"', 'b.wav, "owl, small"')
    assert [clip.labels for clip in source.clips] == [("dog", "cat"), ("owl, small",)]


def test_columns_that_are_left_out(tmp_path):
    lines = ("filename,labels,Recorder,notes,Comment,fold", "a.wav,dog,x,y,z,1", "b.wav,cat,,,,2")
    with pytest.raises(UserError, match="'Recorder' is unknown.*--ignore-columns Recorder"):
        load(tmp_path, *lines)
    source = load(tmp_path, *lines, ignore_columns="recorder, fold")
    assert {clip.split for clip in source.clips} == {"train"} and not source.notices
    with pytest.raises(UserError, match="no column 'recoder' to ignore; did you mean 'recorder'"):
        load(tmp_path, *lines, ignore_columns="recoder")


def test_groups(tmp_path):
    source = load(tmp_path, "filename,label,group", "a.wav,dog,pond", "b.wav,cat,")
    assert [clip.group for clip in source.clips] == ["pond", ""]


def test_a_row_without_a_label_makes_it_multilabel_with_a_notice(tmp_path):
    lines = ("filename,labels", "a.wav,dog", "b.wav,cat", "c.wav, ;")
    source = load(tmp_path, *lines)
    assert source.task == "multilabel"
    assert notices(source)["no-label"].startswith(
        "clips without a label: 1 of 3, the first on line 4"
    )
    assert not load(tmp_path, *lines, task="multilabel").notices
    assert not load(tmp_path, *lines[:3], "c.wav,dog;cat").notices


def test_clip_ids_have_every_digit(tmp_path):
    source = load(
        tmp_path,
        "filename,label,offset_s",
        *("long.wav,dog,11000.12", "long.wav,cat,11000.14", "long.wav,dog,3", "long.wav,cat,4.50"),
        "long.wav,dog,1234567",
    )
    assert [clip.clip_id for clip in source.clips] == [
        "long.wav@11000.12", "long.wav@11000.14", "long.wav@3", "long.wav@4.5", "long.wav@1234567",
    ]  # fmt: skip


def test_any_table_gives_the_intervals_that_it_names(tmp_path):
    """The oracle groups the rows by fractions; Python's csv wrote the table."""
    draw = random.Random(4)
    rows = [
        [
            f"{draw.choice('abc')}.wav",
            draw.choice(["dog", "cat", "owl; hen", ""]),
            f"{draw.randint(0, 3) / 10}",
            f"{draw.randint(1, 3) / 10:.2f}",
        ]
        for _ in range(300)
    ]
    with open(tmp_path / "mine.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["filename", "labels", "offset_s", "duration_s"], *rows])
    expected = {}
    for name, labels, offset, duration in rows:
        found = expected.setdefault((name, Fraction(offset), Fraction(duration)), set())
        found |= {label.strip() for label in labels.split(";")} - {""}
    source = datasets.load("csv", tmp_path / "mine.csv")
    assert len({clip.clip_id for clip in source.clips}) == len(source.clips) == len(expected)
    for clip in source.clips:
        key = (json.dumps(clip.path), clip.offset_s, clip.duration_s)
        [labels] = [
            value
            for (name, offset, duration), value in expected.items()
            if key == (json.dumps(str(tmp_path / name)), float(offset), float(duration))
        ]
        assert set(clip.labels) == labels
