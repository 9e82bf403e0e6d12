"""The words on calibration say what the tests found, with their numbers."""

import json

import numpy as np
import pytest

from tests.helpers.paths import ROOT
from vipann_tf import datasets
from vipann_tf.evaluation.calibration_words import (
    calibration_document,
    calibration_words,
    words_on_answers,
)
from vipann_tf.evaluation.evaluate import evaluate
from vipann_tf.records.prepare import prepare
from vipann_tf.saved_model.reexport import reexport
from vipann_tf.saved_model.stored_calibration import Calibration

LABELS = ("dog", "rain", "siren", "wind")
SPACE = "\N{NO-BREAK SPACE}"


def _confident(share_right: float, confidence: float, clips: int = 80):
    """Two labels; the first is answered each time, with one confidence."""
    probs = np.full((clips, 2), [confidence, 1 - confidence])
    right = np.arange(clips) < share_right * clips
    return probs, np.stack([right, ~right], axis=1).astype(int)


@pytest.mark.parametrize(
    ("share_right", "verdict"),
    [(0.925, "It is underconfident: it knows more"), (0.7, "It is overconfident: it claims more")],
)
def test_a_gap_is_named_with_its_sign_and_its_chance(share_right, verdict):
    probs, truth = _confident(share_right, 0.826)
    text = words_on_answers(probs, truth, "multiclass", LABELS[:2])
    assert (
        f"Its mean confidence is 82.6{SPACE}%, and {100 * share_right:.1f}{SPACE}% of its" in text
    )
    assert verdict in text
    p = calibration_document(probs, truth, "multiclass", LABELS[:2])["gap_p"]
    share = f"{1000 * p:.0f} of 1000" if p < 0.01 else f"{100 * p:.0f} of 100"
    assert f"so large a gap between the two by chance in {share} cases" in text


def test_what_cannot_be_distinguished_says_what_could_have_been_found():
    probs, truth = _confident(0.8, 0.8, clips=120)
    document = calibration_document(probs, truth, "multiclass", LABELS[:2])
    assert document["verdict"] == "undecided" and document["power"]["size"] == 0.1
    text = words_on_answers(probs, truth, "multiclass", LABELS[:2])
    assert "cannot be distinguished from a perfectly calibrated model" in text
    found = [f"{10 * document['power'][side]:.0f} of 10" for side in ("too_high", "too_low")]
    assert (
        f"With 120 clips, a confidence that is 10 points too high would be found in {found[0]} "
        f"cases, and one that is 10 points too low would be found in {found[1]} cases." in text
    )


def test_labels_beyond_chance_are_named():
    probs = np.full((100, 4), [0.3, 0.3, 0.3, 0.05])
    truth = (np.arange(100)[:, None] < [5, 30, 80, 5]).astype(int)
    text = words_on_answers(probs, truth, "multilabel", LABELS)
    assert f"It gives labels a mean probability of 23.7{SPACE}%, and 30.0{SPACE}% are true" in text
    assert "too sure in some places and not sure enough in others" in text
    assert "too high for 1 of 4 labels (dog: 30.0 clips expected, 5 have it)" in text
    assert "too low for 1 of 4 labels (siren: 30.0 clips expected, 80 have it)" in text
    assert "have such a label by chance in fewer than 1 of 1000 cases" in text


def test_of_many_labels_three_are_named():
    probs, truth = np.full((100, 4), 0.5), np.zeros((100, 4), int)
    text = words_on_answers(probs, truth, "multilabel", LABELS)
    assert "It is overconfident" in text and "too high for 4 of 4 labels" in text
    assert text.count("clips expected") == 3 and "; ...)" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decided_by": "spiegelhalter", "verdict": "overconfident"}, "errors are larger than"),
        (
            {"decided_by": "spiegelhalter", "verdict": "underconfident", "z": -3.0},
            "errors are smaller than its own probabilities make one expect; those of a perfectly "
            "calibrated model would be so far off by chance in 3 of 1000",
        ),
        (
            {"decided_by": "spiegelhalter", "verdict": "overconfident", "z": -3.0},
            "Its probabilities are too high on the whole, so that its squared errors are smaller",
        ),
        (
            {"decided_by": "spiegelhalter", "verdict": "underconfident", "z": 3.0},
            "Its probabilities are too low on the whole, so that its squared errors are larger",
        ),
        ({"decided_by": "ece", "verdict": "uneven"}, f"error is 7.0{SPACE}%; that of a perfectly"),
        (
            {"power": {"size": 1.5, "too_high": 0.62, "too_low": None}},
            "With 80 clips, probabilities that are 1.5 times too high would be found in 6 of 10",
        ),
        (
            {"power": {"size": 2.0, "too_high": 0.03, "too_low": 0.98}},
            "found in hardly any case, and probabilities that are too low by the same factor would "
            "be found in nearly every case.",
        ),
    ],
)
def test_other_reasons(changes, said):
    test = {
        "verdict": "undecided",
        "decided_by": None,
        "gap": 0.01,
        "gap_p": 0.4,
        "labels": [],
        "z": 3.0,
        "z_p": 0.0027,
        "ece_p": 0.005,
        "power": None,
    }
    text = calibration_words(
        "multilabel", {**test, **changes}, clips=80, confidence=0.2, ece=0.07, labels=4
    )
    assert said in text


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_json_holds_the_document(certain):
    document = calibration_document([[certain], [1.0]], [[1], [1]], "multilabel", ["dog"])
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.slow
def test_the_shipped_models_page_says_what_it_should(real_data, tmp_path):
    """It is not distinguished from a calibrated model, but is if its logits are halved."""
    source = datasets.load("esc50", real_data("esc10"), subset="esc10")
    prepare(source, tmp_path / "esc10", workers=1)
    shipped = ROOT / "saved_models" / "esc10-drop"
    reexport(shipped, tmp_path / "halved", calibration=Calibration(temperature=2.0))
    pages, verdicts = [], []
    for model in (shipped, tmp_path / "halved"):
        found = evaluate(
            model, tmp_path / "esc10", tmp_path / "out", split="fold5", num_draws=3, overwrite=True
        )
        verdicts.append(found["calibration"]["test"]["verdict"])
        pages.append((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert verdicts == ["undecided", "underconfident"]
    assert "cannot be distinguished from a perfectly calibrated model. With 80 clips" in pages[0]
    assert "It is underconfident: it knows more than it claims" in pages[1]
    assert "cannot be distinguished" not in pages[1] and "underconfident" not in pages[0]
