"""The content of metrics.json: each number is that of its measure; JSON can hold all of it."""

import json

import numpy as np
import pytest

from tests.helpers.evaluation_examples import LABELS, example_results, without_errors
from vipann_tf.evaluation.summary import summarise
from vipann_tf.uncertainty import calibration as cal
from vipann_tf.uncertainty import ood, selective
from vipann_tf.uncertainty.confidence_intervals import auroc_interval, average_precision_interval
from vipann_tf.uncertainty.draws import sufficient_draws
from vipann_tf.uncertainty.metrics import metrics


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_numbers_are_those_of_the_measures(task):
    results = example_results(task)
    got = summarise(results, resamples=30)
    want = metrics(results.answers.probs, results.truth, task)
    for name, interval in got["metrics"].items():
        assert interval["value"] == want[name]
    total = results.answers.answer_uncertainty("total", task)
    line = got["selective"]["total"]
    error_auroc = selective.error_detection_auroc(total, results.wrong)
    low, high = auroc_interval(error_auroc, results.wrong.sum(), (~results.wrong).sum())
    assert line["error_auroc"] == {"value": error_auroc, "low": low, "high": high}
    assert line["aurc"] == selective.area_under_risk_coverage(total, results.wrong)
    np.testing.assert_allclose(line["mean_wrong"], total[results.wrong].mean())
    np.testing.assert_allclose(line["retained_accuracy"]["1.0"], 1 - results.wrong.mean())
    outside = results.outside["other <sounds>"]
    for score in ("epistemic", "max_probability", "energy"):
        line = got["ood"]["other <sounds>"]["scores"][score]
        both = [answers.scores(task)[score] for answers in (results.answers, outside)]
        measured = ood.ood_metrics(*both)
        assert line["auroc"]["value"] == measured.auroc
        assert line["fpr_at_95_tpr"] == measured.fpr_at_95_tpr
    parts = got["calibration"]["brier_parts"]
    added = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bin"]
    np.testing.assert_allclose(added, want["brier"])
    stats = cal.label_reliability(results.answers.probs, results.truth, task)
    np.testing.assert_allclose(
        [line["ece"] for line in got["per_label"]], cal.expected_calibration_error(stats)
    )
    assert [line["label"] for line in got["per_label"]] == list(LABELS)
    assert [line["clips"] for line in got["per_label"]] == list(results.truth.sum(axis=0))


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("draws", [1, 6])
def test_json_holds_everything_and_gives_it_back(task, draws):
    document = summarise(example_results(task, draws=draws), resamples=10)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_what_the_data_do_not_define_is_null():
    truth = np.eye(5)[np.arange(4) % 2]
    results = example_results("multiclass", clips=4, truth=truth, outside={})
    results = without_errors(results)  # and three labels never occur
    got = summarise(results, resamples=10)
    assert got["selective"]["total"]["error_auroc"]["value"] is None
    assert got["selective"]["total"]["mean_wrong"] is None
    assert got["per_label"][4]["recall"] is None and got["per_label"][4]["f1"] is None
    assert got["calibration"]["bins"]["accuracy"][0] is None
    assert got["ood"] == {} and got["draws_needed"] is None
    json.dumps(got, allow_nan=False)
    multilabel = summarise(example_results("multilabel"), resamples=10)
    assert multilabel["labels_left_out"] == 1
    assert multilabel["per_label"][4]["average_precision"] is None
    assert multilabel["per_label"][4]["auc_high"] is None


def test_labels_of_few_clips_are_named_and_have_wide_intervals():
    truth = np.zeros((40, 5), int)
    truth[:20, 0] = truth[:4, 1] = truth[:1, 2] = truth[:5, 3] = 1
    got = summarise(example_results("multilabel", truth=truth), resamples=10)
    assert got["labels_few"] == [LABELS[1], LABELS[2]]
    scored = [line for line in got["per_label"] if line["average_precision"] is not None]
    common = [line["average_precision"] for line in scored if line["clips"] >= 5]
    np.testing.assert_allclose(got["metrics"]["map_common"]["value"], np.mean(common))
    for line in scored:
        low, high = average_precision_interval(line["average_precision"], line["clips"])
        assert (line["average_precision_low"], line["average_precision_high"]) == (low, high)
        ends = auroc_interval(line["auc"], line["clips"], 40 - line["clips"])
        assert (line["auc_low"], line["auc_high"]) == ends
    assert summarise(example_results("multiclass"), resamples=5)["labels_few"] == []


def test_needed_draws_follow_the_standard_error():
    error = np.full((40, 5), 0.03)
    got = summarise(example_results("multiclass", standard_error=error), resamples=10)
    want = sufficient_draws(0.03, 6, 0.01)
    assert got["draws_needed"] == {"standard_error": 0.03, "wanted": 0.01, "draws": want}
    assert want == 54


def test_groups_reach_the_intervals():
    groups = np.arange(40) // 10
    alone = summarise(example_results("multiclass"), resamples=200)
    grouped = summarise(example_results("multiclass", groups=groups), resamples=200)
    assert grouped["metrics"]["accuracy"]["value"] == alone["metrics"]["accuracy"]["value"]
    for name in ("accuracy", "macro_f1"):
        assert grouped["metrics"][name] != alone["metrics"][name]
    auroc = grouped["selective"]["total"]["error_auroc"]
    assert auroc != alone["selective"]["total"]["error_auroc"] and auroc["low"] <= auroc["value"]
