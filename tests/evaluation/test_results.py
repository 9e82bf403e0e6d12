"""The arrays of an evaluation: what they accept, the uncertainty of an answer, the CSV."""

import csv
import dataclasses

import numpy as np
import pytest

from tests.helpers.evaluation_examples import LABELS, example_results
from vipann_tf.errors import UserError
from vipann_tf.evaluation.results import KINDS, write_clip_csv


def test_csv_holds_every_clip_and_reads_back(tmp_path):
    results = example_results("multilabel")
    write_clip_csv(results, tmp_path / "clips.csv")
    with open(tmp_path / "clips.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip_id"] for row in rows] == [
        *results.answers.clip_ids,
        *results.outside["other <sounds>"].clip_ids,
    ]
    assert [row["set"] for row in rows] == ["fold5"] * 40 + ["other <sounds>"] * 25
    own = rows[:40]
    for name, label in enumerate(LABELS):
        got = [float(row[f"p:{label}"]) for row in own]
        np.testing.assert_allclose(got, results.answers.probs[:, name], rtol=1e-5)
    for kind in KINDS:
        got = [float(row[kind]) for row in own]
        np.testing.assert_allclose(got, getattr(results.answers, kind), rtol=1e-5)
    truth = [[label in row["truth"].split(";") for label in LABELS] for row in own]
    np.testing.assert_array_equal(truth, results.truth)
    right = np.array([row["answer"] in row["truth"].split(";") for row in own])
    np.testing.assert_array_equal([row["right"] == "1" for row in own], right)
    np.testing.assert_array_equal(right, ~results.wrong)
    assert {row["right"] + row["truth"] for row in rows[40:]} == {""}


def test_answer_uncertainty_is_the_clips_or_the_top_labels():
    results = example_results("multilabel")
    got = results.answers.answer_uncertainty("aleatoric", "multilabel")
    top = results.answers.probs.argmax(axis=1)
    want = [results.answers.label_aleatoric[i, k] for i, k in enumerate(top)]
    np.testing.assert_array_equal(got, want)
    got = results.answers.answer_uncertainty("aleatoric", "multiclass")
    np.testing.assert_array_equal(got, results.answers.aleatoric)


def test_one_network_shows_one_kind():
    assert example_results("multiclass", draws=1).kinds == ("total",)
    assert example_results("multiclass").kinds == KINDS


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda a: {"clip_ids": a.clip_ids[1:]}, "there are 39 clip ids and probabilities of 40"),
        (lambda a: {"total": a.total[:-1]}, r"total has shape \(39,\); .* must be \(40,\)"),
        (lambda a: {"label_total": a.total}, r"label_total has shape \(40,\); .* \(40, 5\)"),
        (lambda a: {"probs": a.probs + 1}, "a probability is"),
    ],
)
def test_answers_that_disagree_are_named(change, text):
    answers = example_results("multiclass").answers
    with pytest.raises(UserError, match=text):
        dataclasses.replace(answers, **change(answers))


def test_results_that_disagree_are_named():
    with pytest.raises(UserError, match="answers has probabilities of 5 labels; the re.* name 2"):
        example_results("multiclass", labels=("a", "b"))
    with pytest.raises(UserError, match=r"shape \(40, 5\) and labels \(3, 5\)"):
        example_results("multiclass", truth=np.eye(5)[:3])
