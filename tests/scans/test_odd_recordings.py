"""Recordings that are odd: very short ones, names in other encodings, files that are not taken."""

import os
import sys

import click.testing
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers.recordings import events, wav
from vipann_tf.cli import main
from vipann_tf.scans import recordings as recordings_module
from vipann_tf.scans.recordings import find_recordings, measure


def scan(model, *arguments):
    return click.testing.CliRunner().invoke(main, ["scan", model, *map(str, arguments)])


def test_a_recording_that_is_too_short_for_the_network_says_that_it_is_padded(model, tmp_path):
    """Its embedding, too, is that of the padded sound."""
    path = tmp_path / "short.wav"
    path.write_bytes(wav(events(0.5)))
    result = scan(model, path, "--out", tmp_path / "out", "--embeddings")
    assert result.exit_code == 0, result.output
    assert f"Notice: {path}: padded: 0.50 s of sound, then 0.50 s of zeros" in result.stderr
    (row,) = pq.read_table(tmp_path / "out/windows").to_pylist()
    assert row["end_s"] == pytest.approx(0.5) and np.isfinite(row["embedding"]).all()
    result = click.testing.CliRunner().invoke(
        main, ["predict", model, str(path), "--window", "2", "--format", "csv"]
    )
    assert f"Notice: {path}: padded: 0.50 s of sound" in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have names in Unicode alone")
def test_a_name_that_is_not_utf_8(model, tmp_path):
    folder = tmp_path / "season"
    folder.mkdir()
    name = os.fsdecode(b"caf\xe9_20230501_050000.wav")
    (folder / name).write_bytes(wav(events(4.0)))
    arguments = [folder, "--out", tmp_path / "out", "--threshold", "0.05", "--extract", "1"]
    result = scan(model, *arguments, "--format", "raven", "--timezone", "UTC")
    assert result.exit_code == 0, result.output
    shown = str(folder / "caf\\udce9_20230501_050000.wav")
    for table in ("windows", "detections", "recordings.parquet"):
        rows = pq.read_table(tmp_path / "out" / table).to_pylist()
        assert rows and {row["recording"] for row in rows} == {shown}
    assert list((tmp_path / "out/clips").rglob("*.wav"))


def test_files_of_a_folder_that_are_not_taken_are_noticed(tmp_path):
    for name in ("a.wav", "b.wav.part", "c.raw", "notes.txt", "noext"):
        (tmp_path / name).write_bytes(wav(events(0.5)))
    found, notices = find_recordings([str(tmp_path)])
    assert found == [str(tmp_path / "a.wav")]
    assert sorted((os.path.basename(x.path), x.kind) for x in notices) == [
        ("b.wav.part", "unknown-suffix"),
        ("c.raw", "headerless"),
        ("noext", "unknown-suffix"),
    ]


def test_whatever_a_decoder_raises_is_the_error_of_one_recording(tmp_path, monkeypatch):
    def fails(file):
        raise RuntimeError("a decoder's own")

    monkeypatch.setattr(recordings_module, "open_recording", fails)
    found = measure(str(tmp_path / "a.wav"))
    assert (found.length_s, found.error) == (0, "undecodable: RuntimeError: a decoder's own")


def test_a_list_in_another_encoding_is_one_line(model, tmp_path):
    (tmp_path / "list.csv").write_bytes("filename\ncaf\u00e9.wav\n".encode("latin-1"))
    result = scan(model, tmp_path / "list.csv", "--out", tmp_path / "out")
    assert result.exit_code == 1 and "is not UTF-8 text" in result.stderr
