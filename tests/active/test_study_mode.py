"""Mode active of a study: its cells, what a kill costs, and its tables."""

import csv
import json
import shutil

import numpy as np
import pytest

from vipann_tf.errors import UserError
from vipann_tf.recipes import load_recipe
from vipann_tf.study import active_stages
from vipann_tf.study.curves import curve_tables, labels_needed, read_curves
from vipann_tf.study.directory import StudyDirectory
from vipann_tf.study.grid import cells, select
from vipann_tf.study.outcome import write_outcome
from vipann_tf.study.recipe import StudyRecipe
from vipann_tf.study.run import run_study


@pytest.fixture(scope="module")
def recipe(events, base):
    settings = {
        "training": {"steps": 1, "batch_size": 4},
        "export": {"num_draws": 2, "batch_norm": "stored"},
    }
    values = {
        "datasets": {"a": {"directory": str(events)}},
        "upstream": {"base": {"model": str(base), "kind": "deterministic"}},
        "downstream": {
            "a": {
                "data": "a",
                "folds": [1, 2],
                "recipes": {"active": {"recipe": "transfer/small_fixed", "settings": settings}},
            }
        },
        "active": {
            "acquisitions": ["random", "margin"],
            "start_per_label": 1,
            "rounds": 2,
            "per_round": 3,
            "targets": [0.05, 1.0],
        },
        "grid": [{"strategies": ["det-laplace"], "modes": ["active"], "seeds": [0, 1]}],
    }
    return load_recipe(StudyRecipe, None, [values])


def tables_of(recipe, out) -> list[str]:
    arms = read_curves(StudyDirectory(recipe, out), cells(recipe))
    return [table.csv() for table in curve_tables(arms, recipe.active.targets)]


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_a_killed_study_has_the_same_tables(recipe, tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    some = select(cells(recipe), ["seed=0"])
    outcome = run_study(recipe, whole, some)
    names = [f"a/base/det-laplace-active/seed0-fold{fold}" for fold in (1, 2)]
    assert not outcome.failed
    assert [job.name for job in outcome.finished] == ["a", "base", "a/base", *names]

    simulate, calls = active_stages.simulate, []

    def until_the_fourth(*args, **options):
        calls.append(args[3])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return simulate(*args, **options)

    monkeypatch.setattr(active_stages, "simulate", until_the_fourth)
    shutil.copytree(whole / "features", killed / "features")
    with pytest.raises(KeyboardInterrupt):
        run_study(recipe, killed, some)
    assert not run_study(recipe, killed, some).failed
    # The second cell goes on with its second acquisition.
    assert calls == [*["random", "margin"] * 2, "margin"]
    assert tables_of(recipe, killed) == tables_of(recipe, whole)
    run_study(recipe, killed, some)
    assert len(calls) == 5

    other = recipe.model_copy(update={"active": recipe.active.model_copy(update={"rounds": 1})})
    [*_, reason] = run_study(other, killed, some).failed.values()
    assert "was made by another recipe, network or data set than the study's" in reason
    features = killed / "features" / "a" / "base.npz"
    features.write_bytes((whole / "features" / "a" / "base.npz").read_bytes()[:100])
    failed = run_study(recipe, killed, some).failed
    assert "holds no features of clips" in failed["a/base"]


def test_strategies_without_features(recipe):
    for strategy in ("drop", "ens", "flip"):
        values = {"grid": [{"strategies": [strategy], "modes": ["active"]}]}
        wrong = load_recipe(StudyRecipe, None, [recipe.model_dump(mode="json"), values])
        with pytest.raises(UserError, match=f"mode active trains .* det-laplace; leave {strategy}"):
            cells(wrong)


def write_curves(directory, accuracy) -> None:
    """Write curves whose accuracies are a function of acquisition, fold, seed and round."""
    for cell in cells(directory.recipe):
        for name in directory.recipe.active.acquisitions:
            rounds = [
                {
                    "labels": 10 + 3 * i,
                    "chosen": [],
                    "scores": {"accuracy": accuracy(name, cell.fold, cell.seed, i), "nll": 1.0},
                }
                for i in range(3)
            ]
            file = directory.curve(cell, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"task": "multiclass", "rounds": rounds}))


def test_tables_by_hand(recipe, tmp_path):
    """Margin is better by 0.1 from the second training on, in every fold and seed."""
    directory = StudyDirectory(recipe, tmp_path)
    write_curves(
        directory,
        lambda name, fold, seed, i: (
            0.2 * i + 0.01 * fold + 0.02 * seed + 0.1 * (name == "margin" and i > 0)
        ),
    )
    [arm] = read_curves(directory, cells(recipe))
    assert arm.labels.tolist() == [10, 13, 16] and arm.finished == 4
    expected = 0.2 * np.arange(3) + 0.01 * np.array([[[1]], [[2]]]) + 0.02 * np.array([[[0], [1]]])
    np.testing.assert_allclose(arm.scores["random"]["accuracy"], expected)
    np.testing.assert_allclose(arm.less_random("margin", "accuracy"), [[[0, 0.1, 0.1]] * 2] * 2)
    tables = write_outcome(directory, cells(recipe))
    assert [x.name for x in tables] == ["active_labels", "active_differences", "active_curves"]
    assert (tmp_path / "plots" / "active-a-base-det-laplace-active.png").is_file()
    text = (tmp_path / "tables" / "active_differences.csv").read_text()
    [row] = csv.DictReader(text.splitlines())
    assert row["acquisition"] == "margin" and row["folds x seeds"] == "2 x 2"
    assert [float(row[f"accuracy, mean{end}"]) for end in ("", " low", " high")] == [0.1] * 3
    assert row["accuracy, last verdict"] == "better" and row["NLL, last verdict"] == ""


def test_seeds_that_lack_a_fold_are_left_out(recipe, tmp_path):
    directory = StudyDirectory(recipe, tmp_path)
    write_curves(directory, lambda *args: 0.5)
    last = cells(recipe)[-1]
    directory.curve(last, "margin").unlink()
    [arm] = read_curves(directory, cells(recipe))
    assert arm.scores["random"]["nll"].shape == (2, 1, 3) and arm.finished == 3


def test_labels_needed_by_hand():
    one = np.array([[[0.5, 0.7, 0.9]]])
    assert labels_needed([10, 20, 40], one, 0.8) == "30"
    assert labels_needed([10, 20, 40], one, 0.4) == "10"
    assert labels_needed([10, 20, 40], one, 0.95) == ">40"
    # Two folds 0.02 apart: half the width of the interval is 12.706 x 0.01 = 0.127.
    two = np.array([[[0.5, 0.7, 0.9]], [[0.52, 0.72, 0.92]]])
    low, high = 20 + 20 * (0.8 - 0.583) / 0.2, 10 + 10 * (0.8 - 0.637) / 0.2
    assert low > 40 and round(high) == 18
    assert labels_needed([10, 20, 40], two, 0.8) == "29 (18 to >40)"
