"""Preparations that were interrupted, killed, or ran out of disk."""

import errno
import functools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers import slow_preparation
from tests.helpers.paths import ROOT
from tests.helpers.prepared import contents
from vipann_tf.errors import UserError
from vipann_tf.records.plan import plan_shards
from vipann_tf.records.prepare import prepare

pytestmark = pytest.mark.slow


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


def test_a_worker_that_dies_is_noticed(tmp_path, monkeypatch):
    source = slow_preparation.source(slow_preparation.dying)
    (shard,) = (
        shard.name
        for shard in plan_shards(source).shards
        if any(clip.clip_id == "13" for clip in shard.clips)
    )
    message = rf"a worker process died .exit status 7. while it wrote {shard}, .* resumes where"
    with pytest.raises(UserError, match=message):
        prepare(source, tmp_path / "out", workers=2)
    assert not (tmp_path / "out").exists() and not multiprocessing.active_children()

    monkeypatch.setenv("SURVIVE", "yes")
    seen = []
    prepare(source, tmp_path / "out", workers=2, on_progress=lambda *pair: seen.append(pair))
    assert seen[0][0] >= 15  # the shards of `eval` were written first
    prepare(slow_preparation.source(), tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def started(tmp_path, *, workers=2):
    """Start a preparation that leads a group of processes; return it and those of its workers."""
    notes = tmp_path / "notes"
    notes.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.slow_preparation", str(tmp_path / "out"), "2"],
        cwd=ROOT,
        env={**os.environ, "NOTES": str(notes)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell ignores interrupts on behalf of what it starts in the background, such as a suite.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 60
    while len(pids := [int(path.name) for path in notes.iterdir()]) < workers:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)
    return process, pids


POSIX = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows knows no signals between processes"
)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@POSIX
def test_ctrl_c_reaches_the_workers_quietly(tmp_path):
    """A terminal interrupts all processes of a command at once."""
    process, pids = started(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT and errors.count("Traceback") == 1
    assert "KeyboardInterrupt" in errors
    assert not any(is_alive(pid) for pid in pids) and not (tmp_path / "out").exists()


@POSIX
def test_workers_end_with_a_killed_parent(tmp_path):
    process, pids = started(tmp_path)
    process.kill()
    process.communicate()
    end = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < end, "a worker outlives the preparation"
        time.sleep(0.05)


SCRIPT = """
import sys
from tests.helpers.slow_preparation import source
from vipann_tf.records.prepare import prepare
prepare(source(), sys.argv[1], workers=2)
"""


def test_a_script_needs_no_guard(tmp_path):
    """Processes that Python spawns run the script again, unless it is kept from them."""
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "out")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and not run.stderr, run.stderr
    prepare(slow_preparation.source(), tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def disk_full(clip, sample_rate_hz):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "executor", [{"workers": 1}, {"workers": 2}, {"runner": "BundleBasedDirectRunner"}]
)
def test_a_full_disk_is_named(tmp_path, executor):
    with pytest.raises(UserError, match="No space left on device: .*out needs about 0.0 GB"):
        prepare(slow_preparation.source(disk_full), tmp_path / "out", **executor)
