"""Scans that end in the middle: the same command goes on."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.scanning import run, same, small_units

pytestmark = pytest.mark.slow


def test_killed_and_interrupted_it_ends_with_the_same_rows(model, season, scanned, tmp_path):
    out = tmp_path / "killed"
    command = [
        *(sys.executable, "-c"),
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from vipann_tf.scans import plan; plan.UNIT_S = 8.0\n"
        "from vipann_tf.cli import run; run()",
        *("scan", model, str(season), "--out", str(out)),
    ]
    units = json.loads((scanned[0] / "scan.json").read_text())["units"]
    for wanted, number in ((1, signal.SIGKILL), (3, signal.SIGINT)):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        while process.poll() is None and len(list(out.glob("outcomes/*.json"))) < wanted:
            time.sleep(0.01)
        os.kill(process.pid, number)
        _, text = process.communicate()
    assert process.returncode in (130, 1), text  # 1: it was done before the signal came
    if process.returncode == 130:
        assert "Interrupted" in text, text
        assert json.loads((out / "scan.json").read_text())["complete"] is False
    before = {path: path.stat().st_mtime_ns for path in out.glob("windows/*.parquet")}
    assert 3 <= len(before) <= units
    with small_units():
        assert run(model, season, "--out", out).exit_code == 1
    same(scanned[0], out)
    done = [path for path in before if (out / "outcomes" / f"{path.stem}.json").exists()]
    kept = [path for path in done if path.stat().st_mtime_ns == before[path]]
    assert len(kept) >= 3  # finished units are never computed again
    assert not list(out.rglob("*.draft*"))


def test_half_written_files_of_a_killed_run_are_removed(model, season, scanned, tmp_path):
    copy = pathlib.Path(shutil.copytree(scanned[0], tmp_path / "copy"))
    (copy / "windows/part-000000.parquet.draft17").write_bytes(b"half")
    with small_units():
        run(model, season, "--out", copy)
    assert not list(copy.rglob("*.draft*"))
    same(scanned[0], copy)
