"""Locks: between processes, in one process, after a kill, and where there are none."""

import errno
import subprocess
import sys
import time

import filelock
import pytest

from tests.helpers.paths import ROOT
from vipann_tf.files.locking import is_locked, locked

HOLD = """
import sys, time
from vipann_tf.files.locking import locked
with locked(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""
COUNT = """
import pathlib, sys
from vipann_tf.files.locking import locked
counter = pathlib.Path(sys.argv[2])
for _ in range(50):
    with locked(sys.argv[1], wait=True):
        number = int(counter.read_text(encoding="utf-8"))
        counter.write_text(str(number + 1), encoding="utf-8")
"""


def start(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def test_one_holder_at_a_time(tmp_path):
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(BlockingIOError, match=r"\.lock"), locked(tmp_path):
            raise AssertionError("held twice")
        with locked(tmp_path, name=".other.lock"):
            assert is_locked(tmp_path)
    assert not is_locked(tmp_path) and not list(tmp_path.iterdir())
    with locked(tmp_path):
        pass


def test_an_error_inside_frees_it(tmp_path):
    with pytest.raises(RuntimeError, match="inside"), locked(tmp_path):
        raise RuntimeError("inside")
    assert not list(tmp_path.iterdir())


def test_a_killed_process_frees_it_for_one_that_waits(tmp_path):
    holder = start(HOLD, tmp_path)
    assert holder.stdout.readline() == b"locked\n"
    with pytest.raises(BlockingIOError), locked(tmp_path):
        raise AssertionError("held twice")
    assert is_locked(tmp_path)
    (tmp_path / "counter").write_text("0")
    waiting = start(COUNT, tmp_path, tmp_path / "counter")
    time.sleep(1)
    assert waiting.poll() is None and (tmp_path / "counter").read_text() == "0"
    holder.kill()
    holder.wait()
    assert waiting.wait(60) == 0 and (tmp_path / "counter").read_text() == "50"
    assert not (tmp_path / ".lock").exists()


def test_the_file_of_a_killed_process_is_no_lock(tmp_path):
    holder = start(HOLD, tmp_path)
    holder.stdout.readline()
    holder.kill()
    holder.wait()
    assert (tmp_path / ".lock").exists() and not is_locked(tmp_path)
    with locked(tmp_path):
        pass


def test_many_that_wait_come_one_by_one(tmp_path):
    """Each removes the file that the others wait for."""
    (tmp_path / "counter").write_text("0")
    counting = [start(COUNT, tmp_path, tmp_path / "counter") for _ in range(4)]
    assert [process.wait(120) for process in counting] == [0] * 4
    assert (tmp_path / "counter").read_text() == "200"


def test_a_look_writes_nothing(tmp_path):
    assert not is_locked(tmp_path / "nowhere") and not list(tmp_path.iterdir())


def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog):
    def refuse(lock, **_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with locked(tmp_path):
        assert "can't be locked (No locks available); use it for one run" in caplog.text


def test_other_errors_are_raised(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match="Not a directory|File exists"),
        locked(tmp_path / "file"),
    ):
        raise AssertionError("must not begin")
