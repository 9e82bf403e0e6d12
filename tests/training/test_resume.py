"""Stopped anyhow and started again, a run ends as the undisturbed one."""

import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import pytest
from tiny import eagerly, light_export, log_bytes, log_rows, pretrain_recipe, same_weights, transfer_recipe

from vipann_tf import cli
from vipann_tf.errors import UserError
from vipann_tf.records.schema import read_info
from vipann_tf.training import transfer as transfer_module
from vipann_tf.training.pretrain import pretrain
from vipann_tf.training.transfer import transfer

RANDOM_EVERYTHING = (
    "augment.mixup_alpha=1.0",
    "augment.spec_augment=true",
    "augment.time_shift_s=0.5",
    "augment.gain_db=6",
    "data.balance=true",
    "optimizer.schedule=cosine",
    "optimizer.warmup_steps=2",
    "objective.kl_warmup_steps=3",
)


class Killed(BaseException):
    """As SIGKILL between two steps: nothing of the loop runs any more that could save something."""


def killed_at(step: int):
    def on_progress(progress):
        if progress.step == step:
            raise Killed

    return on_progress


def terminated_at(step: int):
    def on_progress(progress):
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return on_progress


@pytest.mark.usefixtures("eager")
def test_a_disturbed_run_ends_as_an_undisturbed_one(tagging, tmp_path):
    recipe = pretrain_recipe(
        "flipout", *RANDOM_EVERYTHING, "training.steps=5", "training.checkpoint_every_steps=2"
    )
    pretrain(recipe, tagging, tmp_path / "smooth")

    out = tmp_path / "rough"
    with pytest.raises(Killed):  # one step after a checkpoint
        pretrain(recipe, tagging, out, on_progress=killed_at(3))
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UserError, match="stopped at step 4 of 5 with a checkpoint in .*goes on"):
        pretrain(recipe, tagging, out, on_progress=terminated_at(4))
    assert signal.getsignal(signal.SIGTERM) is handler
    steps = []
    pretrain(recipe, tagging, out, on_progress=lambda progress: steps.append(progress.step))

    assert steps == [5]
    assert log_bytes(out) == log_bytes(tmp_path / "smooth")
    assert same_weights(out, tmp_path / "smooth")
    rates = [row["learning_rate"] for row in log_rows(out)]
    assert rates[:3] == pytest.approx([0, 0.5e-3, 1e-3]) and rates[3] < 1e-3  # warm-up, then cosine
    clips = read_info(tagging).splits["train"].clips
    scales = [row["kl_scale"] * clips for row in log_rows(out)]
    assert scales == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])


@pytest.fixture
def train(bases, events, tmp_path):
    """The cheapest run, with a checkpoint a step: called with `--set`s and options of `transfer`."""

    def run(*settings, **options):
        return cheapest_run(bases, events, tmp_path / "m", *settings, **options)

    return run


def cheapest_run(bases, events, out, *settings, **options):
    recipe = transfer_recipe(
        "det-flip", "fixed", "training.steps=4", "training.checkpoint_every_steps=1", *settings
    )
    transfer(recipe, bases["deterministic"], events, out, test_fold=1, **options)
    return out


