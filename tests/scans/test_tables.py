"""Tables of detections: columns by hand, and a round trip through the reader of `prepare raven`."""

import csv
import datetime
import os

import pytest

from tests.helpers.dataset_layouts import audio
from vipann_tf import datasets
from vipann_tf.datasets.selection_files import Detected, TabledRecording
from vipann_tf.datasets.selection_tables import read_table
from vipann_tf.errors import UserError
from vipann_tf.scans.tables import TABLE_FORMATS, write_tables

UTC = datetime.timezone.utc
# What a Raven table must have, by crowsetta's documentation of the format, and what Raven's own
# combined tables have.
RAVEN = [
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin Path",
    "Begin File",
    "File Offset (s)",
]


def detected(label, start_s, end_s, clock=None, mean=0.7):
    return Detected(label, start_s, end_s, 0.875, 0.0625, mean, clock)


@pytest.fixture
def season(tmp_path):
    """Three recordings of two recorders, of which one is silent, and their detections."""
    names = ("north/x.wav", "south/silent.wav", "south/x.wav")
    rates, lengths = (8000, 22050, 96000), (4.0, 2.5, 3.25)
    recordings = [
        TabledRecording(str(audio(tmp_path / "rec" / name, length, rate)), rate, length)
        for name, rate, length in zip(names, rates, lengths, strict=True)
    ]
    clock = datetime.datetime(2023, 5, 1, 5, 0, 1, 500000, UTC)
    found = {
        recordings[0].path: [detected("owl", 1.0, 2.0, clock), detected("rain,\tlight", 1.5, 4.01)],
        recordings[2].path: [detected("owl", 0.0, 1.25, clock.replace(tzinfo=None), None)],
    }
    return recordings, lambda recording: found.get(recording.path, [])


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_raven_tables(season, tmp_path):
    recordings, found = season
    paths = write_tables(tmp_path / "out", "raven", recordings, found)
    assert [os.path.relpath(path, tmp_path / "out").replace(os.sep, "/") for path in paths] == [
        "combined.selections.txt",
        "north/x.selections.txt",
        "south/silent.selections.txt",
        "south/x.selections.txt",
    ]
    rows = rows_of(paths[0])
    assert list(rows[0])[:10] == RAVEN
    north, south = recordings[0].path, recordings[2].path
    shown = [[row[name] for name in (*RAVEN, "Label", "Clock Time")] for row in rows]
    view, time = ["Spectrogram 1", "1"], "2023-05-01T05:00:01.500"
    assert shown == [
        ["1", *view, "1.000", "2.000", "50", "4000", north, "x.wav", "1.000", "owl", f"{time}Z"],
        ["2", *view, "1.500", "4.000", "50", "4000", north, "x.wav", "1.500", "rain, light", ""],
        # Behind 4 s and the silent 2.5 s.
        ["3", *view, "6.500", "7.750", "50", "14000", south, "x.wav", "0.000", "owl", time],
    ]
    numbers = [
        (row["Probability"], row["Mean Probability"], row["Epistemic (nats)"]) for row in rows
    ]
    assert numbers == [("0.8750", "0.7000", "0.0625")] * 2 + [("0.8750", "", "0.0625")]
    (alone,) = rows_of(paths[3])
    assert (alone["Selection"], alone["Begin Time (s)"]) == ("1", "0.000")
    assert rows_of(paths[2]) == []


def test_combined_tables_are_read_back(season, tmp_path):
    recordings, found = season
    table = write_tables(tmp_path / "out", "raven", recordings, found)[0]
    source = datasets.load("raven", table, windows=0.25, min_overlap="90%")
    heard = {(clip.path, clip.offset_s, label) for clip in source.clips for label in clip.labels}
    expected = {
        (recording.path, step / 4, " ".join(one.label.split()))
        for recording in recordings
        for one in found(recording)
        for step in range(int(one.start_s * 4), int(one.end_s * 4))
    }
    assert heard == expected and not source.rejected and not source.notices


def test_one_table_is_read_back(season, tmp_path):
    recordings, found = season
    paths = write_tables(tmp_path / "out", "raven", recordings, found)
    for recording, path in zip(recordings, paths[1:], strict=True):
        with open(path, encoding="utf-8") as file:
            table = read_table(file.read(), path)
        assert [(x.file, x.begin_s, x.label) for x in table.selections] == [
            (recording.path, one.start_s, " ".join(one.label.split())) for one in found(recording)
        ]


def test_audacity_tables(season, tmp_path):
    recordings, found = season
    paths = write_tables(tmp_path / "out", "audacity", recordings, found)
    texts = []
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            texts.append(file.read())
    assert texts == [
        "1.000000\t2.000000\towl 88 %\n1.500000\t4.010000\train, light 88 %\n",
        "",
        "0.000000\t1.250000\towl 88 %\n",
    ]
    assert [os.path.basename(path) for path in paths] == ["x.txt", "silent.txt", "x.txt"]


