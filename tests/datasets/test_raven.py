"""Recordings with tables of Raven or Audacity: which table belongs to which, and what is said."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers.dataset_layouts import audio, text
from tests.helpers.recorders import COLUMNS
from vipann_tf import datasets
from vipann_tf.cli import main
from vipann_tf.datasets.selection_files import TabledRecording
from vipann_tf.errors import UserError
from vipann_tf.saved_model.timeline import Window
from vipann_tf.timelines.text import timeline

HEADING = "\t".join(COLUMNS)
IN_FILES = f"{HEADING}\tBegin File\tFile Offset (s)"


def row(begin, end, label="dog", *, number=1, channel=1, more=()):
    values = (number, "Spectrogram 1", channel, begin, end, 100.0, 9000.0, label, *more)
    return "\t".join(map(str, values))


def recording(path, *rows, seconds=3.0, table=".Table.1.selections.txt", heading=HEADING):
    """A recording and its table."""
    audio(path, seconds)
    text(path.with_name(path.stem + table), heading, *rows)


def load(source, **options):
    return datasets.load("raven", source, **{"windows": 1.0, **options})


def labels(source):
    return {clip.clip_id: clip.labels for clip in source.clips}


def kinds(source):
    return sorted(notice.kind for notice in source.notices)


def reasons(source):
    return sorted((rejection.clip_id, rejection.reason) for rejection in source.rejected)


def test_windows_of_recordings_with_tables(tmp_path):
    recording(tmp_path / "site/a.wav", row(0.2, 0.8), row(0.6, 1.6, "cat", number=2))
    recording(tmp_path / "b.wav", seconds=0.7)
    audio(tmp_path / "c.wav")
    source = load(tmp_path)
    assert (source.task, source.labels, source.clip_seconds) == ("multilabel", ("cat", "dog"), 1)
    assert labels(source) == {
        "b.wav": (),
        "site/a.wav@0": ("dog",),
        "site/a.wav@1": ("cat",),
        "site/a.wav@2": (),
    }
    assert {(clip.split, clip.path) for clip in source.clips} == {
        ("train", str(tmp_path / "b.wav")),
        ("train", str(tmp_path / "site/a.wav")),
    }
    assert reasons(source) == [("c.wav", "no-label")]
    assert kinds(source) == ["no-annotation"]
    assert source.counted == (
        "2 recordings with tables, 2 annotations; 2 windows with a label, 2 without"
    )


def test_hop_overlap_and_what_is_unlabelled(tmp_path):
    recording(tmp_path / "a.wav", row(0.2, 0.8), row(0.6, 1.6, "cat"))
    source = load(tmp_path, hop=0.5, min_overlap="0.5s", unlabelled="drop")
    assert labels(source) == {"a.wav@0": ("dog",), "a.wav@0.5": ("cat",), "a.wav@1": ("cat",)}
    assert source.counted.endswith("3 windows with a label, 2 without (left out)")
    source = load(tmp_path, min_overlap="90%")
    assert labels(source) == {"a.wav@0": ("dog",), "a.wav@1": (), "a.wav@2": ()}
    assert source.labels == ("dog",) and kinds(source) == ["annotation-in-no-window"]


@pytest.mark.parametrize(
    "table",
    [
        ".Table.1.selections.txt",
        ".selections.txt",
        ".Selection.txt",
        ".txt",
        ".wav.selections.txt",
        ".BirdNET.selection.table.txt",
    ],
)
def test_names_of_tables(tmp_path, table):
    recording(tmp_path / "a.1.wav", row(0, 1), table=table)
    audio(tmp_path / "a.wav")  # whose name is a part of the other's
    assert labels(load(tmp_path))["a.1.wav@0"] == ("dog",)


def test_audacity_and_several_tables_of_one_recording(tmp_path):
    recording(tmp_path / "a.wav", row(0, 1))
    text(tmp_path / "a.Table.2.selections.txt", HEADING, row(2, 3, "cat"))
    text(tmp_path / "a.txt", "1.0\t2.0\towl", "\\\t100\t200")
    assert list(labels(load(tmp_path)).values()) == [("dog",), ("owl",), ("cat",)]


def test_other_text_files_are_no_tables(tmp_path):
    recording(tmp_path / "a.wav", row(0, 1))
    text(tmp_path / "README.txt", "Windy.")
    (tmp_path / "notes.txt").write_bytes("Gr\xfcn".encode("latin-1"))
    source = load(tmp_path)
    assert kinds(source) == ["not-a-table"] * 2 and not source.rejected
    text(tmp_path / "b.selections.txt", HEADING, row(0, 1))
    assert reasons(load(tmp_path)) == [("b.selections.txt", "no-recording")]
    text(tmp_path / "b.selections.txt", "Windy.")
    with pytest.raises(UserError, match=r"b.selections.txt is no selection table: .*Begin Time"):
        load(tmp_path)


def test_files_that_may_be_sounds_are_rejected(tmp_path):
    recording(tmp_path / "a.wav", row(0, 1))
    text(tmp_path / "b.zip", "x")
    text(tmp_path / "c.wav.part", "x")
    assert reasons(load(tmp_path)) == [("b.zip", "archive"), ("c.wav.part", "unknown-suffix")]


def test_two_recordings_for_one_table(tmp_path):
    recording(tmp_path / "a.wav", row(0, 1))
    audio(tmp_path / "a.flac")
    with pytest.raises(UserError, match="may belong to a.flac and a.wav; keep one of them"):
        load(tmp_path)


def test_one_table_over_many_files(tmp_path):
    for name in ("north/a.wav", "south/a.wav", "north/b.wav", "unheard.wav"):
        audio(tmp_path / name, 3)
    table = text(
        tmp_path / "all.txt",
        IN_FILES + "\tBegin Path",
        row(0, 1, more=("a.wav", 1.0, "D:\\old\\South\\A.wav")),
        row(3, 4, "cat", more=("a.wav", 2.0, "/old/north/a.wav")),
        row(6, 7, "owl", more=("b.wav", 0.0, "")),
        row(9, 10, "owl", more=("gone.wav", 0.0, "")),
    )
    expected = {"south/a.wav@1": ("dog",), "north/a.wav@2": ("cat",), "north/b.wav@0": ("owl",)}
    source = load(table)
    assert {name: found for name, found in labels(source).items() if found} == expected
    assert len(source.clips) == 9 and source.name == "all"
    assert reasons(source) == [("gone.wav", "missing-file")]
    source = load(tmp_path)  # the directory of this table
    assert {name: found for name, found in labels(source).items() if found} == expected
    assert reasons(source) == [("gone.wav", "missing-file"), ("unheard.wav", "no-label")]


def test_which_of_several_files_of_one_name(tmp_path):
    for name in ("north/a.wav", "south/a.wav"):
        audio(tmp_path / name)
    table = text(tmp_path / "all.txt", IN_FILES, row(0, 1, more=("a.wav", 0.0)))
    with pytest.raises(UserError, match="names 'a.wav', which may be north/a.wav or south/a.wav"):
        load(table)


def test_a_file_elsewhere_and_one_that_was_renamed(tmp_path):
    far = audio(tmp_path / "far/x.wav", 2)
    table = text(tmp_path / "near/t.txt", IN_FILES, row(0, 1, more=(far, 1.0)))
    assert labels(load(table)) == {f"{far}@0": (), f"{far}@1": ("dog",)}
    recording(tmp_path / "new/y.wav", row(0, 1, more=("x.wav", 2.0)), heading=IN_FILES)
    source = load(tmp_path / "new")
    assert labels(source)["y.wav@2"] == ("dog",) and kinds(source) == ["other-recording"]


def test_what_is_said_of_annotations(tmp_path):
    rows = [
        row(0, 1, ""),
        row(2.5, 3.5, "cat"),
        row(2.9, 3.01, "owl"),  # a little beyond the end, as encoders pad
        row(7, 8, "fox"),
        row(0, 1, "ca\u0301t", channel=2),
        row(1, 2, " c\xe1t "),
    ]
    recording(tmp_path / "a.wav", *rows)
    source = load(tmp_path)
    assert source.labels == ("cat", "cát", "owl")
    details = {notice.kind: notice.detail for notice in source.notices}
    assert details == {
        "behind-end": "annotations behind the end at 3.000 s, left out: 1",
        "beyond-end": "annotations that pass the end at 3.000 s: 1",
        "empty-annotation": "annotations without a text, which label nothing: 1",
        "label-spelling": r"'ca\u0301t' and 'c\xe1t' look the same, and are one label: 'cát'",
        "several-channels": "channels with annotations, which all count, since the mix holds all"
        " channels: 2",
    }
    source = load(tmp_path, channel=2)
    assert source.labels == ("cát",) and "other-channels" in kinds(source)


def test_an_unreadable_recording_is_rejected_at_decoding(tmp_path):
    recording(tmp_path / "a.wav", row(0, 1))
    text(tmp_path / "b.wav", "no sound")
    text(tmp_path / "b.txt", "0.0\t1.0\towl")
    assert labels(load(tmp_path))["b.wav"] == ("owl",)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"windows": 0}, "windows is 0 s; use a length from 0.1 to 600"),
        ({"hop": -1}, "hop is -1 s"),
        ({"min_overlap": "half"}, "min overlap is 'half'; use seconds"),
        ({"unlabelled": "no"}, "unlabelled is 'no'; use keep or drop"),
        ({"channel": 0}, "channel is 0; use 1 for the first"),
        ({"annotation_column": "Call"}, "no column 'Call'; its columns are Selection, View"),
        ({"min_overlap": "9s"}, None),
    ],
)
def test_wrong_arguments(tmp_path, options, message):
    recording(tmp_path / "a.wav", row(0, 1))
    if message is None:
        assert load(tmp_path, **options).labels == ("dog",)  # all of a shorter annotation
        return
    with pytest.raises(UserError, match=message):
        load(tmp_path, **options)


def test_no_tables_and_no_labels(tmp_path):
    audio(tmp_path / "a.wav")
    with pytest.raises(UserError, match="not the layout of raven .*looked for selection tables"):
        load(tmp_path)
    text(tmp_path / "a.txt", "Begin\tEnd\tLabel", "0:01\t0:02\tdog")
    with pytest.raises(UserError, match=r"a.txt: its first line has no columns Begin Time \(s\)"):
        load(tmp_path)
    text(tmp_path / "a.txt", HEADING)
    with pytest.raises(UserError, match="no window has a label; its 1 recordings have 0 annot"):
        load(tmp_path)


def test_tables_without_any_recording(tmp_path):
    table = text(tmp_path / "a.selections.txt", HEADING, row(0, 1))
    for source in (tmp_path, table):
        with pytest.raises(
            UserError, match="none of the 1 tables of .* no recording beside it has"
        ):
            load(source)


def test_labels_that_differ_in_capitals(tmp_path):
    recording(tmp_path / "a.wav", row(0, 1), row(1, 2, "Dog"))
    with pytest.raises(UserError, match="labels 'Dog' and 'dog' differ in capital letters alone"):
        load(tmp_path)


@pytest.mark.parametrize("style, end", [("raven", ".selections.txt"), ("audacity", ".txt")])
def test_what_predict_writes_can_be_read(tmp_path, style, end):
    """A timeline, corrected in Raven or Audacity, becomes training data."""
    audio(tmp_path / "a b.wav", 4)
    ones = np.ones(1, np.float32)
    with open(tmp_path / f"a b{end}", "w", encoding="utf-8") as file:
        recording = TabledRecording("elsewhere/a b.wav", 8000, 4.0)
        lines = timeline(style, file, recording, ["owl"], top=1, threshold=0.5, hop_s=1.0)
        for start_s, probability in ((0, 0.9), (1, 0.9), (2, 0.1), (3, 0.1)):
            chances = ones * np.float32(probability)
            lines.add(Window(start_s, start_s + 1, *[chances] * 5, 0.0, 0.0, 0.0))
        lines.close()
    source = load(tmp_path)
    assert list(labels(source).values()) == [("owl",), ("owl",), (), ()]
    assert kinds(source) == ([] if style == "raven" else ["probability-left-out"])


def run(*arguments):
    return CliRunner().invoke(main, [str(x) for x in arguments])


def test_the_command(tmp_path):
    recordings = tmp_path / "recordings"
    for number in range(5):
        more = ("fox",) if number > 2 else ("",)
        recording(recordings / f"{number}.wav", row(0, 1, more=more), heading=f"{HEADING}\tCall")
    asked = ("prepare", "raven", recordings, tmp_path / "out", "--holdout", 0.4, "--seed", 3)
    result = run(*asked, "--windows", 1, "--hop", 0.5, "--min-overlap", "80%")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:2] == [
        "5 recordings with tables, 5 annotations; 5 windows with a label, 20 without",
        f"{tmp_path / 'out'}: dataset recordings, multilabel, 1 labels, 25 clips of 1 s (0.01 h) at"
        " 32000 Hz",
    ]
    assert [line.split()[:2] for line in result.stdout.splitlines()[3:5]] == [
        ["test", "10"],
        ["train", "15"],
    ]
    result = run(*asked, "--dry-run", "--annotation-column", "Call", "--unlabelled", "drop")
    assert "Notice: " in result.stderr and "empty-annotation" in result.stderr
    assert "2 clips of 5 s" in result.stdout and "3 windows" not in result.stdout
    for wrong in (("--seconds", 2), ("--windows", 1, "--seconds", 2)):
        result = run(*asked, *wrong)
        assert result.exit_code == 1 and "seconds 2 and windows exclude" in result.stderr
    with open(tmp_path / "out/rejected.csv", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 1
