"""Preparations that were interrupted, killed, or ran out of disk."""

import errno
import os
import random
import subprocess
import sys
import time

import pytest

from tests.helpers import slow_preparation
from tests.helpers.paths import ROOT
from tests.helpers.prepared import contents
from vipann_tf.errors import UserError
from vipann_tf.records.prepare import prepare


def test_killed_again_and_again(tmp_path):
    """benchmarks/hostile_data.py does this ten times to real recordings."""
    chance = random.Random(2)
    prepare(slow_preparation.source(), tmp_path / "undisturbed", workers=1)
    command = [sys.executable, "-m", "tests.helpers.slow_preparation", str(tmp_path / "out"), "2"]
    for _ in range(2):
        process = subprocess.Popen(command, cwd=ROOT)
        time.sleep(chance.uniform(1.0, 3.0))
        process.kill()
        process.wait()
        if (tmp_path / "out").exists():
            break  # done before the signal came
    if not (tmp_path / "out").exists():
        subprocess.run(command, check=True, cwd=ROOT)
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")
    assert sorted(os.listdir(tmp_path)) == ["out", "undisturbed"]


decoded: list[str] = []


def counting(clip, sample_rate_hz):
    decoded.append(clip.clip_id)
    if len(decoded) == 33:
        raise KeyboardInterrupt
    return slow_preparation.decode(clip, sample_rate_hz)


def test_an_interrupted_run_is_gone_on_with(tmp_path):
    decoded.clear()
    source = slow_preparation.source(counting)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    seen = []
    prepare(source, tmp_path / "out", on_progress=lambda done, total: seen.append((done, total)))
    assert seen[0][0] >= 20 and seen[-1] == (60, 60)
    assert 60 < len(decoded) < 80
    prepare(slow_preparation.source(), tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_an_interrupted_run_with_other_settings_is_not(tmp_path):
    decoded.clear()
    with pytest.raises(KeyboardInterrupt):
        prepare(slow_preparation.source(counting), tmp_path / "out", seconds=0.25)
    prepare(slow_preparation.source(counting), tmp_path / "out", shards=3)
    assert len(decoded) == 33 + 60
    prepare(slow_preparation.source(), tmp_path / "undisturbed", shards=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_a_worker_that_dies_is_noticed(tmp_path):
    with pytest.raises(UserError, match="a worker process died .*return code 7.*resumes where"):
        prepare(slow_preparation.source(slow_preparation.dying), tmp_path / "out", workers=2)
    assert not (tmp_path / "out").exists()


def disk_full(clip, sample_rate_hz):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(UserError, match="No space left on device: .*out needs about 0.0 GB"):
        prepare(slow_preparation.source(disk_full), tmp_path / "out")
