"""Stopped between two steps and started again, a run ends as the undisturbed one."""

import json
import pathlib
import signal

import pytest

from tests.helpers.interruptions import Killed, killed_at, terminated_at
from tests.helpers.tiny_training import (
    cheapest_run,
    eagerly,
    log_bytes,
    log_rows,
    pretrain_recipe,
    same_weights,
)
from vipann_tf.errors import UserError
from vipann_tf.files.locking import locked
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.training.pretrain import pretrain

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


@pytest.mark.slow
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
    with pytest.raises(UserError, match="stopped at step 4 of 5 with a checkpoint in .*resumes"):
        pretrain(recipe, tagging, out, on_progress=terminated_at(4))
    assert signal.getsignal(signal.SIGTERM) is handler
    steps = []
    pretrain(recipe, tagging, out, on_progress=lambda progress: steps.append(progress.step))

    assert steps == [5]
    assert log_bytes(out) == log_bytes(tmp_path / "smooth")
    assert same_weights(out, tmp_path / "smooth")
    rates = [row["learning_rate"] for row in log_rows(out)]
    assert rates[:3] == pytest.approx([0, 0.5e-3, 1e-3]) and rates[3] < 1e-3  # warm-up, then cosine
    clips = read_dataset_info(tagging).splits["train"].clips
    scales = [row["kl_scale"] * clips for row in log_rows(out)]
    assert scales == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])


@pytest.mark.usefixtures("eager")
def test_a_run_that_an_earlier_version_began_is_resumed(bases, events, tmp_path):
    """0.1.0 said `samples` and `draws`, and had fewer settings; its defaults are those of today."""
    out = tmp_path / "m"
    with pytest.raises(Killed):
        cheapest_run(bases, events, out, on_progress=killed_at(2))
    file = out / "training" / "run.json"
    run = json.loads(file.read_text())
    recipe, base = run["description"]["recipe"], run["description"]["base"]
    for settings in (recipe["export"], base):
        settings["samples"] = settings.pop("num_draws")
        settings["draws"] = settings.pop("draw_storage")
    recipe["validation"]["samples"] = recipe["validation"].pop("num_draws")
    for section, key in (
        ("optimizer", "stddev_learning_rate_factor"),
        ("objective", "kl_cycle_steps"),
    ):
        del recipe[section][key]
    del recipe["keep_head"], base["batch_norm"]
    file.write_text(json.dumps(run))
    steps = []
    cheapest_run(bases, events, out, on_progress=lambda progress: steps.append(progress.step))
    assert steps == [2, 3, 4]  # killed after step 2, before its checkpoint


@pytest.fixture
def train(bases, events, tmp_path):
    """Return a function of settings and options of `transfer`: the cheapest run."""

    def run(*settings, **options):
        return cheapest_run(bases, events, tmp_path / "m", *settings, **options)

    return run


def checkpoint_files(tmp_path) -> list[pathlib.Path]:
    return sorted((tmp_path / "m" / "training" / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def smooth(bases, events, tmp_path_factory):
    """Train the model of `train`, undisturbed."""
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
        assert said[1] == f"resuming from the checkpoint before, {folder / 'ckpt-2'}"
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
    with pytest.raises(
        UserError, match="none of the 2 checkpoints in .* can be read; delete .*training"
    ):
        train("training.keep_checkpoints=2")


@pytest.mark.usefixtures("eager")
def test_a_changed_recipe_is_refused(train, tmp_path):
    with pytest.raises(Killed):
        train(on_progress=killed_at(2))
    changed = ("optimizer.learning_rate=0.5", "training.seed=3")
    with pytest.raises(UserError) as error:
        train(*changed)
    assert "differs in recipe.optimizer.learning_rate, recipe.training.seed; repeat" in str(
        error.value
    )
    steps = []
    train(*changed, overwrite=True, on_progress=lambda progress: steps.append(progress.step))
    assert steps == [1, 2, 3, 4]
    with pytest.raises(
        UserError, match="already has a model; choose another --out, or --overwrite"
    ):
        train()


@pytest.mark.usefixtures("eager")
def test_a_loss_that_is_not_finite(train, tmp_path):
    with pytest.raises(UserError) as error:
        train("optimizer.learning_rate=1e30")
    text = str(error.value)
    assert text.startswith(("the loss is nan at step 2 (NLL nan", "the loss is inf at step 2"))
    assert "clips " in text and "optimizer.clip_norm" in text
    assert [file.name for file in checkpoint_files(tmp_path) if file.suffix == ".index"] == [
        "ckpt-1.index"
    ]


@pytest.mark.usefixtures("eager")
def test_two_runs_at_once(train, tmp_path):
    """The second is refused, and the first does not notice."""
    refused = []

    def second(progress):
        if progress.step == 2:
            with pytest.raises(UserError) as error:
                train()
            refused.append(str(error.value))

    train(on_progress=second)
    assert refused == [
        f"another process is training into {tmp_path / 'm'} right now; wait for it, or choose "
        "another --out"
    ]
    assert len(log_rows(tmp_path / "m")) == 4
    with (
        locked(tmp_path / "m"),
        pytest.raises(UserError, match="another process is training"),
    ):
        train(overwrite=True)


def test_an_object_store_is_refused(bases, events):
    with pytest.raises(UserError) as error:
        cheapest_run(bases, events, "s3://bucket/m")
    assert str(error.value) == (
        "s3://bucket/m is in an object store, where nothing can be renamed or locked; choose a "
        "local --out, and copy the finished model"
    )
