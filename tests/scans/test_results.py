"""What people take from a scan: times of day, tables, clips to verify."""

import csv
import datetime

import click.testing
import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest
import soundfile

from tests.helpers.recordings import events, wav
from vipann_tf import datasets
from vipann_tf.audio.decoding import read_audio
from vipann_tf.cli import main

NAMES = ("20230501_050000.wav", "SITE_20230502_213000.wav", "nothing.wav")


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    folder = tmp_path_factory.mktemp("season")
    for i, name in enumerate(NAMES):
        (folder / name).write_bytes(wav(events(6.0, seed=i)))
    return folder


@pytest.fixture(scope="module")
def scanned(model, season, tmp_path_factory):
    """A scan with everything, and what it printed."""
    out = tmp_path_factory.mktemp("scans") / "one"
    arguments = ["scan", model, str(season), "--out", str(out), "--threshold", "0.1"]
    for style in ("raven", "audacity", "csv"):
        arguments += ["--format", style]
    arguments += ["--extract", "2", "--timezone", "Europe/Berlin"]
    return out, click.testing.CliRunner().invoke(main, arguments)


def test_pandas_reads_it_in_one_line(scanned):
    out, _ = scanned
    for folder in ("windows", "detections"):
        table = pandas.read_parquet(out / folder)
        expected = pq.read_table(out / folder)
        assert list(table) == expected.column_names and len(table) == expected.num_rows > 0
        assert table["recording"].tolist() == expected["recording"].to_pylist()
        assert table["time_utc"].dtype == "datetime64[ms, UTC]"


def test_every_row_has_its_time(season, scanned):
    out, result = scanned
    assert result.exit_code == 0, result.output
    begins = {
        NAMES[0]: datetime.datetime(2023, 5, 1, 3, tzinfo=datetime.timezone.utc),
        NAMES[1]: datetime.datetime(2023, 5, 2, 19, 30, tzinfo=datetime.timezone.utc),
    }
    for folder in ("windows", "detections"):
        rows = pq.read_table(out / folder).to_pylist()
        assert {row["recording"] for row in rows} == {str(season / name) for name in NAMES}
        for row in rows:
            begin = begins.get(row["recording"].rsplit("/", 1)[1])
            if begin is None:
                assert row["time_utc"] is None and row["time_local"] is None
                continue
            milliseconds = datetime.timedelta(milliseconds=round(1000 * row["start_s"]))
            assert row["time_utc"] == begin + milliseconds
            summer = datetime.timedelta(hours=2)
            assert row["time_local"] == (begin + summer + milliseconds).replace(tzinfo=None)
    assert f"Notice: {season}/nothing.wav: no-time: " in result.stderr


def test_start_is_for_one_recording(model, season, tmp_path):
    runner, out = click.testing.CliRunner(), tmp_path / "out"
    command = ["scan", model, "--out", str(out), "--start", "2024-02-29T12:00:00+01:00"]
    result = runner.invoke(main, [*command, str(season)])
    assert result.exit_code == 1 and "but there are 3 recordings" in result.stderr
    result = runner.invoke(main, [*command, str(season / "nothing.wav")])
    assert result.exit_code == 0, result.output
    first = pq.read_table(out / "windows").to_pylist()[0]
    assert first["time_utc"].isoformat() == "2024-02-29T11:00:00+00:00"
    assert first["time_local"].isoformat() == "2024-02-29T12:00:00"


def test_tables_hold_the_detections(season, scanned):
    out, _ = scanned
    detections = pq.read_table(out / "detections").to_pylist()
    with open(out / "tables/raven/combined.selections.txt", encoding="utf-8") as file:
        raven = list(csv.DictReader(file, delimiter="\t"))
    with open(out / "tables/csv/detections.csv", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    expected = sorted((x["recording"], x["label"], round(x["start_s"], 3)) for x in detections)
    assert expected
    assert expected == sorted((x["filename"], x["label"], float(x["start_s"])) for x in table)
    assert expected == sorted(
        (x["Begin Path"], x["Label"], float(x["File Offset (s)"])) for x in raven
    )
    assert all(float(x["High Freq (Hz)"]) <= 22_050 for x in raven)
    assert sorted(path.name for path in (out / "tables/audacity").iterdir()) == sorted(
        name.replace(".wav", ".txt") for name in NAMES
    )


def test_clips_are_the_sound_and_come_back_by_prepare_csv(scanned, season):
    out, result = scanned
    with open(out / "clips/clips.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    detections = pq.read_table(out / "detections").to_pylist()
    per_label = {x["label"]: sum(y["label"] == x["label"] for y in detections) for x in detections}
    assert len(rows) == sum(min(2, count) for count in per_label.values())
    assert f"Wrote {len(rows)} clips" in result.stdout
    for row in rows:
        waveform, rate = soundfile.read(out / "clips" / row["filename"], dtype="float32")
        start_s = float(row["filename"].rsplit("_", 1)[1].removesuffix(".wav"))
        expected = read_audio(row["group"], 44_100, start_s, 2.0)
        assert rate == 44_100  # that of the recording: ultrasound stays
        np.testing.assert_allclose(waveform, expected, atol=2 / 32768)
        # The best ones of the label.
        best = sorted(x["probability"] for x in detections if x["label"] == row["labels"])[-2:]
        assert float(row["notes"].split()[1].rstrip(",")) >= min(best) - 1e-3
    source = datasets.load("csv", out / "clips/clips.csv", task="multilabel")
    assert sorted(clip.path for clip in source.clips) == sorted(
        str(out / "clips" / row["filename"]) for row in rows
    )
    assert {clip.group for clip in source.clips} <= {str(season / name) for name in NAMES}


@pytest.mark.parametrize("choice", ["random", "uncertain"])
def test_other_choices_of_clips(model, season, scanned, choice):
    out, _ = scanned
    arguments = ["scan", model, str(season), "--out", str(out), "--threshold", "0.1"]
    arguments += ["--extract", "1", "--extract-by", choice, "--timezone", "Europe/Berlin"]
    result = click.testing.CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    with open(out / "clips/clips.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    detections = pq.read_table(out / "detections").to_pylist()
    assert len(rows) == len({x["label"] for x in detections})
    if choice == "uncertain":
        for row in rows:
            worst = max(x["epistemic"] for x in detections if x["label"] == row["labels"])
            assert float(row["notes"].split()[3]) == pytest.approx(worst, abs=1e-3)
