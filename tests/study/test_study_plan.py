"""What is done and what the rest costs."""

import pytest

from vipann_tf.recipes import load_recipe
from vipann_tf.study.directory import Record, StudyDirectory, write_record
from vipann_tf.study.grid import cells
from vipann_tf.study.plan import plan, seconds_left
from vipann_tf.study.recipe import StudyRecipe


def small(**changes):
    values = {
        "datasets": {"a": {"dataset": "csv", "source": "s", "clips": 100}},
        "upstream": {"base": {"recipe": "pretrain/small_deterministic", "data": "a"}},
        "downstream": {"a": {"data": "a", "folds": 5, "recipes": {"fixed": {}}}},
        "grid": [
            {"strategies": ["det"], "modes": ["fixed"], "fractions": [1.0, 0.5], "folds": [1, 2]}
        ],
        "costs": {
            "pretrain-deterministic": {"start_s": 5, "clip_ms": 10},
            "det-fixed": {"start_s": 2, "clip_ms": 1},
        },
    }
    return load_recipe(StudyRecipe, None, [{**values, **changes}])


def statuses(recipe, out, **options):
    return {x.job.name: x for x in plan(StudyDirectory(recipe, out), cells(recipe), **options)}


def test_costs_by_hand(tmp_path):
    """600 steps of 32; ten epochs of four fifths of 100 clips, or of half of them."""
    found = statuses(small(), tmp_path)
    assert list(found)[:2] == ["a", "base"]
    assert found["a"].seconds is None
    assert found["base"].seconds == pytest.approx(5 + 0.010 * 600 * 32)
    whole = [found[f"a/base/det-fixed/seed0-fold{k}"].seconds for k in (1, 2)]
    assert whole == pytest.approx([2 + 0.001 * 10 * 80] * 2)
    assert found["a/base/det-fixed-50pct/seed0-fold1"].seconds == pytest.approx(2 + 0.001 * 10 * 40)
    assert {x.state for x in found.values()} == {"to do"}
    total = 5 + 192 + 2 * 2.8 + 2 * 2.4
    assert seconds_left(list(found.values())) == (pytest.approx(total), 1)


def test_unknown_numbers_of_clips(tmp_path):
    unknown = small(datasets={"a": {"dataset": "csv", "source": "s"}})
    assert statuses(unknown, tmp_path)["a/base/det-fixed/seed0-fold1"].seconds is None


def test_networks_that_no_cell_needs(tmp_path):
    kinds = {"x": "deterministic", "y": "flipout"}
    recipe = small(upstream={name: {"model": name, "kind": kind} for name, kind in kinds.items()})
    assert "y" not in statuses(recipe, tmp_path)
    assert "y" in statuses(recipe, tmp_path, everything=True)


def test_measured_times_correct_the_estimates(tmp_path):
    """One cell took twice what was thought, so its like will."""
    recipe = small()
    directory, first = StudyDirectory(recipe, tmp_path), cells(recipe)[0]
    (directory.cell(first) / "1").mkdir(parents=True)
    directory.cell_evaluation(first).mkdir()
    (directory.cell_evaluation(first) / "metrics.json").touch()
    write_record(directory.record("cell", first.name), Record("finished", 5.6))
    found = statuses(recipe, tmp_path)
    assert (found[first.name].state, found[first.name].seconds) == ("finished", 5.6)
    assert found["a/base/det-fixed/seed0-fold2"].seconds == pytest.approx(5.6)
    assert found["a/base/det-fixed-50pct/seed0-fold1"].seconds == pytest.approx(4.8)
    assert found["base"].seconds == pytest.approx(197)


def test_states(tmp_path):
    recipe = small()
    directory, (failed, stopped, *_) = StudyDirectory(recipe, tmp_path), cells(recipe)
    write_record(directory.record("cell", failed.name), Record("failed", 1.0, "no reason"))
    write_record(directory.record("cell", stopped.name), Record("stopped", 1.0))
    found = statuses(recipe, tmp_path)
    assert (found[failed.name].state, found[stopped.name].state) == ("failed", "unfinished")