def test_csv_goes_back_into_prepare(season, tmp_path):
    recordings, found = season
    (path,) = write_tables(tmp_path / "out", "csv", recordings, found)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][4:] == ["probability", "mean_probability", "epistemic", "clock_time"]
    assert rows[1][:4] == [recordings[0].path, "owl", "1.000", "2.000"]
    assert rows[1][4:] == ["0.875000", "0.700000", "0.062500", "2023-05-01T05:00:01.500Z"]
    assert rows[2][1:4] == ["rain,\tlight", "1.500", "4.000"] and rows[3][5] == ""
    source = datasets.load("csv", path, ignore_columns=",".join(rows[0][4:]))
    assert {(clip.offset_s, *clip.labels) for clip in source.clips} == {
        (1.0, "owl"),
        (1.5, "rain, light"),
        (0.0, "owl"),
    }


@pytest.mark.parametrize(
    "rate, expansion, low, high",
    [
        (44100, 1, "50", "14000"),
        (28000, 1, "50", "14000"),
        (11025, 1, "50", "5512.5"),
        (8000, 1, "50", "4000"),
        (80, 1, "0", "40"),
        (384000, 10, "500", "140000"),  # a bat, heard ten times slower
        (250000, 10, "500", "125000"),
    ],
)
def test_frequencies_are_those_of_the_recording(tmp_path, rate, expansion, low, high):
    recording = TabledRecording("a.wav", rate, 9.0, expansion)
    path = write_tables(tmp_path, "raven", [recording], lambda _: [detected("owl", 1, 2)])[1]
    (row,) = rows_of(path)
    assert (row["Low Freq (Hz)"], row["High Freq (Hz)"]) == (low, high)
    assert float(high) <= rate / 2
    assert row["Begin Path"] == os.path.abspath("a.wav")


def test_no_table_takes_the_name_of_another(tmp_path):
    paths = ["/r/a.wav", "/r/a.flac", "/r/A.WAV", "/r/a.wav.wav", "/r/combined.wav", "/r/b/a.wav"]
    recordings = [TabledRecording(path, 8000, 1.0) for path in paths]
    tables = write_tables(tmp_path, "raven", recordings, lambda _: [])
    names = [os.path.relpath(table, tmp_path).replace(os.sep, "/") for table in tables]
    assert names == [
        "combined.selections.txt",
        "a.selections.txt",
        "a.flac.selections.txt",
        "A.WAV.selections.txt",
        "a.wav.wav.selections.txt",
        "combined.wav.selections.txt",
        "b/a.selections.txt",
    ]
    assert len({name.casefold() for name in names}) == 7


def test_no_table_leaves_its_folder(tmp_path):
    recordings = [
        TabledRecording(path, 8000, 1.0)
        for path in ("s3://bucket/x/../../../a.wav", "gs://other/b:c?.wav")
    ]
    paths = write_tables(tmp_path / "out", "audacity", recordings, lambda _: [])
    assert [os.path.relpath(path, tmp_path / "out").replace(os.sep, "/") for path in paths] == [
        "s3_/bucket/x/__/__/__/a.txt",
        "gs_/other/b_c_.txt",
    ]
    path = write_tables(tmp_path, "csv", recordings[:1], lambda _: [detected("owl", 0, 1)])[0]
    with open(path, encoding="utf-8") as file:
        assert "s3://bucket/x/../../../a.wav,owl" in file.read()


@pytest.mark.parametrize("style", TABLE_FORMATS)
def test_a_season_without_recordings(tmp_path, style):
    paths = write_tables(tmp_path, style, [], lambda _: [])
    assert len(paths) == (style != "audacity") and all(map(os.path.isfile, paths))


def test_detections_are_asked_for_one_recording_at_a_time(tmp_path):
    """A full season is not held; what a failure leaves is no half table."""
    recordings = [TabledRecording(f"/r/{n}.wav", 8000, 1.0) for n in range(3)]
    asked = []

    def found(recording):
        asked.append(recording.path)
        if len(asked) == 3:
            raise RuntimeError("disk")
        return iter([detected("owl", 0, 1)])

    with pytest.raises(RuntimeError, match="disk"):
        write_tables(tmp_path, "raven", recordings, found)
    finished = [name for name in os.listdir(tmp_path) if not name.endswith(".part")]
    assert sorted(finished) == ["0.selections.txt", "1.selections.txt"]


def test_the_style_is_checked(tmp_path):
    with pytest.raises(UserError, match="format is 'xlsx'; use raven, audacity, csv"):
        write_tables(tmp_path, "xlsx", [], lambda _: [])
