"""The package runs where Python has less than on Linux, and the console fewer letters."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow

ELSEWHERE = ROOT / "tests" / "helpers" / "elsewhere"


def test_first_steps_without_what_linux_alone_has(tmp_path):
    """With the console of a Western European Windows, where no encoding is UTF-8 unless asked."""
    paths = [str(ELSEWHERE), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONIOENCODING": "cp1252",
        "PYTHONWARNDEFAULTENCODING": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    run = subprocess.run(
        [sys.executable, str(ELSEWHERE / "first_steps.py"), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        encoding="cp1252",
    )
    assert run.returncode == 0, run.stderr
    clip = tmp_path / "Ω → 鳥.wav"
    shown = str(clip).encode("cp1252", "backslashreplace").decode("cp1252")
    lines = run.stdout.splitlines()
    assert f"{shown} (1.0 s)" in lines
    (document,) = (json.loads(line) for line in lines if line.startswith("{"))
    assert document["file"] == str(clip)
    ours = [line for line in run.stderr.splitlines() if str(ROOT / "vipann_tf") in line]
    assert not [line for line in ours if "EncodingWarning" in line]
