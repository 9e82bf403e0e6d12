"""Several trainings at once: each sees its device, and a failure or a lost parent ends all."""

import os
import subprocess
import sys
import time

import joblib
import pytest

from tests.helpers import process_tasks
from tests.helpers.paths import ROOT
from vipann_tf.errors import UserError
from vipann_tf.training.processes import run_in_processes

pytestmark = pytest.mark.slow


def reports_of(work, count, **options):
    """Task -> what it reported."""
    found = {name: [] for name in work}
    run_in_processes(
        work, count, on_progress=lambda name, report: found[name].append(report), **options
    )
    return found


def seen(found, name) -> set[str | None]:
    return {reports[0][name] for reports in found.values()}


def test_each_sees_one_gpu(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = reports_of(dict.fromkeys("abc", process_tasks.environment), 2, gpus=3)
    assert seen(found, "CUDA_VISIBLE_DEVICES") == {"0", "1"}
    (first, second, third) = sorted(reports[1] for reports in found.values())
    assert second[0] < first[1]  # two at once
    assert third[0] > min(first[1], second[1])  # the third when a device was free
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_names_of_gpus_are_kept(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    found = reports_of(dict.fromkeys("ab", process_tasks.environment), 2, gpus=2)
    assert seen(found, "CUDA_VISIBLE_DEVICES") == {"4", "7"}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,7"


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 12)
    found = reports_of(dict.fromkeys("ab", process_tasks.environment), 2, gpus=0)
    assert seen(found, "TF_NUM_INTRAOP_THREADS") == {"6"}


def test_too_many():
    with pytest.raises(
        UserError,
        match="3 folds at the same time need one GPU each, but there are 2; use 2 or fewer",
    ):
        run_in_processes({"a": process_tasks.environment}, 3, gpus=2)
    with pytest.raises(UserError, match="0 folds at the same time; use 1 or more"):
        run_in_processes({"a": process_tasks.environment}, 0, gpus=0)


@pytest.mark.parametrize(
    "task, error, message",
    [
        (process_tasks.mistaken, UserError, "^bad: width is 7; use 1$"),
        (process_tasks.broken, RuntimeError, "bad:\n(.|\n)*KeyError: 'inside'"),
        (
            process_tasks.killed,
            UserError,
            "bad: its process ended with status -9, .*the same command resumes",
        ),
    ],
)
def test_one_that_fails_stops_the_others(monkeypatch, tmp_path, task, error, message):
    monkeypatch.setenv("PATIENT_FILE", str(tmp_path / "file"))
    work = {"good": process_tasks.patient, "bad": task}
    with pytest.raises(error, match=message):
        run_in_processes(work, 2, gpus=0)
    # By SIGTERM, if it had come so far as to answer it.
    assert not (tmp_path / "file").exists() or (tmp_path / "file").read_text() == "stopped\n"


def test_none_outlives_its_parent(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.orphans"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PATIENT_FILE": str(tmp_path / "file")},
        text=True,
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while not (tmp_path / "file").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "file").read_text() == "stopped\n"
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}")
