"""Tables of made-up results against numbers worked out apart."""

import csv
import io

import numpy as np
import pytest
import sklearn.metrics

from tests.helpers.made_up_study import FOLD, study_recipe, write_cell
from vipann_tf.errors import UserError
from vipann_tf.study.arms import by_fold_and_seed, read_arms, read_upstream
from vipann_tf.study.differences import (
    difference_table,
    ood_difference_table,
    pairs,
    training_difference_table,
)
from vipann_tf.study.directory import StudyDirectory
from vipann_tf.study.grid import cells, select
from vipann_tf.study.outcome import write_outcome
from vipann_tf.study.paper_tables import (
    downstream_table,
    ood_table,
    uncertainty_table,
    upstream_table,
)
from vipann_tf.uncertainty.confidence_intervals import crossed_interval, student_interval

RESAMPLES = 200


@pytest.fixture(scope="module")
def arms(made_up):
    return read_arms(made_up[0], list(made_up[1]))


def rows(table):
    return list(csv.DictReader(io.StringIO(table.csv())))


def of(found, **values):
    """Results by seed and fold of the cells of these values."""
    return {
        (cell.seed, cell.fold): results
        for cell, results in found.items()
        if all(getattr(cell, key) == value for key, value in values.items())
    }


def accuracies(results):
    """Of the trainings, [folds, seeds]."""
    return np.array(
        [[np.mean(~results[seed, fold].wrong) for seed in (0, 1)] for fold in (1, 2, 3)]
    )


def test_downstream(made_up, arms):
    """Means over folds and seeds, with intervals over both."""
    table = rows(downstream_table(arms))
    assert [(row["strategy"], row["options"], row["training clips"]) for row in table] == [
        ("det", "", "100 %"),
        ("drop", "", "100 %"),
        ("flip", "", "100 %"),
        ("det-flip", "", "100 %"),
        ("det-flip", "elbo", "100 %"),
        ("det", "", "50 %"),
    ]
    assert [row["folds"] for row in table] == ["6", "6", "6", "6", "3", "3"]
    results = of(made_up[1], strategy="drop")
    expected = crossed_interval(accuracies(results))
    found = [float(table[1][name]) for name in ("accuracy", "accuracy low", "accuracy high")]
    assert found == pytest.approx(expected, abs=1e-5)
    assert {"NLL", "ECE", "Brier"} <= table[0].keys() and "mAP" not in table[0]


def test_uncertainty_and_ood(made_up, arms):
    table = rows(uncertainty_table(read_upstream(made_up[0]), arms))
    directory = list(dict.fromkeys(row["set of clips"] for row in table))
    # Sets outside are called as the study calls them.
    assert directory[:2] == ["tagging (upstream)", "a (held out)"]
    assert directory[2:] == ["speech (outside a)", "ships (outside a)"]
    results = of(made_up[1], strategy="flip")
    [row] = [x for x in table if x["set of clips"] == directory[3] and x["strategy"] == "flip"]
    values = [
        np.mean([results[seed, fold].outside["shipsear"].epistemic.mean() for seed in (0, 1)])
        for fold in (1, 2, 3)
    ]
    assert float(row["epistemic"]) == pytest.approx(np.mean(values), rel=1e-4)

    [row] = [
        x for x in rows(ood_table(arms)) if (x["set of clips"], x["strategy"]) == ("speech", "flip")
    ]
    values = []
    for fold in (1, 2, 3):
        auroc = []
        for seed in (0, 1):
            result = results[seed, fold]
            inside, outside = result.answers.total, result.outside["folder"].total
            auroc.append(
                sklearn.metrics.roc_auc_score(
                    np.r_[np.zeros(len(inside)), np.ones(len(outside))], np.r_[inside, outside]
                )
            )
        values.append(np.mean(auroc))
    assert float(row["total"]) == pytest.approx(np.mean(values), abs=1e-5)


def test_upstream(made_up):
    table = rows(upstream_table(read_upstream(made_up[0])))
    assert [row["network"] for row in table] == ["deterministic", "dropout", "flipout"]
    results = made_up[2]["dropout"]
    expected = sklearn.metrics.average_precision_score(results.truth, results.answers.probs)
    assert float(table[1]["mAP"]) == pytest.approx(expected, abs=1e-5)
    assert {"AUC", "d'", "aleatoric", "epistemic"} <= table[0].keys()


def test_pairs(arms):
    names = [(first.name, second.name) for first, second in pairs(arms)]
    assert names == [
        ("drop-fixed", "det-fixed"),
        ("flip-fixed", "det-fixed"),
        ("det-flip-fixed", "det-fixed"),
        ("det-flip-fixed-elbo", "det-fixed"),
        ("flip-fixed", "drop-fixed"),
        ("det-flip-fixed", "drop-fixed"),
        ("det-flip-fixed", "flip-fixed"),
        ("det-flip-fixed-elbo", "det-flip-fixed"),
    ]


def test_differences(made_up, arms):
    """Of all folds' clips, pooled; what every seed says of a clip stays together."""
    table = {(row["first"], row["second"]): row for row in rows(difference_table(arms, RESAMPLES))}
    first, second = (
        of(made_up[1], strategy=strategy, variant="plain", fraction=1.0)
        for strategy in ("det-flip", "det")
    )
    gap = np.concatenate([second[key].wrong * 1.0 - first[key].wrong for key in sorted(first)])
    row = table["det-flip", "det"]
    assert row["clips"] == str(6 * FOLD)
    assert float(row["accuracy"]) == pytest.approx(gap.mean(), abs=1e-5)
    # A normal interval of the clips' means over seeds.
    by_clip = gap.reshape(2, 3 * FOLD).mean(axis=0)
    half = 1.96 * by_clip.std() / np.sqrt(len(by_clip))
    low, high = (float(row[f"accuracy {end}"]) for end in ("low", "high"))
    assert (high - low) / 2 == pytest.approx(half, rel=0.25)
    assert low > 0 and row["accuracy verdict"] == "better"
    assert row["NLL verdict"] == "better" and float(row["NLL"]) < 0  # less is better
    for name in ("accuracy", "NLL", "ECE", "Brier"):
        for row in table.values():
            excludes = not float(row[f"{name} low"]) <= 0 <= float(row[f"{name} high"])
            assert bool(row[f"{name} verdict"]) == excludes
    # Options have one seed; the pair is of that one.
    assert table["det-flip, elbo", "det-flip"]["clips"] == str(3 * FOLD)


