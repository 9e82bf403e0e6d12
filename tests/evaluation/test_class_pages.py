"""Numbers of the pages of classes, against scikit-learn's; the clips are the extreme ones."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from tests.helpers.evaluation_examples import example_results
from vipann_tf.errors import UserError
from vipann_tf.evaluation import class_pages as cp
from vipann_tf.evaluation.report_data import report_data
from vipann_tf.evaluation.summary import summarise
from vipann_tf.saved_model.stored_calibration import DetectionThresholds


def _thresholds(values) -> DetectionThresholds:
    return DetectionThresholds(
        measure="precision", wanted=0.8, clips=40, clip_seconds=5.0, thresholds=values
    )


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_precision_and_recall_at_every_threshold(task):
    results = example_results(task)
    pages = cp.class_pages(results)
    for label in range(4):
        probs, true = results.answers.probs[:, label], results.truth[:, label]
        for i in (0, 7, 50, 93):
            said = probs >= cp.THRESHOLDS[i]
            hits, detected = pages[label]["hits"][i], pages[label]["detected"][i]
            assert detected == said.sum()
            if detected:
                assert hits / detected == pytest.approx(precision_score(true, said))
            assert hits / true.sum() == pytest.approx(recall_score(true, said))


def test_multiclass_answers_are_the_most_probable_class():
    results = example_results("multiclass")
    truth, top = results.truth.argmax(axis=1), results.answers.probs.argmax(axis=1)
    matrix = confusion_matrix(truth, top, labels=range(5))
    for label, page in enumerate(cp.class_pages(results)):
        assert page["answered"] == {
            "hits": matrix[label, label],
            "detected": matrix[:, label].sum(),
            "positives": matrix[label].sum(),
        }
        assert page["threshold"] is page["chosen"] is None
        np.fill_diagonal(matrix, 0)
        assert dict(page["answered_as"]) == {i: n for i, n in enumerate(matrix[label]) if n}
        assert dict(page["mistaken"]) == {i: n for i, n in enumerate(matrix[:, label]) if n}
        matrix = confusion_matrix(truth, top, labels=range(5))
        assert sum(count for *_, count in page["bins"]) == 40


def test_the_models_thresholds_say_what_is_detected():
    results = example_results("multilabel", thresholds=_thresholds([0.4, None, 0.7, 0.2, None]))
    assert cp.has_rule(results) == [True, False, True, True, False]
    for label, (page, clips) in enumerate(
        zip(cp.class_pages(results), cp.class_clips(results), strict=True)
    ):
        probs, true = results.answers.probs[:, label], results.truth[:, label].astype(bool)
        assert page["answered"] is None
        if page["threshold"] is None:
            assert page["chosen"] is None
            assert all(true[clips["right"] + clips["missed"]])
            assert not any(true[clips["false_alarms"]])
            continue
        said = probs >= page["threshold"]
        assert page["chosen"]["hits"] == (said & true).sum()
        assert page["chosen"]["detected"] == said.sum()
        assert all((said & true)[clips["right"]]) and all((~said & true)[clips["missed"]])
        assert all((said & ~true)[clips["false_alarms"]])


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_clips_are_the_surest_and_the_worst(task):
    results = example_results(task, clips=60)
    probs, truth = results.answers.probs, results.truth.astype(bool)
    for label, clips in enumerate(cp.class_clips(results)):
        p, true = probs[:, label], truth[:, label]
        said = probs.argmax(axis=1) == label if task == "multiclass" else np.ones(60, bool)
        missed = ~said if task == "multiclass" else said
        for kind, chosen, sign in (
            ("right", true & said, -1),
            ("missed", true & missed, 1),
            ("false_alarms", ~true & said, -1),
        ):
            rows = np.flatnonzero(chosen)
            want = sorted(rows, key=lambda row: sign * p[row])[: cp.CLIPS_A_CLASS[kind]]
            np.testing.assert_allclose(p[clips[kind]], p[want])


def test_sounds_are_bounded_and_errors_come_first(monkeypatch):
    results = example_results("multiclass")
    clips = cp.class_clips(results)
    heard = cp.clips_to_hear(results)
    ids = results.answers.clip_ids
    for each in clips:
        in_turn = [*each["false_alarms"][:1], *each["missed"][:1], *each["right"][:1]]
        assert {ids[row] for row in in_turn} <= set(heard)
    assert len(heard) == len(set(heard)) <= cp.SOUNDS
    monkeypatch.setattr(cp, "SOUNDS", 4)
    assert cp.clips_to_hear(results) == []


def test_data_of_the_page_name_rows_of_its_table():
    results = example_results("multiclass")
    data = report_data(results, summarise(results, resamples=5), {}, {})
    for label, (page, clips) in enumerate(
        zip(data["classes"], cp.class_clips(results), strict=True)
    ):
        for kind in cp.CLIPS_A_CLASS:
            shown = [(data["table"]["id"][row], p) for row, p in page[kind]]
            probs = results.answers.probs[:, label]
            assert shown == [
                (results.answers.clip_ids[row], pytest.approx(probs[row], abs=1e-4))
                for row in clips[kind]
            ]
    assert data["classes"][0]["numbers"].startswith("8 clips have it. Precision ")


def test_thresholds_of_other_labels_are_refused():
    with pytest.raises(UserError, match="there are 3 thresholds; the results name 5 labels"):
        example_results("multilabel", thresholds=_thresholds([0.1, 0.2, None]))
