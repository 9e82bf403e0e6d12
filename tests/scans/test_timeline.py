"""The picture of one recording of a scan."""

import json
import os
import re

import click.testing
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers.recordings import events, wav
from vipann_tf.cli import main
from vipann_tf.saved_model.timeline import BAND
from vipann_tf.scans import timeline


def run(*arguments, status=0):
    result = click.testing.CliRunner().invoke(main, [str(x) for x in arguments])
    assert result.exit_code == status, result.output + repr(result.exception)
    return result


@pytest.fixture(scope="module")
def scan(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("timeline")
    (folder / "north").mkdir()
    (folder / "south").mkdir()
    for i, name in enumerate(("north/20230501_050000.wav", "south/20230501_050000.wav", "b.wav")):
        (folder / name).write_bytes(wav(events(6.0, seed=i)))
    (folder / "broken.wav").write_text("no sound")
    run(
        "scan",
        model,
        folder,
        "--out",
        folder / "scan",
        "--threshold",
        0.1,
        "--keep-draws",
        status=1,
    )
    return folder / "scan"


def shown(page):
    return json.loads(
        re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.S).group(1)
    )


def test_it_shows_what_the_scan_has(scan, tmp_path):
    out = tmp_path / "a.html"
    path = str(scan.parent / "south" / "20230501_050000.wav")
    told = run("timeline", scan, "south/20230501_050000.wav", "--out", out).output
    data = shown(out)
    detections = [
        x for x in pq.read_table(scan / "detections").to_pylist() if x["recording"] == path
    ]
    assert detections and told == f"Wrote {out} ({len(detections)} detections)\n"
    expected = sorted((x["label"], x["start_s"], x["end_s"]) for x in detections)
    marks = [(x["label"], *mark[:2]) for x in data["lanes"] for mark in x["marks"]]
    assert [x[0] for x in sorted(marks)] == [x[0] for x in expected]
    np.testing.assert_allclose([x[1:] for x in sorted(marks)], [x[1:] for x in expected], atol=1e-3)
    assert data["begin_ms"] == np.datetime64("2023-05-01T05:00:00", "ms").astype(int)
    assert data["seconds"] == 6 and len(data["sounds"]) == 1


def test_bands_are_those_of_the_draws(scan):
    name = str(scan.parent / "b.wav")
    settings = json.loads((scan / "scan.json").read_text("utf-8"))["settings"]
    windows = list(timeline._windows(str(scan), name, settings))
    rows = [x for x in pq.read_table(scan / "windows").to_pylist() if x["recording"] == name]
    assert [w.start_s for w in windows] == [row["start_s"] for row in rows]
    for window, row in zip(windows, rows, strict=True):
        for i, label in enumerate(settings["labels"]):
            assert window.probabilities[i] == np.float32(row[f"probability.{label}"])
            ends = np.quantile(np.float32(row[f"draws.{label}"]), BAND)
            np.testing.assert_allclose((window.low[i], window.high[i]), ends, rtol=1e-6)


@pytest.mark.parametrize(
    "recording, out, message",
    [
        ("20230501_050000.wav", "a.png", "2 recordings of .* end in 20230501_050000.wav"),
        ("c.wav", "a.png", "has no recording c.wav; it has .*b.wav"),
        ("broken.wav", "a.png", "broken.wav was not heard: undecodable"),
        ("b.wav", "a.pdf", "out is '.*a.pdf'; let its name end in .png"),
        ("b.wav", "none/a.png", "there is no directory"),
    ],
)
def test_refusals(scan, tmp_path, recording, out, message):
    result = run("timeline", scan, recording, "--out", tmp_path / out, status=1)
    assert re.search(message, result.stderr)


def test_another_sound_under_the_same_name_is_refused(scan, tmp_path):
    path = scan.parent / "b.wav"
    content, before = path.read_bytes(), path.stat()
    try:
        path.write_bytes(content + b"\0\0")
        result = run("timeline", scan, path, "--out", tmp_path / "a.png", status=1)
        assert "has changed since it was scanned" in result.stderr
        path.unlink()
        result = run("timeline", scan, path, "--out", tmp_path / "a.png", status=1)
        assert "the picture needs the sound: put it back" in result.stderr
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    run("timeline", scan, path, "--out", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    state = scan / "scan.json"
    text = state.read_text("utf-8")
    try:
        state.write_text(re.sub(r'"thresholds": \[.*?\],', "", text, flags=re.S), "utf-8")
        result = run("timeline", scan, path, "--out", tmp_path / "a.png", status=1)
        assert "give the same scan command again" in result.stderr
    finally:
        state.write_text(text, "utf-8")
