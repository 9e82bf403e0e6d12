"""What a scan refuses: other settings than it began with, and what it must not touch."""

import pathlib
import shutil

import pytest

from tests.helpers.recordings import events, wav
from tests.helpers.scanning import rows, run, small_units
from vipann_tf.files.locking import locked


class TestRefusals:
    @pytest.fixture
    def copy(self, scanned, tmp_path):
        return pathlib.Path(shutil.copytree(scanned[0], tmp_path / "copy"))

    def again(self, model, season, out, *arguments):
        with small_units():
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
