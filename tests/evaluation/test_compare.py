"""Comparisons of results directories that were made up from a seed."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from tests.helpers.evaluation_examples import example_results
from tests.helpers.light_model import write_light_model
from vipann_tf import datasets
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.evaluation.compare import compare, evaluate_models
from vipann_tf.evaluation.evaluate import evaluate
from vipann_tf.evaluation.intervals import paired_differences
from vipann_tf.evaluation.results import Results, write_clip_csv
from vipann_tf.evaluation.stored_results import read_results
from vipann_tf.evaluation.summary import summarise
from vipann_tf.records.prepare import prepare

RESAMPLES = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a model directory and a dataset directory of 1 s clips; fold 5 is held out."""
    root = tmp_path_factory.mktemp("compare")
    source = datasets.load("synthetic", None, task="multiclass", clips=20, seconds=1.0)
    write_light_model(root / "model", prepare(source, root / "data", workers=1))
    return root / "model", root / "data"


def _write(results: Results, path):
    path.mkdir()
    (path / "metrics.json").write_text(json.dumps(summarise(results, resamples=RESAMPLES)))
    write_clip_csv(results, path / "predictions.csv")
    return path


def _better(results: Results, model: str, share: float = 0.5) -> Results:
    """Return the same model with a share of the truth mixed in."""
    probs = (1 - share) * results.answers.probs + share * results.truth
    answers = dataclasses.replace(results.answers, probs=probs)
    return dataclasses.replace(results, answers=answers, model=model)


