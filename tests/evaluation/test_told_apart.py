"""Differences between uncertainties: they reach metrics.json, and words say what they show."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.helpers.evaluation_examples import example_results
from vipann_tf.evaluation.summary import summarise
from vipann_tf.evaluation.told_apart import told_apart

SET = "other <sounds>"


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_differences_are_those_of_the_aurocs(task):
    results = example_results(task)
    got = summarise(results, resamples=10)
    for kind in ("aleatoric", "epistemic"):
        own = [results.answers.answer_uncertainty(k, task) for k in (kind, "total")]
        areas = [roc_auc_score(results.wrong, each) for each in own]
        found = got["selective"][kind]["error_auroc_less_total"]
        assert found["value"] == pytest.approx(areas[0] - areas[1])
        assert found["low"] < found["value"] < found["high"]
    for score in ("aleatoric", "epistemic", "max_probability", "energy"):
        line = got["ood"][SET]["scores"]
        gap = line[score]["auroc"]["value"] - line["total"]["auroc"]["value"]
        assert line[score]["auroc_less_total"]["value"] == pytest.approx(gap)
    assert got["selective"]["total"]["error_auroc_less_total"] is None
    assert got["ood"][SET]["scores"]["total"]["auroc_less_total"] is None


def test_one_draw_has_no_differences():
    got = summarise(example_results("multiclass", draws=1), resamples=10)
    assert got["selective"]["epistemic"]["error_auroc_less_total"] is None
    assert got["ood"][SET]["scores"]["energy"]["auroc_less_total"] is None
    assert told_apart({"aleatoric": None, "epistemic": None}, "an error") == ""


def test_clips_of_one_group_are_resampled_together():
    found = [
        summarise(example_results("multiclass", groups=groups), resamples=200)["selective"]
        for groups in (np.arange(40), np.arange(40) // 10)
    ]
    alone, grouped = (each["epistemic"]["error_auroc_less_total"] for each in found)
    assert alone["value"] == grouped["value"] and alone["low"] != grouped["low"]


def _of(value, low, high):
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    "aleatoric, epistemic, words",
    [
        (
            _of(-0.02, -0.03, -0.01),
            _of(0.05, 0.01, 0.09),
            "As a sign of an error, aleatoric is worse than total: its AUROC is 0.020 "
            "(0.010 to 0.030) lower; epistemic is better than total: its AUROC is 0.050 "
            "(0.010 to 0.090) higher.",
        ),
        (
            _of(-0.01, -0.03, 0.01),
            _of(0.05, -0.01, 0.11),
            "As a sign of an error, aleatoric and epistemic can't be told from total: their AUROCs "
            "differ by -0.010 (-0.030 to 0.010) and +0.050 (-0.010 to 0.110), which may be chance.",
        ),
        (
            _of(0.0, None, None),
            _of(None, None, None),
            "As a sign of an error, these clips can't say whether aleatoric or epistemic is better "
            "than total.",
        ),
    ],
)
def test_words(aleatoric, epistemic, words):
    assert told_apart({"aleatoric": aleatoric, "epistemic": epistemic}, "an error") == words
