"""Calibration against models whose miscalibration and whose conditional distribution are known."""

import csv
import json

import numpy as np
import pytest
import scipy.special
from click.testing import CliRunner

from tests.helpers.light_model import light_version, write_light_model
from vipann_tf import datasets
from vipann_tf.cli import main
from vipann_tf.cli.printing.findings import print_evaluation
from vipann_tf.errors import UserError
from vipann_tf.evaluation import calibrate as calibration
from vipann_tf.evaluation import prediction_sets
from vipann_tf.evaluation.calibrate import fit_calibration
from vipann_tf.evaluation.evaluate import evaluate
from vipann_tf.evaluation.prediction_sets import (
    fit_sets,
    from_metadata,
    set_statistics,
    to_metadata,
)
from vipann_tf.evaluation.splits import check_not_trained_on
from vipann_tf.records.prepare import prepare
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model import metadata, reexport
from vipann_tf.saved_model.stored_calibration import ConformalThresholds

CLIPS, LABELS = 3000, 6


def _overconfident(task: str, factor: float, clips: int = CLIPS, seed: int = 0):
    """Logits `[1, clips, labels]` that are `factor` times those that the truth is drawn from."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(clips, LABELS))
    if task == "multiclass":
        cumulative = np.cumsum(scipy.special.softmax(logits, axis=1), axis=1)
        chosen = (rng.random((clips, 1)) > cumulative[:, :-1]).sum(axis=1)
        truth = np.eye(LABELS, dtype=int)[chosen]
    else:
        truth = (rng.random(logits.shape) < scipy.special.expit(logits)).astype(int)
    return factor * logits[None], truth


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_the_temperature_undoes_a_known_factor(task, factor):
    logits, truth = _overconfident(task, factor)
    found = fit_calibration(logits, truth, task)
    assert found.calibration.temperature == pytest.approx(factor, rel=0.1)
    assert found.after["nll"] < found.before["nll"] and found.after["ece"] < found.before["ece"]
    assert found.clips == CLIPS
    assert ("overconfident" if factor > 1 else "underconfident") in found.words_before
    assert "cannot be distinguished from a perfectly calibrated model" in found.words_after


@pytest.mark.parametrize(
    ("task", "method"), [("multiclass", "aps"), ("multiclass", "threshold"), ("multilabel", "aps")]
)
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_sets_hold_the_truth_of_new_clips_as_often_as_promised(task, method, coverage):
    logits, truth = _overconfident(task, 2.5)
    found = fit_calibration(logits, truth, task, coverage=coverage, method=method)
    link = scipy.special.softmax if task == "multiclass" else scipy.special.expit
    new_logits, new_truth = _overconfident(task, 2.5, clips=20_000, seed=1)
    scaled = new_logits[0] / found.calibration.temperature
    probs = link(scaled, axis=1) if task == "multiclass" else link(scaled)
    sets = from_metadata(found.calibration.conformal)
    new = set_statistics(sets, probs, new_truth)
    # The threshold varies with the calibration clips.
    error = 3 * np.sqrt(coverage * (1 - coverage) / CLIPS)
    assert new["coverage"].value == pytest.approx(coverage, abs=error)
    assert found.sets["coverage"] == pytest.approx(coverage, abs=error)
    assert new["mean_size"] == pytest.approx(found.sets["mean_size"], rel=0.05)
    if task == "multilabel":
        assert abs(new["absent_coverage"].value - coverage) < error


def test_statistics_of_sets_by_hand():
    probs = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.05, 0.05, 0.9], [0.5, 0.3, 0.2]])
    truth = np.eye(3, dtype=int)[[0, 1, 2, 2]]
    sets = prediction_sets.MulticlassConformal(0.75, "threshold", 0.69, 4)  # p >= 0.31
    found = set_statistics(sets, probs, truth)
    assert found["coverage"].value == 0.75  # not the last clip's
    assert found["sizes"] == {1: 3, 2: 1} and found["mean_size"] == 1.25
    present, absent = np.array([0.5, 0.3, 0.5]), np.array([0.6, 0.25, 0.15])
    found = set_statistics(prediction_sets.MultilabelConformal(0.8, present, absent), probs, truth)
    # Possibly present: labels 0 of clips 0 and 3, 2 of clip 2. There:
    # (0, 0), (1, 1), (2, 2), (3, 2).
    assert found["coverage"].value == 0.5 and found["mean_size"] == 0.75
    # Possibly absent, of the eight that are: (0, 1), (0, 2), (1, 0), (2, 0), (2, 1), (3, 0).
    assert found["absent_coverage"].value == 6 / 8
    # Neither: (1, 1), (1, 2), (3, 1), (3, 2); both: (3, 0).
    assert found["decided"] == pytest.approx(7 / 12)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_thresholds_survive_json_infinite_ones_included(task):
    logits, truth = _overconfident(task, 1.0, clips=12)
    truth[:, 0] = 0
    truth[truth.sum(axis=1) == 0, 1] = 1
    probs = scipy.special.softmax(logits[0], axis=1)
    for coverage in (0.6, 0.99):
        predictor = fit_sets(probs, truth, task, coverage=coverage, method="threshold")
        text = json.dumps(to_metadata(predictor, 12).model_dump(mode="json"), allow_nan=False)
        again = from_metadata(ConformalThresholds.model_validate_json(text))
        sets = [
            one.sets(probs) if task == "multiclass" else one.possible(probs)
            for one in (predictor, again)
        ]
        assert np.array_equal(*sets)
    every = sets[1] if task == "multiclass" else sets[1].present
    assert every[:, 0].all()  # 12 clips cannot promise 99 %


def test_too_few_clips_are_refused():
    with pytest.raises(UserError, match="the split has 1 clips; .* at least 2"):
        fit_calibration(np.zeros([1, 1, 3]), np.eye(3)[:1], "multiclass")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a model directory and a dataset directory of 1 s clips; fold 5 is held out."""
    root = tmp_path_factory.mktemp("calibrate")
    source = datasets.load("synthetic", None, task="multiclass", clips=20, seconds=1.0)
    dataset = prepare(source, root / "data", workers=1)
    write_light_model(root / "model", dataset)
    return root