def _rows(path) -> list[dict]:
    with open(path / "compare.csv", newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_results_come_back_as_they_were_written(task, tmp_path):
    results = example_results(task)
    found = read_results(_write(results, tmp_path / "a"))
    assert found.clip_ids == results.answers.clip_ids
    np.testing.assert_allclose(found.probs, results.answers.probs, rtol=1e-5)
    np.testing.assert_array_equal(found.truth, results.truth)
    assert set(found.uncertainty) == {"fold5", "other <sounds>"}
    outside = found.uncertainty["other <sounds>"]["epistemic"]
    np.testing.assert_allclose(outside, results.outside["other <sounds>"].epistemic, rtol=1e-5)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_differences_are_paired_by_clip_whatever_the_order(task, tmp_path):
    first = example_results(task)
    second = _better(first, "saved_models/better")
    order = np.random.default_rng(0).permutation(len(first.truth))[:30]  # some clips only
    arrays = {
        name: value[order] if isinstance(value, np.ndarray) else value
        for name, value in vars(second.answers).items()
    }
    arrays["clip_ids"] = tuple(second.answers.clip_ids[i] for i in order)
    shuffled = dataclasses.replace(
        second,
        answers=dataclasses.replace(second.answers, **arrays),
        truth=second.truth[order],
        outside={},
    )
    places = [_write(first, tmp_path / "a"), _write(shuffled, tmp_path / "b")]
    compare(places, tmp_path / "out", resamples=RESAMPLES)
    expected = paired_differences(
        second.answers.probs[order],
        first.answers.probs[order],
        first.truth[order],
        task,
        resamples=RESAMPLES,
    )
    rows = {row["metric"]: row for row in _rows(tmp_path / "out") if row["against"]}
    for name, interval in expected.items():
        row = rows[name]
        assert (row["model"], row["against"], row["clips"]) == ("better", "a model", "30")
        if interval.value is None:
            assert row["value"] == ""
            continue
        found = [float(row[key]) for key in ("value", "low", "high")]
        wanted = [interval.value, interval.low, interval.high]
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
    assert float(rows["nll"]["high"]) < 0  # it is better, and beyond chance
    assert float(rows["mean epistemic (nats)"]["value"]) == pytest.approx(0, abs=1e-6)


def test_differences_in_telling_unfamiliar_clips(tmp_path):
    first = example_results("multiclass")
    ((name, outside),) = first.outside.items()
    noise = np.random.default_rng(3).uniform(0, 0.3, len(outside.clip_ids))
    changed = dataclasses.replace(outside, epistemic=outside.epistemic + noise)
    second = dataclasses.replace(_better(first, "m/better"), outside={name: changed})
    places = [_write(first, tmp_path / "a"), _write(second, tmp_path / "b")]
    compare(places, tmp_path / "out", resamples=RESAMPLES)
    inside = first.answers.epistemic
    truth = [0] * len(inside) + [1] * len(noise)
    one, two = (
        roc_auc_score(truth, np.concatenate([inside, x.epistemic])) for x in (outside, changed)
    )
    rows = {row["metric"]: row for row in _rows(tmp_path / "out") if row["against"]}
    row = rows[f"{name}: AUROC of epistemic"]
    assert two - one > 0.01
    assert float(row["value"]) == pytest.approx(two - one, abs=2e-3)  # six decimals: ties
    assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
    assert float(rows[f"{name}: AUROC of total"]["value"]) == 0


@pytest.mark.slow
def test_models_are_evaluated_first(made, tmp_path):
    model, data = made
    results = tmp_path / "before"
    evaluate(model, data, results)
    asked = ["compare", str(results), str(model), "--data", str(data)]
    shown = CliRunner().invoke(main, [*asked, "--out", str(tmp_path / "out")])
    assert shown.exit_code == 0, shown.output
    # The same model twice: every difference is nothing.
    differences = [row for row in _rows(tmp_path / "out") if row["against"]]
    assert differences and all(float(row["value"] or 0) == 0 for row in differences)
    assert len(list((tmp_path / "out-results").glob("*/metrics.json"))) == 1


def test_models_of_one_name_have_results_of_their_own(made, tmp_path):
    """As the folds of two strategies have."""
    model, data = made
    for strategy in ("det", "flip"):
        shutil.copytree(model, tmp_path / strategy / "fold5")
    models = [tmp_path / "det" / "fold5", tmp_path / "flip" / "fold5"]
    places = evaluate_models(models, [data], tmp_path / "r")
    assert len(set(places)) == 2
    assert [read_results(place).summary["model"] for place in places] == list(map(str, models))


def test_what_is_neither_model_nor_results(made, tmp_path):
    model, data = made
    with pytest.raises(UserError, match="holds neither results nor a model: no model at"):
        evaluate_models([tmp_path / "none"], [data], tmp_path / "r")
    with pytest.raises(UserError, match=r"is a model; say on which data to evaluate it \(--data"):
        evaluate_models([model], [], tmp_path / "r")
    written = _write(example_results("multiclass"), tmp_path / "a")
    with pytest.raises(UserError, match="was given, but no model to evaluate on it"):
        evaluate_models([written], [data], tmp_path / "r")


def test_a_comparison_holds_every_model_and_dataset(tmp_path):
    first = example_results("multiclass")
    other = dataclasses.replace(example_results("multilabel", draws=1), dataset="tags")
    places = [
        _write(first, tmp_path / "a"),
        _write(_better(first, "m/better"), tmp_path / "b"),
        _write(other, tmp_path / "c"),
    ]
    asked = ["compare", *map(str, places), "--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(main, asked)
    assert shown.exit_code == 0, shown.output
    numbers = [row for row in _rows(tmp_path / "out") if not row["against"]]
    for path, place in zip(
        places,
        [("a dataset", "a model"), ("a dataset", "better"), ("tags", "a model")],
        strict=True,
    ):
        summary = json.loads((path / "metrics.json").read_text())
        mine = {r["metric"]: r for r in numbers if (r["dataset"], r["model"]) == place}
        for name, interval in summary["metrics"].items():
            if interval["value"] is not None:
                assert float(mine[name]["value"]) == pytest.approx(interval["value"], rel=1e-5)
        auroc = summary["ood"]["other <sounds>"]["scores"]["epistemic"]["auroc"]
        found = mine["other <sounds>: AUROC of epistemic"]
        assert float(found["value"]) == pytest.approx(auroc["value"], rel=1e-5)
    text = (tmp_path / "out" / "compare.md").read_text()
    assert "| a dataset fold5 | better | a model | 40 |" in text and "| tags fold5 |" in text
    assert "**" in text
    assert "Against a model, on the same 40 clips" in shown.output
    assert (tmp_path / "out" / "uncertainty.png").read_bytes()[1:4] == b"PNG"
    again = CliRunner().invoke(main, asked)
    assert again.exit_code == 1 and "Error: " in again.output


def test_models_of_one_name_are_told_apart_by_their_results(tmp_path):
    results = example_results("multiclass")
    places = [_write(results, tmp_path / "a"), _write(results, tmp_path / "b")]
    rows = compare(places, tmp_path / "out", resamples=RESAMPLES)
    assert {row.model for row in rows} == {str(place) for place in places}


def _change(path, old: str, new: str, count: int = -1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "metrics.json",
            '"schema_version": 1',
            '"schema_version": 7',
            "schema version 7, .* reads 1",
        ),
        ("metrics.json", "{", "", "metrics.json can't be read .*evaluate the model again"),
        ("metrics.json", '"siren"', '"sirens"', r"can't be read \(KeyError: 'p:sirens'\)"),
        ("predictions.csv", "clip-001", "clip-000", "holds 40 clips, 39 of them different"),
        ("predictions.csv", "clip-", "other-", "have no clip in common"),
        (
            "predictions.csv",
            "clip-000,dog",
            "clip-000,e",
            "disagree on the truth of clip clip-000",
        ),
    ],
)
def test_what_cannot_be_compared_is_named(file, old, new, message, tmp_path):
    results = example_results("multiclass")
    places = [_write(results, tmp_path / "a"), _write(results, tmp_path / "b")]
    _change(places[1] / file, old, new, 1 if file == "metrics.json" else -1)
    with pytest.raises(UserError, match=message):
        compare(places, tmp_path / "out", resamples=RESAMPLES)
    assert not (tmp_path / "out").exists()


def test_other_labels_and_other_directories_are_refused(tmp_path):
    results = example_results("multiclass")
    renamed = dataclasses.replace(results, labels=("cat", *results.labels[1:]))
    places = [_write(results, tmp_path / "a"), _write(renamed, tmp_path / "b")]
    with pytest.raises(UserError, match="b and .*a have different labels on a dataset, fold5"):
        compare(places, tmp_path / "out", resamples=RESAMPLES)
    with pytest.raises(UserError, match="metrics.json is missing: .* is not a directory of"):
        compare([tmp_path], tmp_path / "out")
