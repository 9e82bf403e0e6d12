"""Presence by recorder and period: of windows that share no sound, whatever file holds them."""

import csv
import dataclasses
import itertools

import click.testing
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers.recordings import events, wav
from tests.helpers.written_scans import MAY, UTC, Heard, season, write_scan
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.saved_model.connection import connect
from vipann_tf.scans.presence import measure_presence


@pytest.fixture(scope="module")
def recordings():
    rng = np.random.default_rng(5)
    return [
        dataclasses.replace(
            x,
            draws=(rng.random([len(x.windows), 3]) ** 3).tolist(),
            detections=[("a", x.windows[0][0])],
        )
        for x in season(7)
    ]


def by_hand(recordings, hours):
    """The definition, window by window."""
    absent, counts = {}, {}
    for x in recordings:
        reached = 0.0
        for (start, end, _), draws in zip(x.windows, x.draws, strict=True):
            if start < reached:
                continue
            reached = end
            begin = x.local or x.utc
            period = ""
            if begin is not None and hours:
                seconds = (begin.replace(tzinfo=UTC) - MAY.replace(tzinfo=UTC)).total_seconds()
                period = int((seconds + start) // (hours * 3600))
            key = x.path.rsplit("/", 1)[0], period
            absent[key] = absent.get(key, 1) * (1 - np.array(draws, np.float32).astype(float))
            counts[key] = counts.get(key, 0) + 1
    return absent, counts


@pytest.mark.parametrize("period, hours", [("day", 24), ("hour", 1), ("all", 0)])
def test_as_the_definition_says(recordings, tmp_path, period, hours):
    scan = write_scan(tmp_path / "scan", recordings)
    found = measure_presence(scan, period=period)
    absent, counts = by_hand(recordings, hours)

    def key(row):
        if not row.period:
            return row.recorder, ""
        seconds = np.datetime64(row.period, "s") - np.datetime64(MAY, "s")
        return row.recorder, int(seconds.astype(int) // (hours * 3600))

    assert len(found) == len(absent)
    for row in found:
        assert row.probability == pytest.approx(1 - absent[key(row)].mean(), abs=1e-9)
        assert row.low <= row.probability <= row.high or row.high - row.low < 1e-9
        assert row.windows == counts[key(row)]
    assert [(x.recorder, x.period) for x in found] == sorted((x.recorder, x.period) for x in found)


def test_files_of_any_size_give_the_same(recordings, tmp_path):
    one, other = (
        measure_presence(write_scan(tmp_path / str(rows), recordings, rows_per_file=rows))
        for rows in (2, 500)
    )
    for a, b in itertools.zip_longest(one, other):
        assert (a.recorder, a.period, a.windows) == (b.recorder, b.period, b.windows)
        assert a.probability == pytest.approx(b.probability, abs=1e-12)


def run(*arguments):
    return click.testing.CliRunner().invoke(main, [*map(str, arguments)])


def test_command_from_sound_to_table(model, tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    (folder / "20230501_235958.wav").write_bytes(wav(events(6.0)))
    out = tmp_path / "scan"
    assert run("scan", model, folder, "--out", out).exit_code == 0
    refused = run("presence", out)
    assert refused.exit_code == 1 and "scan again with --keep-draws" in refused.stderr
    again = run("scan", model, folder, "--out", out, "--keep-draws")
    assert again.exit_code == 1 and "draws was False and is True" in again.stderr
    result = run("scan", model, folder, "--out", out, "--keep-draws", "--overwrite")
    assert result.exit_code == 0, result.output
    labels = connect(model).labels
    rows = pq.read_table(out / "windows").to_pylist()
    for row in rows:
        for label in labels:
            drawn = row[f"draws.{label}"]
            assert np.mean(drawn) == pytest.approx(row[f"probability.{label}"], abs=1e-6)
    result = run("presence", out, "--out", tmp_path / "mine.csv")
    assert result.exit_code == 0, result.output
    with open(tmp_path / "mine.csv", encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    # The windows at 0, 2 and 4 s share no sound; midnight lies at the second.
    assert [row["windows"] for row in written if row["label"] == labels[0]] == ["1", "2"]
    assert {row["period"] for row in written} == {"2023-05-01", "2023-05-02"}
    p = [row[f"probability.{labels[0]}"] for row in rows if row["start_s"] in (2.0, 4.0)]
    (mine,) = [x for x in written if x["label"] == labels[0] and x["period"] == "2023-05-02"]
    assert float(mine["probability"]) == pytest.approx(1 - np.prod([1 - x for x in p]), abs=1e-5)
    assert f"Wrote {tmp_path / 'mine.csv'} ({2 * len(labels)} rows)" in result.stdout


def test_what_has_no_presence(tmp_path):
    scan = write_scan(tmp_path / "scan", [Heard("/r/1.wav", [(0.0, 2.0, 0.1)], [("a", 0.0)])])
    with pytest.raises(UserError, match="has no draws"):
        measure_presence(scan)
    with pytest.raises(UserError, match="period is 'week'; use one of hour, day, all"):
        measure_presence(scan, period="week")
    with pytest.raises(UserError, match="is no scan"):
        measure_presence(tmp_path)
