"""The table of clips: what it lists of each, and which it leaves out where they are too many."""

import numpy as np
import pytest

from tests.helpers.evaluation_examples import LABELS, example_results
from vipann_tf.evaluation import prediction_table as pt
from vipann_tf.evaluation.report import render_report
from vipann_tf.evaluation.summary import summarise


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_rows_are_the_answers(task):
    results = example_results(task)
    [(name, outside)] = results.outside.items()
    listed = pt.listed_clips(results)
    assert listed == {"": list(range(40)), name: list(range(25))}
    table = pt.table_columns(results, listed)
    assert table["sets"] == ["fold5", name] and table["set"] == [0] * 40 + [1] * 25
    assert table["id"] == [*results.answers.clip_ids, *outside.clip_ids]
    for row in range(65):
        answers, i = (results.answers, row) if row < 40 else (outside, row - 40)
        truth = np.flatnonzero(results.truth[i]).tolist() if row < 40 else []
        assert table["truth"][row] == truth
        assert table["answer"][row] == answers.probs[i].argmax()
        assert table["p"][row] == pytest.approx(answers.probs[i].max(), abs=1e-4)
        for kind in results.kinds:
            value = answers.answer_uncertainty(kind, task)[i]
            assert table[kind][row] == pytest.approx(value, abs=1e-4)


def test_of_too_many_clips_each_set_keeps_a_share_from_end_to_end(monkeypatch):
    monkeypatch.setattr(pt, "MOST_CLIPS", 20)
    results = example_results("multiclass")
    [(name, outside)] = results.outside.items()
    listed = pt.listed_clips(results, named={3, 7})
    assert {3, 7} <= set(listed[""]) and len(listed[""]) + len(listed[name]) <= 20 + 2
    assert len(listed[name]) == 18 * 25 // 65
    for rows, answers in ((listed[""], results.answers), (listed[name], outside)):
        total = answers.answer_uncertainty("total", "multiclass")
        assert {total.argmin(), total.argmax()} <= set(rows)
        kept = np.sort(np.argsort(np.argsort(total))[rows])  # places in the order of all
        assert np.diff(kept).max() <= np.ceil(len(total) / (len(rows) - 3)) + 1
    text = render_report(results, summarise(results, resamples=5), extent="small")
    count = sum(map(len, pt.listed_clips(results).values()))
    assert "Clips one by one" in text and "of 65 clips, so that it opens at once" in text
    assert count <= 20


def test_the_first_rows_are_the_least_sure():
    results = example_results("multiclass")
    rows = pt.first_rows(results)
    total = np.sort(results.answers.answer_uncertainty("total", "multiclass"))[::-1]
    np.testing.assert_allclose([row["total"] for row in rows], total[:20], atol=1e-4)
    for row in rows:
        assert row["right"] == (row["truth"] == [row["answer"]]) and row["answer"] in LABELS