def checkpoint_files(tmp_path) -> list[pathlib.Path]:
    return sorted((tmp_path / "m" / "training" / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def smooth(bases, events, tmp_path_factory):
    """The model of `train`, undisturbed."""
    with pytest.MonkeyPatch.context() as patch, eagerly(patch):
        yield cheapest_run(bases, events, tmp_path_factory.mktemp("smooth") / "m")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("damage", ["truncated", "flipped", "index", "gone", "list"])
def test_a_damaged_checkpoint_is_passed_over(train, smooth, tmp_path, caplog, damage):
    with pytest.raises(Killed):
        train(on_progress=killed_at(4))
    folder = tmp_path / "m" / "training" / "checkpoints"
    data, index = folder / "ckpt-3.data-00000-of-00001", folder / "ckpt-3.index"
    content = data.read_bytes()
    if damage == "truncated":
        data.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 2
        data.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    elif damage == "index":
        index.write_bytes(b"")
    elif damage == "gone":
        data.unlink()
    else:
        (folder / "checkpoint").write_bytes(b"\0\1")
    steps = []
    train(on_progress=lambda progress: steps.append(progress.step))
    said = [x.getMessage() for x in caplog.records if x.name == "vipann_tf.training.checkpoints"]
    if damage == "list":
        assert steps[0] == 4 and not said
    else:
        assert steps[0] == 3
        assert said[0].startswith(f"{folder / 'ckpt-3'} can't be read (")
        assert said[1] == f"going on from the checkpoint before, {folder / 'ckpt-2'}"
    assert log_bytes(tmp_path / "m") == log_bytes(smooth)
    assert same_weights(tmp_path / "m", smooth)


@pytest.mark.usefixtures("eager")
def test_no_readable_checkpoint(train, tmp_path):
    with pytest.raises(Killed):
        train("training.keep_checkpoints=2", on_progress=killed_at(4))
    files = [file for file in checkpoint_files(tmp_path) if file.suffix == ".index"]
    assert [file.stem for file in files] == ["ckpt-2", "ckpt-3"]  # keeps two
    for file in files:
        file.write_bytes(b"?")
    with pytest.raises(UserError, match="none of the 2 checkpoints in .* can be read; delete .*training"):
        train("training.keep_checkpoints=2")


@pytest.mark.usefixtures("eager")
def test_a_changed_recipe_is_refused(train, tmp_path):
    with pytest.raises(Killed):
        train(on_progress=killed_at(2))
    changed = ("optimizer.learning_rate=0.5", "training.seed=3")
    with pytest.raises(UserError) as error:
        train(*changed)
    assert "differs in recipe.optimizer.learning_rate, recipe.training.seed; repeat" in str(error.value)
    steps = []
    train(*changed, overwrite=True, on_progress=lambda progress: steps.append(progress.step))
    assert steps == [1, 2, 3, 4]
    with pytest.raises(UserError, match="holds a model already; choose another --out, or --overwrite"):
        train()


@pytest.mark.usefixtures("eager")
def test_a_loss_that_is_not_finite(train, tmp_path):
    with pytest.raises(UserError) as error:
        train("optimizer.learning_rate=1e30")
    text = str(error.value)
    assert text.startswith("the loss is nan at step 2 (NLL nan") or text.startswith("the loss is inf at step 2")
    assert "clips " in text and "optimizer.clip_norm" in text
    assert [file.name for file in checkpoint_files(tmp_path) if file.suffix == ".index"] == ["ckpt-1.index"]


@pytest.fixture
def no_more_than():
    """Limits the size of files, which is what a full disk looks like to a writer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("eager")
def test_a_full_disk(train, smooth, tmp_path, no_more_than):
    def fill(progress):
        if progress.step == 2:
            no_more_than(4096)

    with pytest.raises(UserError) as error:
        train(on_progress=fill)
    assert f"can't save the checkpoint of step 2 in {tmp_path}" in str(error.value)
    assert "the same command goes on" in str(error.value) and "\n" not in str(error.value)

    no_more_than(10)
    with pytest.raises(UserError, match="can't write in .*: File too large; make room"):
        train()

    no_more_than(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    train()
    assert log_bytes(tmp_path / "m") == log_bytes(smooth)
    assert same_weights(tmp_path / "m", smooth)


def test_sigkill(bases, events, tmp_path, monkeypatch):
    """The real thing: another process, graphs, the command line, killed when it comes."""

    def arguments(out):
        return [
            *("transfer", "--strategy", "det-flip", "--mode", "fixed"),
            *("--base", str(bases["deterministic"]), "--data", str(events), "--test-fold", "1"),
            *("--out", str(tmp_path / out), "--set", "training.steps=150"),
            *("--set", "training.batch_size=4", "--set", "training.checkpoint_every_steps=7"),
        ]

    command = [sys.executable, "-m", "vipann_tf.cli", *arguments("m")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    log = tmp_path / "m" / "training" / "log.csv"
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        if log.is_file() and log.read_bytes().count(b"\n") > 20:
            break
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL, process.stderr.read().decode()

    monkeypatch.setattr(transfer_module, "export", light_export)
    for out in ("m", "smooth"):
        cli.main(arguments(out), standalone_mode=False)
    assert log_bytes(tmp_path / "m") == log_bytes(tmp_path / "smooth")
    assert same_weights(tmp_path / "m", tmp_path / "smooth")
