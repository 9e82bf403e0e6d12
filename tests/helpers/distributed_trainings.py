"""Runs that train the same network on the same batches, however many devices share them."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.paths import ROOT
from tests.helpers.tiny_training import log_rows, stand_ins
from vipann_tf import cli
from vipann_tf.saved_model.load import read_variables

STEPS = 20
TIMEOUT_S = 900  # several times what a busy machine needs

COMMON = (
    *(f"training.steps={STEPS}", "training.batch_size=4", "training.checkpoint_every_steps=5"),
    *("augment.mixup_alpha=1.0", "data.allow_empty_labels=true"),
    *("objective.kl_reduction=sum", "objective.kl_weight=0.01"),
)
# What is trained: (strategy, mode, settings). Adam's first steps have the size of the learning rate
# whatever that of the gradient, so a weight that hardly matters may go either way by rounding.
WHAT = {
    "head": (
        *("det-flip", "fixed"),
        (
            *("validation.splits=[fold2]", "validation.num_draws=1"),
            *("optimizer.ema_momentum=0.9",),
        ),
    ),
    "trunk": (
        *("flip", "finetune"),
        (
            *("training.synchronized_batch_norm=true", "augment.spec_augment=true"),
            *("optimizer.learning_rate=1e-4",),
        ),
    ),
}


class Trainings:
    """Runs that train the same network on the same batches, however many devices share them."""

    def __init__(self, what, base, events, folder):
        self.folder = folder
        strategy, mode, settings = WHAT[what]
        self._common = [
            *("transfer", "--strategy", strategy, "--mode", mode, "--test-fold", "1"),
            *("--base", str(base), "--data", str(events)),
        ]
        self._settings = [*COMMON, *settings]

    def command(self, out, devices) -> list[str]:
        settings = [text for setting in self._settings for text in ("--set", setting)]
        return [*self._common, "--devices", devices, "--out", str(self.folder / out), *settings]

    def run(self, out, devices) -> pathlib.Path:
        """In this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("TF_CONFIG", raising=False)
            stand_ins(patch.setattr)
            cli.main(self.command(out, devices), standalone_mode=False)
        return self.folder / out

    def _start(self, out, task, kill_at=0) -> subprocess.Popen:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.helpers.distributed_worker",
                str(kill_at),
                *self.command(out, "multiworker"),
            ],
            cwd=ROOT,
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


def check_same(model, reference) -> None:
    one, other = (dict(np.load(place / "gradients.npz")) for place in (model, reference))
    assert one.keys() == other.keys() and one
    apart = {name: np.linalg.norm(one[name] - other[name]) for name in other}
    sizes = {name: np.linalg.norm(other[name]) for name in other}
    assert np.linalg.norm(list(apart.values())) < 1e-5 * np.linalg.norm(list(sizes.values()))
    for name in one:  # some are sums of much that cancels
        assert apart[name] < 1e-4 * sizes[name], name

    rows, expected = log_rows(model), log_rows(reference)
    assert len(rows) == len(expected) == STEPS
    for row, wanted in zip(rows, expected, strict=True):
        for name in ("loss", "nll"):
            assert row[name] == pytest.approx(wanted[name], abs=1e-4), (name, row["step"])
        # The KL is that of the network, however many replicas there are.
        assert row["kl"] == pytest.approx(wanted["kl"], rel=1e-5)
        assert row["kl_scale"] == pytest.approx(wanted["kl_scale"], rel=1e-6)
        assert row["epoch"] == wanted["epoch"]
    one, other = read_variables(model), read_variables(reference)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=2e-4, err_msg=name)
