"""Scans as a whole: the answers, whoever computes them and whatever happens on the way."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers.scanning import rows, run, same
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.timeline import Listener

COLUMNS = ("probability", "aleatoric", "epistemic")


def test_rows_are_the_answers_of_predict(model, season, scanned):
    out, _ = scanned
    found = rows(out)
    labels = connect(model).labels
    listener = Listener(connect(model), window_s=2.0, hop_s=1.0)
    for name in ("a/long.wav", "b/coded.flac"):
        path = str(season / name)
        mine = [i for i, recording in enumerate(found["recording"]) if recording == path]
        expected = list(listener.listen(path))
        assert [found["start_s"][i] for i in mine] == pytest.approx(
            [window.start_s for window in expected], abs=1e-4
        )
        for i, window in zip(mine, expected, strict=True):
            for column, values in zip(
                COLUMNS,
                (window.probabilities, window.label_aleatoric, window.label_epistemic),
                strict=True,
            ):
                ours = [found[f"{column}.{label}"][i] for label in labels]
                np.testing.assert_allclose(ours, values, atol=1e-5)
            assert found["total"][i] == pytest.approx(window.total, abs=1e-5)


def test_what_became_of_the_recordings(season, scanned):
    out, result = scanned
    assert result.exit_code == 1  # not all could be heard to their end
    table = {row["recording"]: row for row in pq.read_table(out / "recordings.parquet").to_pylist()}
    names = [
        "a/long.wav",
        "a/short.wav",
        "b/coded.flac",
        "b/damaged.wav",
        "b/half.wav",
        "b/text.wav",
    ]
    assert sorted(table) == [str(season / name) for name in names]
    state = {name: table[str(season / name)] for name in names}
    assert [state[name]["windows"] for name in names[:3]] == [18, 1, 5]
    assert state["a/long.wav"]["heard_s"] == pytest.approx(18.3, abs=1e-3)
    # It is damaged at 6 s; the unit behind it is answered from 7 s on.
    assert state["b/damaged.wav"]["heard_s"] < 8
    assert "non-finite" in state["b/damaged.wav"]["error"]
    assert "length: it holds" in state["b/half.wav"]["notices"]
    assert "not audio but text" in state["b/text.wav"]["error"]
    assert result.stderr.count("Error: ") == 2
    assert f"Notice: {season}/b/half.wav: length: " in result.stderr
    assert json.loads((out / "scan.json").read_text())["complete"] is True


def test_detections_lie_in_their_windows(scanned):
    out, result = scanned
    found = pq.read_table(out / "detections").to_pylist()
    windows = rows(out)
    assert found, "a threshold that something reaches"
    for row in found:
        values = [
            windows[f"probability.{row['label']}"][i]
            for i, recording in enumerate(windows["recording"])
            if recording == row["recording"]
            and windows["start_s"][i] < row["end_s"]
            and windows["end_s"][i] > row["start_s"]
        ]
        assert row["probability"] == pytest.approx(max(values)) and row["probability"] >= 0.2
        assert 0 <= row["start_s"] < row["end_s"]
    assert f"{out}: 6 recordings" in result.stdout


def test_units_and_workers_give_the_same_rows(model, season, scanned, tmp_path):
    run(model, season, "--out", tmp_path / "whole")
    same(scanned[0], tmp_path / "whole")
    result = run(model, season, "--out", tmp_path / "two", "--workers", "2")
    assert result.exit_code == 1, result.output
    same(scanned[0], tmp_path / "two")


def test_some_labels_and_embeddings(model, season, tmp_path):
    label = connect(model).labels[1]
    out = tmp_path / "out"
    result = run(model, season / "a", "--out", out, "--labels", label, "--embeddings")
    assert result.exit_code == 0, result.output
    table = pq.read_table(out / "windows")
    assert [name for name in table.column_names if "." in name] == [f"{x}.{label}" for x in COLUMNS]
    (path,) = [str(season / "a/short.wav")]
    from vipann_tf.audio.decoding import read_audio

    waveform = read_audio(path, 32_000)[None]
    expected = connect(model).endpoint.ask("embed", {"waveform": waveform})["embedding"][0]
    (mine,) = [row for row in table.to_pylist() if row["recording"] == path]
    np.testing.assert_allclose(mine["embedding"], expected, atol=1e-5)


def test_recordings_by_pattern_list_and_name(model, season, tmp_path):
    listed = season / "list.csv"
    listed.write_text("filename,note\na/short.wav,x\n")
    for names, count in (
        ([season / "*/*.wav"], 5),
        ([season / "a", season / "a/short.wav"], 2),
        ([listed], 1),
    ):
        result = run(model, *names, "--out", tmp_path / "x", "--dry-run")
        assert result.exit_code == 0, result.output
        found = result.stderr.count("Error: ")
        assert f"of {count - found} recordings" in result.stdout
        assert re.search(r"^Estimated time, .*: 0:00:\d\d$", result.stdout, re.M)
    listed.unlink()
    assert not (tmp_path / "x").exists()
