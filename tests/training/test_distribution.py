"""Several devices and several processes, against one device on the same global batch."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tiny import light_export, log_rows

from vipann_tf import cli
from vipann_tf.errors import UserError
from vipann_tf.saved_model.load import read_variables
from vipann_tf.training import transfer
from vipann_tf.training.distribution import distribute, is_chief, is_multiworker, make_strategy

HERE = pathlib.Path(__file__).parent
STEPS = 20
TIMEOUT_S = 300


def test_devices(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for devices in ("auto", "none"):
        strategy = make_strategy(devices)
        assert strategy.num_replicas_in_sync == 1
        assert is_chief(strategy) and not is_multiworker(strategy)
    assert isinstance(make_strategy("mirrored"), tf.distribute.MirroredStrategy)
    with pytest.raises(UserError, match="devices is 'multiworker' but TF_CONFIG is not set"):
        make_strategy("multiworker")
    with pytest.raises(UserError, match="devices is 'all'; allowed are auto, none, mirrored, multiworker"):
        make_strategy("all")


def test_one_device_gets_whole_batches():
    batches = tf.data.Dataset.range(12).batch(6)
    assert [x.tolist() for x in distribute(make_strategy("none"), batches, 6).as_numpy_iterator()] == [
        [0, 1, 2, 3, 4, 5],
        [6, 7, 8, 9, 10, 11],
    ]


class Trainings:
    """Processes that train the same network on the same batches: Bayesian head, mixup, KL sum."""

    def __init__(self, bases, events, folder):
        self.folder = folder
        self._common = [
            *("transfer", "--strategy", "det-flip", "--mode", "fixed", "--test-fold", "1"),
            *("--base", str(bases["deterministic"]), "--data", str(events)),
        ]
        self._settings = [
            *(f"training.steps={STEPS}", "training.batch_size=4", "training.checkpoint_every_steps=5"),
            *("augment.mixup_alpha=1.0", "objective.kl_reduction=sum", "objective.kl_weight=0.01"),
            *("validation.splits=[fold2]", "optimizer.ema_momentum=0.9"),
        ]

    def _command(self, out, devices) -> list[str]:
        settings = [text for setting in self._settings for text in ("--set", setting)]
        return [*self._common, "--devices", devices, "--out", str(self.folder / out), *settings]

    def run(self, out, devices) -> pathlib.Path:
        """In this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("TF_CONFIG", raising=False)
            patch.setattr(transfer, "export", light_export)
            cli.main(self._command(out, devices), standalone_mode=False)
        return self.folder / out

    def _start(self, out, task, kill_at=0) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), str(kill_at), *self._command(out, "multiworker")],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_CONFIG": json.dumps(task)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def pair(self, out, **options) -> list[subprocess.Popen]:
        """Two workers on the loopback interface; options are those of the second."""
        workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
        return [
            self._start(
                out,
                {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}},
                **(options if index else {}),
            )
            for index in (0, 1)
        ]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output[-3000:]
    return output


@pytest.fixture(scope="module")
def trainings(bases, events, tmp_path_factory):
    return Trainings(bases, events, tmp_path_factory.mktemp("distributed"))


@pytest.fixture(scope="module")
def one_device(trainings):
    return trainings.run("one", "none")


def check_same(model, reference) -> None:
    rows, expected = log_rows(model), log_rows(reference)
    assert len(rows) == len(expected) == STEPS
    for row, wanted in zip(rows, expected):
        for name in ("loss", "nll"):
            assert row[name] == pytest.approx(wanted[name], abs=1e-4), (name, row["step"])
        # The KL is that of the network, however many replicas there are.
        assert row["kl"] == pytest.approx(wanted["kl"], rel=1e-5)
        assert row["kl_scale"] == pytest.approx(wanted["kl_scale"], rel=1e-6)
        assert row["epoch"] == wanted["epoch"]
    one, other = read_variables(model), read_variables(reference)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=2e-4, err_msg=name)


def test_two_devices(trainings, one_device):
    if len(tf.config.list_logical_devices("CPU")) < 2:
        pytest.skip("the CPU was not split into two devices before TensorFlow started")
    check_same(trainings.run("two", "mirrored"), one_device)


def test_two_workers(trainings, one_device):
    """One loses the other on the way; started again, they end as one device."""
    first, second = trainings.pair("workers", kill_at=8)
    assert second.wait(timeout=TIMEOUT_S) == -signal.SIGKILL
    output, _ = first.communicate(timeout=TIMEOUT_S)
    assert first.returncode == 1, output[-3000:]
    (line,) = [line for line in output.splitlines() if line.startswith("Error: ")]
    assert "worker 1 was lost; see its output, then start all of them again" in line

    outputs = [finish(process) for process in trainings.pair("workers")]
    assert "det-flip" in outputs[0] and "det-flip" not in outputs[1]  # one of them reports
    check_same(trainings.folder / "workers", one_device)
