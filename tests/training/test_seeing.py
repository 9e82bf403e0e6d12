"""What a running or interrupted training shows."""

import re

import pytest
import tensorflow as tf
from click.testing import CliRunner

from tests.helpers.interruptions import Killed, killed_at
from tests.helpers.tiny_training import log_rows, transfer_recipe
from vipann_tf.cli import main
from vipann_tf.cli.printing import terminal
from vipann_tf.files.locking import locked
from vipann_tf.training.progress import Progress
from vipann_tf.training.run import TrainingRun
from vipann_tf.training.transfer import transfer


def events_of(folder) -> dict[str, list[tuple[int, float | None]]]:
    """Tag -> (step, value of a scalar), of all event files."""
    found = {}
    for file in sorted(folder.iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                array = tf.make_ndarray(value.tensor)
                found.setdefault(value.tag, []).append((event.step, array))
    return found


@pytest.mark.usefixtures("eager")
def test_curves_and_histograms(bases, events, tmp_path):
    pytest.importorskip("tensorboard", reason="TensorFlow's summaries need it")
    recipe = transfer_recipe(
        *(
            "flip",
            "fixed",
            "training.steps=11",
            "validation.splits=[fold2]",
            "training.batch_size=2",
        ),
        *(
            "validation.num_draws=1",
            "validation.every_epochs=1.0",
            "training.checkpoint_every_steps=4",
        ),
    )
    seen = []
    transfer(recipe, bases["flipout"], events, tmp_path / "m", test_fold=1, on_progress=seen.append)
    tags = events_of(tmp_path / "m" / "1" / "assets.extra" / "tensorboard")
    rows = log_rows(tmp_path / "m")
    for tag, column in {
        "training/loss": "loss",
        "training/nll": "nll",
        "training/kl": "kl",
        "training/kl_weight": "kl_scale",
        "training/learning_rate": "learning_rate",
    }.items():
        assert [step for step, _ in tags[tag]] == [1, 10]
        for step, value in tags[tag]:
            assert float(value) == pytest.approx(rows[step - 1][column], rel=1e-6)
    # An epoch is 12 clips: six steps; and the end.
    assert [step for step, _ in tags["validation/nll"]] == [6, 11]
    assert seen[-1].scores["nll"] == pytest.approx(float(tags["validation/nll"][-1][1]), rel=1e-6)
    for stage in ("conv_block1", "stage1", "stage4", "conv_block_after1", "fc1", "fc_out"):
        histograms = tags[f"posterior_stddev/{stage}"]
        assert [step for step, _ in histograms] == [4, 6, 8, 11]
        _, buckets = histograms[0]  # rows of left edge, right edge, count
        assert buckets[:, 2].sum() > 0 and 0 < buckets[0, 0] < 0.1


@pytest.mark.usefixtures("eager")
def test_info_of_an_unfinished_run(bases, events, tmp_path):
    recipe = transfer_recipe(
        "det-flip",
        "fixed",
        *("training.steps=4", "training.checkpoint_every_steps=2", "validation.splits=[fold2]"),
    )
    with pytest.raises(Killed):
        transfer(
            recipe,
            *(bases["deterministic"], events, tmp_path / "m"),
            test_fold=1,
            on_progress=killed_at(3),
        )

    def info() -> list[str]:
        result = CliRunner().invoke(main, ["info", str(tmp_path / "m")])
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    first, step, loss, scores, last = info()
    assert first == f"{tmp_path / 'm'}: unfinished transfer det-flip (fixed)"
    assert step.startswith("step 3 of 4, last written 0:00:")
    assert loss.startswith("loss ") and loss.endswith(", learning rate 0.001, epoch 0")
    total, nll, kl = (float(x) for x in re.findall(r"\d[\d.e-]*", loss)[:3])
    assert total == pytest.approx(nll + kl, rel=1e-3)
    assert scores.startswith("validation at step 3: accuracy ") and ", nll " in scores
    assert last == "The same command resumes it from step 2."
    with locked(tmp_path / "m"):
        lines = info()
        assert lines[0].endswith(": running transfer det-flip (fixed)") and len(lines) == 4


@pytest.mark.usefixtures("eager")
def test_info_after_a_kill_at_the_very_end(bases, events, tmp_path, monkeypatch):
    """The model is written, what it no longer needs not yet removed."""

    def killed(run):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "finish", killed)
        recipe = transfer_recipe("det", "fixed")
        with pytest.raises(Killed):
            transfer(recipe, bases["deterministic"], events, tmp_path / "m", test_fold=1)
    assert (tmp_path / "m" / "training").is_dir()
    result = CliRunner().invoke(main, ["info", str(tmp_path / "m")])
    assert result.exit_code == 0 and "unfinished" not in result.output
    assert "transfer det (fixed) on " in result.output
    assert len(log_rows(tmp_path / "m")) == 2


def test_seconds_left():
    progress = Progress(10, 40, 1, 1.0, 1.0, 0.0, steps_per_s=2.0, clips_per_s=64.0, scores={})
    assert progress.seconds_left == 15


def test_a_log_file_says_when_it_ends(monkeypatch, capsys):
    now = 1000.0
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    show = terminal._log_lines("Training")
    show(100, 1000, "loss 1")  # resumed: what came before says nothing of the speed
    now += 60
    show(130, 1000, "loss 0.9")
    assert capsys.readouterr().err == "Training 130/1000 loss 0.9, 0:29:00 left\n"


def test_a_second_training_has_a_speed_of_its_own(monkeypatch, capsys):
    """A study shows one after another by the same function."""
    now = 1000.0
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    show = terminal._log_lines("Study")
    show(1, 100)
    now += 20
    show(100, 100)
    now += 20
    show(1, 300)
    now += 30
    show(31, 300)
    assert capsys.readouterr().err.splitlines()[-1] == "Study 31/300, 0:04:29 left"
