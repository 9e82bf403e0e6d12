"""Sentences and headline numbers say what the summary says, and change their verdict with it."""

import copy

import pytest

from tests.helpers.evaluation_examples import example_results
from vipann_tf.evaluation.headline import headline_cards
from vipann_tf.evaluation.plain_numbers import interval_text, percent
from vipann_tf.evaluation.plain_words import in_short
from vipann_tf.evaluation.summary import summarise


@pytest.fixture(scope="module", params=["multilabel", "multiclass"])
def summary(request):
    return summarise(example_results(request.param), resamples=20)


def _changed(summary, **changes):
    changed = copy.deepcopy(summary)
    for path, value in changes.items():
        *keys, last = path.split("__")
        place = changed
        for key in keys:
            place = place[key]
        place[last] = value
    return " ".join(in_short(changed))


def test_formats():
    assert percent(0.1234, 1) == "12.3\N{NO-BREAK SPACE}%"
    assert percent(None) == "not defined"
    assert interval_text({"low": 0.1, "high": 0.25}, digits=2) == "0.10 to 0.25"
    assert interval_text({"low": 0.1, "high": 0.25}, scale=100, digits=0) == "10 to 25"
    assert interval_text({"low": None, "high": None}) == ""


def test_sentences_carry_the_numbers(summary):
    text = " ".join(in_short(summary))
    right = 1 - summary["selective"]["error_rate"]
    assert f"for {100 * right:.0f} of 100 clips" in text
    auroc = summary["selective"]["total"]["error_auroc"]["value"]
    assert f"in {100 * auroc:.0f} of 100 pairs" in text
    assert "other <sounds>" in text
    share = summary["uncertainty"]["epistemic"]["value"] / summary["uncertainty"]["total"]["value"]
    assert f"Of its uncertainty {percent(share)} is its own" in text


def test_the_verdict_on_confidence_is_that_of_the_test(summary):
    test = {**summary["calibration"]["test"], "decided_by": "ece", "power": None, "gap": 0.1}
    for verdict, words in (
        ("overconfident", "it claims more than it knows"),
        ("underconfident", "it knows more than it claims"),
        ("uneven", "too sure in some places"),
    ):
        text = _changed(
            summary,
            calibration__test={**test, "verdict": verdict},
            calibration__mean_confidence=0.9,
        )
        assert words in text and f"80.0{percent(0).removeprefix('0')}" in text


@pytest.mark.parametrize(
    "auroc, warning, noticing",
    [
        (0.9, "is a good warning", "it notices that they are unfamiliar"),
        (0.7, "is some warning", "it notices some of them"),
        (0.5, "is hardly a warning", "it does not notice them"),
    ],
)
@pytest.mark.parametrize("kind", ["epistemic", "total"])
def test_verdict_on_doubt(summary, auroc, warning, noticing, kind):
    changed = copy.deepcopy(summary)
    scores = changed["ood"]["other <sounds>"]["scores"]
    for place in (changed["selective"]["total"], scores["epistemic"], scores["total"]):
        place["error_auroc"] = place["auroc"] = {"value": 0.4, "low": 0.3, "high": 0.45}
    interval = {"value": auroc, "low": auroc, "high": auroc}
    changed["selective"]["total"]["error_auroc"] = scores[kind]["auroc"] = interval
    text = " ".join(in_short(changed))
    assert warning in text and noticing in text  # the better of the two kinds decides
    assert f"more {kind} uncertainty in {100 * auroc:.0f} (" in text


@pytest.mark.parametrize("rate, which", [(0.0, "right"), (1.0, "wrong")])
def test_without_both_outcomes_no_warning_is_claimed(summary, rate, which):
    nothing = {"value": None, "low": None, "high": None}
    text = _changed(summary, selective__error_rate=rate, selective__total__error_auroc=nothing)
    assert f"All its answers are {which}: whether doubt" in text
    assert "does not answer" not in text


def test_one_network_claims_no_epistemic_knowledge():
    summary = summarise(example_results("multiclass", draws=1), resamples=10)
    text = " ".join(in_short(summary))
    assert "It is one network" in text
    assert "the former has more total uncertainty in" in text
    assert "Epistemic" not in [card.name for card in headline_cards(summary)]


def test_cards_show_value_and_interval(summary):
    cards = {card.name: card for card in headline_cards(summary)}
    nll = summary["metrics"]["nll"]
    assert cards["NLL"].value == f"{nll['value']:.3f}"
    assert cards["NLL"].interval == f"{nll['low']:.3f} to {nll['high']:.3f}"
    assert cards["ECE"].value == percent(summary["metrics"]["ece"]["value"], 1)
    assert cards["ECE"].interval.endswith("\N{NO-BREAK SPACE}%")
    if summary["task"] == "multilabel":
        assert "1 cannot" in cards["mAP"].meaning
    else:
        assert cards["Accuracy"].value == percent(summary["metrics"]["accuracy"]["value"])


def test_labels_of_few_clips_are_told(summary):
    assert "fewer than 5 clips" not in " ".join(in_short(summary))
    assert "mAP, common labels" not in [card.name for card in headline_cards(summary)]
    changed = copy.deepcopy(summary)
    changed["labels_few"] = ["a", "b"]
    if summary["task"] == "multilabel":
        changed["metrics"]["map_common"] = {"value": 0.256, "low": 0.2, "high": 0.34}
    text = " ".join(in_short(changed))
    assert "2 of 5 labels have fewer than 5 clips here" in text
    if summary["task"] == "multilabel":
        assert "mean average precision is 0.26 (0.20 to 0.34 with 95 % confidence)" in text
        card = next(x for x in headline_cards(changed) if x.name == "mAP, common labels")
        assert (card.value, card.interval) == ("0.256", "0.200 to 0.340")
        assert card.meaning == "over the labels with at least 5 clips; 2 have fewer"
        changed["metrics"]["map_common"] = {"value": None, "low": None, "high": None}
        assert "Over the labels with at least" not in " ".join(in_short(changed))


def test_prediction_sets_are_told(summary):
    assert "sets" not in " ".join(in_short(summary))
    sets = {"wanted": 0.9, "coverage": {"value": 0.87, "low": 0.8, "high": 0.93}, "mean_size": 2.34}
    text = _changed(summary, prediction_sets={**sets, "decided": 0.61}, calibrated_here=True)
    assert "87" in text and "(80 to 93 with 95 % confidence)" in text and "for 90 of 100" in text
    told = (
        "sets of 2.3 labels" if summary["task"] == "multiclass" else "decides 61 of 100 questions"
    )
    assert told in text
    assert "calibrated on these same clips" in text
    assert "same clips" not in _changed(summary, prediction_sets={**sets, "decided": 0.61})
