"""Cross-validation: every fold once, each resumable, means with Student's intervals."""

import json

import pytest
from click.testing import CliRunner
from test_resume import Killed
from tiny import transfer_recipe

from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.saved_model.metadata import read_info
from vipann_tf.training import cross_validation
from vipann_tf.training.cross_validation import cross_validate, student_interval


def test_interval_by_hand():
    """1 ... 5: mean 3, s = sqrt(2.5), t of 4 degrees of freedom 2.776 (any table)."""
    mean, low, high = student_interval([1, 2, 3, 4, 5])
    assert mean == 3
    assert high - mean == pytest.approx(2.776 * 2.5**0.5 / 5**0.5, rel=1e-3)
    assert mean - low == pytest.approx(high - mean)
    assert student_interval([0.7]) == (0.7, None, None)
    narrow = student_interval([1, 2, 3, 4, 5], confidence=0.9)
    assert narrow[2] - 3 == pytest.approx(2.132 * 2.5**0.5 / 5**0.5, rel=1e-3)


@pytest.fixture
def quick_evaluation(monkeypatch):
    """The accuracy is a tenth of the fold's number."""

    def evaluate(model, data, out, *, overwrite):
        fold = int(read_info(model).data.held_out[0].removeprefix("fold"))
        metrics = {"accuracy": fold / 10, "f1": fold / 5, "auc": None}
        if fold == 1:
            del metrics["f1"]
        values = {name: {"value": x, "low": None, "high": None} for name, x in metrics.items()}
        out.mkdir()
        content = {"metrics": values, "uncertainty": {"total": {"value": 1.0}}}
        (out / "metrics.json").write_text(json.dumps(content))

    monkeypatch.setattr(cross_validation, "evaluate", evaluate)


@pytest.mark.usefixtures("eager", "quick_evaluation")
def test_folds_are_resumable(bases, events, tmp_path):
    recipe = transfer_recipe("det-flip", "fixed", "training.checkpoint_every_steps=1")
    out, seen = tmp_path / "cv", []

    def on_progress(name, progress):
        seen.append((name, progress.step))
        if len(seen) == 4:
            raise Killed

    arguments = (recipe, bases["deterministic"], events, out)
    with pytest.raises(Killed):
        cross_validate(*arguments, folds=[1, 3], final=True, on_progress=on_progress)
    summary = cross_validate(*arguments, folds=[1, 3], final=True, on_progress=on_progress)
    # Killed after the second step of fold 3, whose checkpoint had not been written.
    assert seen == [("fold1", 1), ("fold1", 2), ("fold3", 1), ("fold3", 2)] + [
        ("fold3", 2), ("final", 1), ("final", 2)
    ]  # fmt: skip
    assert read_info(out / "fold3").data.held_out == ["fold3"]
    final = read_info(out / "final").data
    assert final.held_out == [] and final.splits == [f"fold{k}" for k in range(1, 6)]
    mean, low, high = student_interval([0.1, 0.3])
    expected = {"mean": mean, "low": low, "high": high, "values": [0.1, 0.3]}
    assert summary["metrics"] == {"accuracy": expected}  # the others are not of every fold
    assert summary["folds"] == ["fold1", "fold3"]
    assert json.loads((out / "cross_validation.json").read_text()) == summary

    other = transfer_recipe("det-flip", "fixed", "training.seed=1")
    with pytest.raises(UserError, match="fold1 was trained by another recipe; choose another --out"):
        cross_validate(other, *arguments[1:], folds=[1, 3])


def test_no_folds(bases, tagging, tmp_path):
    with pytest.raises(UserError, match="cross-validation takes two or more folds"):
        cross_validate(transfer_recipe("det", "fixed"), bases["deterministic"], tagging, tmp_path)


@pytest.mark.usefixtures("eager")
def test_the_command(bases, events, tmp_path):
    """With the real evaluation."""

    def run(*options):
        arguments = ["transfer", "--strategy", "det", "--mode", "fixed", *options]
        places = ["--base", bases["deterministic"], "--data", events, "--out", tmp_path / "cv"]
        short = ["--set", "training.steps=1", "--set", "training.batch_size=4"]
        return CliRunner().invoke(main, [*arguments, *map(str, places), *short])

    result = run("--folds", "2,5")
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "cv" / "cross_validation.json").read_text())
    accuracy = summary["metrics"]["accuracy"]
    shown = next(line for line in result.output.splitlines() if line.startswith("accuracy"))
    assert shown.split()[1:] == [f"{accuracy[key]:.3f}" for key in ("mean", "low", "high")] + [
        f"{value:.3f}" for value in accuracy["values"]
    ]
    assert {"total", "aleatoric", "epistemic"} <= summary["uncertainty"].keys()

    for options, message in {
        ("--folds", "all", "--test-fold", "1"): "--test-fold holds out one fold and --folds each in turn",
        ("--final",): "--final goes with --folds",
        ("--folds", "1,x"): "--folds is '1,x'; give all, or numbers such as 1,2,3",
        ("--folds", "2,9"): "split 'fold9' is unknown",
    }.items():
        result = run(*options)
        assert result.exit_code == 1 and message in result.output, result.output