def test_differences_between_trainings(made_up, arms):
    """Of the same folds and seeds; options have one seed, so they can't say how seeds vary."""
    table = {(row["first"], row["second"]): row for row in rows(training_difference_table(arms))}
    assert ("drop", "det") in table and not any("elbo" in first for first, _ in table)
    first, second = (
        accuracies(of(made_up[1], strategy=strategy, variant="plain", fraction=1.0))
        for strategy in ("det-flip", "det")
    )
    row = table["det-flip", "det"]
    assert row["folds x seeds"] == "3 x 2"
    found = [float(row[f"accuracy{end}"]) for end in ("", " low", " high")]
    assert found == pytest.approx(crossed_interval(first - second), abs=1e-5)
    for name in ("accuracy", "NLL", "ECE", "Brier"):
        value, low, high = (float(row[f"{name}{end}"]) for end in ("", " low", " high"))
        better = value > 0 if name == "accuracy" else value < 0
        said = ("better" if better else "worse") if low > 0 or high < 0 else ""
        assert row[f"{name} verdict"] == said


def test_trainings_that_are_missing():
    """A fold's mean over the seeds that have it; nothing of a metric that is not defined."""
    numbers = {(0, 1): 1.0, (0, 2): 3.0, (1, 1): 2.0}
    assert by_fold_and_seed(numbers).tolist() == [[1.5], [3.0]]
    assert by_fold_and_seed({**numbers, (1, 2): 5.0}).tolist() == [[1, 2], [3, 5]]
    assert by_fold_and_seed({(0, None): 1.0, (4, None): 2.0}).tolist() == [[1, 2]]
    assert by_fold_and_seed({**numbers, (1, 2): None}).shape == (0, 0)
    assert by_fold_and_seed({}).shape == (0, 0)


def test_ood_differences(made_up, arms):
    table = rows(ood_difference_table(arms, RESAMPLES))
    aurocs = {
        (row["set of clips"], row["strategy"]): float(row["total"])
        for row in rows(ood_table(arms))
        if not row["options"] and row["training clips"] == "100 %"
    }
    compared = 0
    for row in table:
        key = [(row["set of clips"], row[name]) for name in ("first", "second")]
        if all(x in aurocs for x in key):
            compared += 1
            assert float(row["total"]) == pytest.approx(aurocs[key[0]] - aurocs[key[1]], abs=2e-5)
            assert float(row["total low"]) <= float(row["total"]) <= float(row["total high"])
    assert compared == 12


def test_the_same_outcome_twice(made_up):
    directory, found, _ = made_up

    def write():
        write_outcome(directory, list(found), resamples=RESAMPLES)
        files = [directory.out / "study.html", *(directory.out / "tables").iterdir()]
        files += (directory.out / "plots").iterdir()
        return {file.name: file.read_bytes() for file in files}

    first = write()
    assert {f"differences.{kind}" for kind in ("csv", "md", "tex")} <= first.keys()
    assert {"uncertainty-upstream.png", "reliability-a-fixed.png"} <= first.keys()
    assert first["risk-coverage-a-fixed.png"][1:4] == b"PNG"
    assert write() == first


def test_partly_finished(tmp_path):
    """What is there is shown, and that it is not all."""
    recipe = study_recipe()
    directory = StudyDirectory(recipe, tmp_path)
    everything = cells(recipe)
    with pytest.raises(UserError, match="holds no finished part of this study; run it first"):
        write_outcome(directory, everything)
    for cell in select(everything, ["strategy=det|flip,seed=0,fold=2,fraction=1"]):
        write_cell(directory, cell)
    write_cell(directory, select(everything, ["strategy=det,seed=0,fold=3,fraction=1"])[0])
    tables = {
        table.name: rows(table) for table in write_outcome(directory, everything, resamples=20)
    }
    assert "upstream" not in tables
    assert [(row["strategy"], row["folds"]) for row in tables["downstream"]] == [
        ("det", "2 of 6"), ("flip", "1 of 6")
    ]  # fmt: skip
    assert tables["downstream"][1]["accuracy low"] == ""  # one fold has no interval
    assert [row["clips"] for row in tables["differences"]] == [str(FOLD)]
    assert "3 of 30 cells finished" in (tmp_path / "study.html").read_text()


def test_without_folds(tmp_path):
    """DCASE has none: seeds take their place."""
    whole = {"a": {"data": "a", "recipes": {"fixed": {}}}}
    grid = [{"strategies": ["det"], "modes": ["fixed"], "seeds": [0, 1, 2]}]
    recipe = study_recipe(downstream=whole, grid=grid)
    directory = StudyDirectory(recipe, tmp_path)
    results = [write_cell(directory, cell) for cell in cells(recipe)]
    [row] = rows(downstream_table(read_arms(directory, cells(recipe))))
    expected = student_interval([np.mean(~x.wrong) for x in results])
    found = [float(row[f"accuracy{end}"]) for end in ("", " low", " high")]
    assert found == pytest.approx(expected, abs=1e-5)
