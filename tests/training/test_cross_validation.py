"""Cross-validation: every fold once, each resumable, means with Student's intervals."""

import json

import pytest
from click.testing import CliRunner

from tests.helpers.interruptions import Killed
from tests.helpers.tiny_training import transfer_recipe
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.files.locking import locked
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.saved_model.versions import finished_versions
from vipann_tf.training import cross_validation
from vipann_tf.training.cross_validation import cross_validate
from vipann_tf.training.distribution import make_distribution
from vipann_tf.uncertainty.confidence_intervals import student_interval

pytestmark = pytest.mark.slow


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
    """Evaluate to an accuracy of a tenth of the fold's number."""

    def evaluate(model, data, out, *, overwrite):
        fold = int(read_model_info(model).data.held_out[0].removeprefix("fold"))
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
    assert seen[:4] == [("fold1", 1), ("fold1", 2), ("fold3", 1), ("fold3", 2)]
    assert seen[4:] == [("fold3", 2), ("final", 1), ("final", 2)]
    assert read_model_info(out / "fold3").data.held_out == ["fold3"]
    final = read_model_info(out / "final").data
    assert final.held_out == [] and final.splits == [f"fold{k}" for k in range(1, 6)]
    mean, low, high = student_interval([0.1, 0.3])
    expected = {"mean": mean, "low": low, "high": high, "values": [0.1, 0.3]}
    assert summary["metrics"] == {"accuracy": expected}  # the others are not of every fold
    assert summary["folds"] == ["fold1", "fold3"]
    assert json.loads((out / "cross_validation.json").read_text()) == summary

    other = transfer_recipe("det-flip", "fixed", "training.seed=1")
    with pytest.raises(UserError) as error:
        cross_validate(other, *arguments[1:], folds=[1, 3])
    assert "fold1 was trained with other settings: recipe.training." in str(error.value)
    assert "recipe.training.seed differ; choose another --out, or train every fold again" in str(
        error.value
    )
    with pytest.raises(UserError, match="settings: base.architecture.head, base.arch.* differ"):
        cross_validate(recipe, bases["dropout"], events, out, folds=[1])


@pytest.mark.usefixtures("eager", "quick_evaluation")
def test_an_interrupted_overwrite_goes_on(bases, events, tmp_path):
    """The same command, `--overwrite` included, trains anew only what it had not yet replaced."""
    recipe = transfer_recipe("det-flip", "fixed", "training.checkpoint_every_steps=1")
    arguments = (recipe, bases["deterministic"], events, tmp_path / "cv")
    cross_validate(*arguments, folds=[1, 3])
    (tmp_path / "cv" / "fold1" / "evaluation" / "metrics.json").write_text("{}")
    seen = []

    def on_progress(name, progress):
        seen.append((name, progress.step))
        if len(seen) == 3:
            raise Killed

    again = {"folds": [1, 3], "overwrite": True, "on_progress": on_progress}
    with pytest.raises(Killed):
        cross_validate(*arguments, **again)
    summary = cross_validate(*arguments, **again)
    assert seen == [("fold1", 1), ("fold1", 2), ("fold3", 1), ("fold3", 1), ("fold3", 2)]
    assert summary["metrics"]["accuracy"]["values"] == [0.1, 0.3]  # evaluated anew
    for fold in ("fold1", "fold3"):
        assert [x.name for x in finished_versions(tmp_path / "cv" / fold)] == ["2"]

    # Once it is finished, the same command begins again.
    cross_validate(*arguments, **again)
    assert seen[5:] == [("fold1", 1), ("fold1", 2), ("fold3", 1), ("fold3", 2)]


def test_places_and_devices(bases, events, tmp_path):
    arguments = (transfer_recipe("det", "fixed"), bases["deterministic"], events)
    with pytest.raises(UserError, match="s3://b/cv is in an object store, .* choose a local --out"):
        cross_validate(*arguments, "s3://b/cv")
    with pytest.raises(
        UserError, match="2 folds at the same time use one device each; leave --devices out"
    ):
        cross_validate(
            *arguments, tmp_path / "cv", parallel=2, distribution=make_distribution("none")
        )
    (tmp_path / "cv").mkdir()
    words = "another process is training into .*cv right now"
    with locked(tmp_path / "cv"), pytest.raises(UserError, match=words):
        cross_validate(*arguments, tmp_path / "cv")


def test_no_folds(bases, tagging, tmp_path):
    with pytest.raises(UserError, match="cross-validation needs two or more folds"):
        cross_validate(transfer_recipe("det", "fixed"), bases["deterministic"], tagging, tmp_path)


@pytest.mark.usefixtures("eager")
def test_the_command(bases, events, tmp_path):
    """With the real evaluation, and two folds in processes of their own."""

    def run(*options):
        arguments = ["transfer", "--strategy", "det", "--mode", "fixed", *options]
        places = ["--base", bases["deterministic"], "--data", events, "--out", tmp_path / "cv"]
        short = ["--set", "training.steps=1", "--set", "training.batch_size=4"]
        short.append("--allow-empty-labels")
        return CliRunner().invoke(main, [*arguments, *map(str, places), *short])

    result = run("--folds", "2,5", "--parallel-folds", "2")
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "cv" / "cross_validation.json").read_text())
    accuracy = summary["metrics"]["accuracy"]
    shown = next(line for line in result.output.splitlines() if line.startswith("accuracy"))
    assert shown.split()[1:] == [f"{accuracy[key]:.3f}" for key in ("mean", "low", "high")] + [
        f"{value:.3f}" for value in accuracy["values"]
    ]
    assert {"total", "aleatoric", "epistemic"} <= summary["uncertainty"].keys()

    for options, message in {
        (
            "--folds",
            "all",
            "--test-fold",
            "1",
        ): "--test-fold holds out one fold and --folds each in turn",
        ("--final",): "--final goes with --folds",
        ("--folds", "1,x"): "--folds is '1,x'; give all, or numbers such as 1,2,3",
        ("--folds", "2,9"): "split 'fold9' is unknown",
        ("--parallel-folds", "2"): "--parallel-folds goes with --folds, such as --folds all",
        ("--folds", "all", "--parallel-folds", "2", "--devices", "mirrored"): (
            "parallel folds (2) get one device each, and devices='mirrored' shares each step"
        ),
    }.items():
        result = run(*options)
        assert result.exit_code == 1 and message in result.output, result.output
