"""Prediction sets beside the answers: by hand from the definitions in `uncertainty.conformal`."""

import json

import numpy as np
import pytest

from vipann_tf.cli.printing.answers import AnswerPrinter
from vipann_tf.saved_model.predict import Answer
from vipann_tf.saved_model.stored_calibration import ConformalThresholds

LABELS = ["rain", "dog", "horn", "saw"]


def answer(*probs) -> Answer:
    probs = np.array(probs, np.float32)
    return Answer(
        "a.wav",
        seconds=1.0,
        probabilities=probs,
        label_total=np.zeros_like(probs),
        label_aleatoric=np.zeros_like(probs),
        label_epistemic=np.zeros_like(probs),
        total=0.0,
        aleatoric=0.0,
        epistemic=0.0,
    )


def shown(capsys, style, answers, conformal):
    printer = AnswerPrinter(LABELS, top=1, style=style, conformal=conformal)
    for item in answers:
        printer.print(item)
    return capsys.readouterr().out


# The smallest probability mass above a label for it to be left out is 0.7.
APS = ConformalThresholds(coverage=0.9, method="aps", clips=40, threshold=0.7)
# rain is heard from 0.8 on and excluded below 0.3; the others are never excluded.
LABEL = ConformalThresholds(
    coverage=0.8,
    method="label",
    clips=40,
    present=[0.7, None, None, None],
    absent=[0.8, None, None, 0.1],
)


class TestMulticlass:
    def test_json_has_the_labels_that_cannot_be_excluded(self, capsys):
        row = json.loads(shown(capsys, "json", [answer(0.1, 0.5, 0.3, 0.1)], APS))
        # Mass above: dog 0, horn 0.5, rain 0.8 (the first of two equals), saw 0.9.
        assert row["prediction_set"] == {"coverage": 0.9, "labels": ["dog", "horn"]}

    def test_table(self, capsys):
        text = shown(capsys, "table", [answer(0.05, 0.9, 0.03, 0.02)], APS)
        assert text.endswith("one of these, with 90% coverage: dog\n")

    def test_too_few_clips_exclude_nothing(self, capsys):
        infinite = APS.model_copy(update={"threshold": None})
        row = json.loads(shown(capsys, "json", [answer(1, 0, 0, 0)], infinite))
        assert row["prediction_set"]["labels"] == LABELS


class TestMultilabel:
    @pytest.mark.parametrize(
        ("rain", "present", "undecided"),
        [
            (0.9, ["rain"], ["dog", "horn"]),
            (0.5, [], ["rain", "dog", "horn"]),
            (0.2, [], ["dog", "horn"]),
        ],
    )
    def test_json(self, capsys, rain, present, undecided):
        row = json.loads(shown(capsys, "json", [answer(rain, 0.1, 0.05, 0.4)], LABEL))
        assert row["prediction_set"] == {
            "coverage": 0.8,
            "present": sorted(["saw", *present], key=[*present, "saw"].index),
            "undecided": undecided,
        }

    def test_table(self, capsys):
        text = shown(capsys, "table", [answer(0.2, 0.1, 0.05, 0.01)], LABEL)
        assert text.endswith(
            "heard, with 80% coverage: none\n  neither heard nor excluded: dog, horn, saw\n"
        )


def test_without_thresholds_nothing_is_said(capsys):
    assert "coverage" not in shown(capsys, "table", [answer(0.1, 0.5, 0.3, 0.1)], None)
    assert "prediction_set" not in shown(capsys, "json", [answer(0.1, 0.5, 0.3, 0.1)], None)
