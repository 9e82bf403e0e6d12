"""The first lines of a report say what the sentences below say."""

import numpy as np
import pytest

from tests.helpers.evaluation_examples import example_results, without_errors
from vipann_tf.evaluation.calibration_words import calibration_document
from vipann_tf.evaluation.summary import summarise
from vipann_tf.evaluation.verdict import verdicts


@pytest.fixture(scope="module")
def summary():
    return summarise(example_results("multiclass"), resamples=20)


def test_each_question_has_an_answer_with_its_number(summary):
    right, confidence, errors, unfamiliar = verdicts(summary)
    accuracy = summary["metrics"]["accuracy"]
    assert right.answer == f"for {100 * accuracy['value']:.0f} of 100 clips"
    assert right.numbers.startswith(f"{100 * accuracy['low']:.0f} to ")
    assert confidence.numbers.endswith("points")
    found = summary["selective"]["total"]["error_auroc"]["value"]
    assert errors.numbers.startswith(f"AUROC {found:.2f} (")
    assert unfamiliar.question == "Unfamiliar sounds, other <sounds>"


@pytest.mark.parametrize(
    "value, answer, tone",
    [
        (0.85, "a good warning", "good"),
        (0.7, "some warning", "open"),
        (0.6, "hardly a warning", "bad"),
    ],
)
def test_doubt_of_errors(summary, value, answer, tone):
    auroc = {"value": value, "low": 0.55, "high": 0.9}
    selective = {**summary["selective"], "total": {"error_auroc": auroc}}
    errors = verdicts({**summary, "selective": selective})[2]
    assert (errors.answer, errors.tone) == (answer, tone)


@pytest.mark.parametrize("verdict, tone", [("overconfident", "bad"), ("underconfident", "open")])
def test_a_fault_of_the_confidence(summary, verdict, tone):
    assert confidence(summary, verdict=verdict, power=None).tone == tone


@pytest.mark.parametrize(
    "clips, answer, tone", [(20, "few clips", "open"), (4000, "fault", "good")]
)
def test_no_fault_is_good_news_where_the_test_would_find_a_small_one(summary, clips, answer, tone):
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(4), clips)
    truth = np.stack([rng.multinomial(1, p) for p in probs])  # drawn from the answers themselves
    test = calibration_document(probs, truth, "multiclass", list("abcd"))
    assert test["verdict"] == "undecided"
    found = confidence(summary, **test)
    assert answer in found.answer and found.tone == tone


def confidence(summary, **changes):
    test = {**summary["calibration"]["test"], **changes}
    return verdicts({**summary, "calibration": {**summary["calibration"], "test": test}})[1]


def test_what_is_not_defined_is_said():
    results = without_errors(example_results("multiclass", outside={}))
    right, _, errors = verdicts(summarise(results, resamples=10))
    assert right.answer == "for 100 of 100 clips"
    assert errors.answer == "can't be measured here" and errors.numbers == ""