@pytest.mark.slow
def test_a_calibrated_model_says_so_and_is_evaluated_so(made, monkeypatch, capsys):
    monkeypatch.setattr(reexport, "add_version", light_version)
    asked = [
        made / "model",
        "--data",
        made / "data",
        "--out",
        made / "model",
        "--coverage",
        0.7,
        "--recall",
        0.8,
    ]
    shown = CliRunner().invoke(main, ["calibrate", *map(str, asked)])
    assert shown.exit_code == 0, shown.output + repr(shown.exception)
    assert (made / "model" / "2").is_dir()
    info = metadata.read_model_info(made / "model")
    assert f"Temperature {info.calibration.temperature:.3f}, fitted on 4 clips" in shown.output
    assert info.calibration.conformal.coverage == 0.7
    stored = info.calibration.detection
    assert (stored.measure, stored.wanted, stored.clips, stored.clip_seconds) == (
        "recall",
        0.8,
        4,
        1,
    )
    assert stored.thresholds == [None] * 10  # of four clips
    assert "No threshold for 10, of which fewer than 5 clips have the label: " in shown.output
    assert (
        "calibrated thresholds: recall 0.8 or more on 4 clips of 1 s, for 0 of 10" in shown.output
    )
    assert "Before: its mean confidence is " in shown.output
    assert "After: its mean confidence is " in shown.output
    words = shown.output.split("Before: ")[1].split("takes waveforms")[0]
    assert len(words.splitlines()) > 4
    assert max(map(len, words.splitlines()[:5])) <= 80
    assert info.calibration.fitted_on == ["synthetic-multiclass/fold5"]
    before, after = (
        evaluate(made / "model" / version, made / "data", made / f"results{version}")
        for version in "12"
    )
    assert before["prediction_sets"] is None and not before["calibrated_here"]
    assert after["prediction_sets"]["wanted"] == 0.7 and after["calibrated_here"]
    assert after["metrics"]["nll"]["value"] <= before["metrics"]["nll"]["value"] + 1e-6
    # The temperature is applied to the draws: one that is far from 1 changes the answers.
    assert info.calibration.temperature != pytest.approx(1, abs=0.01)
    probs = []
    for version in "12":
        with open(
            made / f"results{version}" / "predictions.csv", encoding="utf-8", newline=""
        ) as lines:
            probs.append([float(row["probability"]) for row in csv.DictReader(lines)])
    assert not np.allclose(*probs, atol=1e-4)
    print_evaluation(after)
    shown = capsys.readouterr().out
    assert "coverage of sets (wanted 0.7)" in shown and "Calibrated on these same clips" in shown
    assert "calibrated on these same clips" in (made / "results2" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"splits": ["fold2"]}, "split fold2 of synthetic-multiclass trained the model.*use fold5"),
        ({"coverage": 1.5}, "coverage is 1.5; it must lie between 0 and 1"),
        ({"method": "raps"}, "method is 'raps'; it must be one of aps, threshold"),
        ({"num_draws": 0}, "num_draws is 0; use 1 or more"),
    ],
)
def test_wrong_arguments_are_named(made, arguments, message):
    with pytest.raises(UserError, match=message):
        calibration.calibrate(made / "model", made / "data", made / "out", **arguments)
    assert not (made / "out").exists()


def test_too_many_draws_are_refused_before_they_are_drawn(made, monkeypatch):
    monkeypatch.setattr(calibration, "MAX_LOGIT_BYTES", 4 * 4 * 10 * 50)
    with pytest.raises(UserError, match="100 draws of 4 clips .* use at most --num-draws 50"):
        calibration.calibrate(made / "model", made / "data", made / "out", num_draws=100)


def test_clips_that_trained_the_base_are_refused(made):
    dataset = read_dataset_info(made / "data")
    info = metadata.read_model_info(made / "model")
    base = {"data": {"dataset": dataset.name, "splits": ["fold5"], "held_out": [], "clips": 4}}
    info = info.model_copy(update={"base": base, "data": None})
    with pytest.raises(UserError, match="split fold5 .* trained the model.*use fold1, fold2"):
        check_not_trained_on(info, dataset, ["fold5"])
    check_not_trained_on(info, dataset, ["fold1"])
