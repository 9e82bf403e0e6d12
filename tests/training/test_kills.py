"""Killed by SIGKILL at random moments, a run ends as the undisturbed one, bit for bit."""

import os
import pathlib
import random
import signal
import subprocess
import sys

import pytest
import tensorflow as tf

from tests.helpers.paths import ROOT
from tests.helpers.tiny_training import light_export, log_bytes, same_weights
from vipann_tf import cli
from vipann_tf.recipes import Training
from vipann_tf.training import fit
from vipann_tf.training.determinism import set_determinism
from vipann_tf.training.run import unfinished

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "option, gpus, expected",
    [(None, 0, True), (None, 1, False), (True, 1, True), (False, 0, False)],
)
def test_deterministic_operations(monkeypatch, option, gpus, expected):
    called = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * gpus)
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: called.append("deterministic")
    )
    monkeypatch.setattr(tf.random, "set_seed", called.append)
    set_determinism(Training(seed=7, deterministic_ops=option))
    assert called == ([7, "deterministic"] if expected else [])


def kills(seed: int, command: list[str], moments: list[str], folder: pathlib.Path) -> list[str]:
    """Start a command once per moment, see it killed there, and return how far each came."""
    found = []
    for number, moment in enumerate(moments):
        process = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.helpers.killed_training",
                moment,
                f"{seed}/{number}",
                *command,
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert process.returncode == -signal.SIGKILL, (moment, process.returncode, process.stderr)
        checkpoints = folder / "training" / "checkpoints"
        half = [file.name for file in checkpoints.glob("*_temp*")]
        left = unfinished(folder)
        found.append(
            f"{moment}: log at step {left['step']}, checkpoint {left['checkpoint']}"
            + (f", half written {', '.join(half)}" if half else "")
        )
    return found


@pytest.mark.parametrize(
    "strategy, mode, moments",
    [
        ("det-flip", "fixed", ["step", "save"]),
        pytest.param(
            *("flip", "finetune"),
            ["step", "save", "step", "save", "restore", "save", "step", "save", "step", "export"],
            marks=pytest.mark.skipif(
                not os.environ.get("VIPANN_TF_SLOW_TESTS"),
                reason="ten kills take minutes: set VIPANN_TF_SLOW_TESTS=1 to run them",
            ),
        ),
    ],
)
def test_sigkill(bases, events, tmp_path, monkeypatch, strategy, mode, moments):
    """The real thing: other processes, graphs, the command line, killed when it comes."""
    base = bases["flipout" if strategy == "flip" else "deterministic"]

    def arguments(out):
        return [
            *("transfer", "--strategy", strategy, "--mode", mode, "--base", str(base)),
            *("--data", str(events), "--test-fold", "1", "--out", str(tmp_path / out)),
            *("--set", "training.steps=60", "--set", "training.batch_size=4"),
            *("--set", "training.checkpoint_every_steps=3", "--set", "augment.mixup_alpha=0.5"),
            "--allow-empty-labels",
        ]

    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", *kills(seed, arguments("m"), moments, tmp_path / "m"), sep="\n")
    monkeypatch.setattr(fit, "export", light_export)
    for out in ("m", "smooth"):
        cli.main(arguments(out), standalone_mode=False)
    assert log_bytes(tmp_path / "m") == log_bytes(tmp_path / "smooth")
    assert same_weights(tmp_path / "m", tmp_path / "smooth")
