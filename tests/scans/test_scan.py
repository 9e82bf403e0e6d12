"""Scans as a whole: the answers, whoever computes them and whatever happens on the way."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import click.testing
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers.recordings import encode, events, wav
from vipann_tf.cli import main
from vipann_tf.files.locking import locked
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.timeline import Listener
from vipann_tf.scans import plan as plan_module

COLUMNS = ("probability", "aleatoric", "epistemic")


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    """Recordings of several formats and lengths, a damaged one and a text that is called WAV."""
    folder = tmp_path_factory.mktemp("season")
    damaged = events(9.0)
    damaged[6 * 44_100] = np.nan
    contents = {
        "a/long.wav": wav(np.concatenate([events(11.0), 0.1 * events(7.3)])),
        "a/short.wav": wav(events(1.2)),
        "b/coded.flac": encode(events(6.0), "flac", "flac"),
        "b/damaged.wav": wav(damaged, subtype="FLOAT"),
        "b/half.wav": wav(events(8.0))[:400_000],
        "b/text.wav": b"not audio",
        "b/notes.txt": b"beside them",
    }
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def run(*arguments):
    return click.testing.CliRunner().invoke(main, ["scan", *map(str, arguments)])


def rows(out):
    """All windows of a scan, as columns."""
    return pq.read_table(out / "windows").to_pydict()


@pytest.fixture(scope="module")
def scanned(model, season, tmp_path_factory):
    """A scan in one process, in units of eight seconds, and what it printed."""
    out = tmp_path_factory.mktemp("scans") / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "UNIT_S", 8.0)
        result = run(model, season, "--out", out, "--threshold", "0.2")
    return out, result


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


def same(first, second):
    first, second = rows(first), rows(second)
    assert first.keys() == second.keys()
    assert first["recording"] == second["recording"] and first["start_s"] == second["start_s"]
    for name in first:
        if name.startswith("time"):
            assert first[name] == second[name]
        elif name != "recording":
            np.testing.assert_allclose(first[name], second[name], atol=1e-6)


def test_units_and_workers_give_the_same_rows(model, season, scanned, tmp_path):
    run(model, season, "--out", tmp_path / "whole")
    same(scanned[0], tmp_path / "whole")
    result = run(model, season, "--out", tmp_path / "two", "--workers", "2")
    assert result.exit_code == 1, result.output
    same(scanned[0], tmp_path / "two")


def test_killed_again_and_again_it_ends_with_the_same_rows(model, season, scanned, tmp_path):
    out = tmp_path / "killed"
    command = [
        *(sys.executable, "-c"),
        "import sys; from vipann_tf.scans import plan; plan.UNIT_S = 8.0\n"
        "from vipann_tf.cli import main; main(sys.argv[1:])",
        *("scan", model, str(season), "--out", str(out)),
    ]
    units = json.loads((scanned[0] / "scan.json").read_text())["units"]
    for wanted in (1, 3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(out.glob("outcomes/*.json"))) < wanted:
            time.sleep(0.01)
        process.kill()
        process.wait()
    before = {path: path.stat().st_mtime_ns for path in out.glob("windows/*.parquet")}
    assert 3 <= len(before) <= units
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "UNIT_S", 8.0)
        assert run(model, season, "--out", out).exit_code == 1
    same(scanned[0], out)
    done = [path for path in before if (out / "outcomes" / f"{path.stem}.json").exists()]
    kept = [path for path in done if path.stat().st_mtime_ns == before[path]]
    assert len(kept) >= 3  # finished units are never computed again
    assert not list(out.rglob("*.draft*"))


def test_half_written_files_of_a_killed_run_are_removed(model, season, scanned, tmp_path):
    copy = pathlib.Path(shutil.copytree(scanned[0], tmp_path / "copy"))
    (copy / "windows/part-000000.parquet.draft17").write_bytes(b"half")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "UNIT_S", 8.0)
        run(model, season, "--out", copy)
    assert not list(copy.rglob("*.draft*"))
    same(scanned[0], copy)


class TestRefusals:
    @pytest.fixture
    def copy(self, scanned, tmp_path):
        return pathlib.Path(shutil.copytree(scanned[0], tmp_path / "copy"))

    def again(self, model, season, out, *arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan_module, "UNIT_S", 8.0)
            return run(model, season, "--out", out, *arguments)

    @pytest.mark.parametrize(
        "arguments, message",
        [
            (["--hop", "0.5"], "hop_s was 1.0 and is 0.5"),
            (["--window", "1.5"], "window_s was 2.0 and is 1.5"),
            (["--channel", "2"], "channel was 'mix' and is 2"),
            (["--embeddings"], "embeddings was False and is True"),
        ],
    )
    def test_other_settings_are_named(self, model, season, copy, arguments, message):
        result = self.again(model, season, copy, *arguments)
        assert result.exit_code == 1 and message in result.stderr
        assert (copy / "windows").is_dir()  # nothing is lost

    def test_other_recordings_are_named(self, model, season, copy, tmp_path):
        more = tmp_path / "more.wav"
        more.write_bytes(wav(events(1.0)))
        result = run(model, season, more, "--out", copy)
        assert result.exit_code == 1 and f"the recording {more} is new" in result.stderr

    def test_a_finished_scan_is_told_again_with_another_threshold(self, model, season, copy):
        before = [path.stat().st_mtime_ns for path in sorted(copy.glob("windows/*"))]
        result = self.again(model, season, copy, "--threshold", "1")
        assert "No label reached the threshold." in result.stdout
        assert before == [path.stat().st_mtime_ns for path in sorted(copy.glob("windows/*"))]

    def test_overwrite_starts_anew(self, model, season, copy):
        result = run(model, season / "a", "--out", copy, "--overwrite", "--hop", "2")
        assert result.exit_code == 0, result.output
        assert len(rows(copy)["start_s"]) == 11

    def test_nothing_is_removed_from_a_run_that_is_alive(self, model, season, copy):
        with locked(copy):
            result = run(model, season, "--out", copy, "--overwrite")
        assert result.exit_code == 1 and "another run is making" in result.stderr
        assert len(list(copy.glob("windows/*.parquet"))) > 1

    @pytest.mark.parametrize("content", ["", "{}", '{"settings": 1}', "[1, 2]"])
    def test_a_damaged_state_is_one_line(self, model, season, copy, content):
        (copy / "scan.json").write_text(content)
        result = run(model, season, "--out", copy)
        assert result.exit_code == 1 and "--overwrite" in result.stderr, result.output

    def test_another_directory_is_left_alone(self, model, season, tmp_path):
        (tmp_path / "mine").write_text("")
        result = run(model, season, "--out", tmp_path, "--overwrite")
        assert result.exit_code == 1 and "is no scan's directory" in result.stderr

    def test_wrong_arguments(self, model, season, tmp_path):
        for arguments, message in {
            ("--labels", "nothing"): "label 'nothing' is unknown; the model has",
            ("--hop", "0"): "hop is 0 s; use 0.01 s or more",
            ("--window", "0.5"): "window is 0.5 s; use 1 s or more",
            ("--workers", "0"): "workers is 0; use 1 or more",
        }.items():
            result = run(model, season, "--out", tmp_path / "out", *arguments)
            assert result.exit_code == 1 and message in result.stderr
        result = run(model, tmp_path, "--out", tmp_path / "out")
        assert result.exit_code == 1 and "gives no recording" in result.stderr


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


def test_an_interrupt_leaves_a_scan_that_goes_on(model, season, tmp_path):
    out = tmp_path / "out"
    command = [
        *(sys.executable, "-c"),
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from vipann_tf.scans import plan; plan.UNIT_S = 8.0\n"
        "from vipann_tf.cli import run; run()",
        *("scan", model, str(season), "--out", str(out)),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(out.glob("outcomes/*.json")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, text = process.communicate()
    assert process.returncode in (130, 1), text  # 1: it was done before the signal came
    if process.returncode == 130:
        assert "Interrupted" in text, text
        assert json.loads((out / "scan.json").read_text())["complete"] is False
