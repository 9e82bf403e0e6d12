"""Folds pooled into one result, and AUROCs that are compared fold by fold."""

import dataclasses
import json

import numpy as np
import pytest
import sklearn.metrics

from tests.helpers.evaluation_examples import example_results
from vipann_tf.errors import UserError
from vipann_tf.evaluation.comparison_rows import paired_rows
from vipann_tf.evaluation.intervals import paired_auroc, paired_differences
from vipann_tf.evaluation.results import write_clip_csv
from vipann_tf.evaluation.stored_results import pooled, read_results
from vipann_tf.evaluation.summary import summarise


def stored(results, path):
    path.mkdir()
    (path / "metrics.json").write_text(json.dumps(summarise(results, resamples=5)))
    write_clip_csv(results, path / "predictions.csv")
    return read_results(path)


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    """Two folds of 13 and 8 clips, one set outside."""
    root, made = tmp_path_factory.mktemp("folds"), []
    for number, clips in enumerate((13, 8)):
        results = example_results("multiclass", clips)
        ids = tuple(f"fold{number}-{name}" for name in results.answers.clip_ids)
        answers = dataclasses.replace(results.answers, clip_ids=ids)
        results = dataclasses.replace(results, answers=answers, split=f"fold{number}")
        made.append(stored(results, root / str(number)))
    return made


def test_folds(folds):
    both = pooled(folds)
    assert both.place == ("a dataset", "all folds") and both.summary["clips"] == 21
    assert both.clip_ids == folds[0].clip_ids + folds[1].clip_ids and both.groups is None
    np.testing.assert_array_equal(both.probs[13:], folds[1].probs)
    inside = both.uncertainty["all folds"]["total"]
    np.testing.assert_array_equal(inside[:13], folds[0].uncertainty["fold0"]["total"])
    assert both.outside_ids["other <sounds>"] == 2 * folds[0].outside_ids["other <sounds>"]
    assert len(both.uncertainty["other <sounds>"]["epistemic"]) == 50


def test_seeds_of_one_clip_stay_together(folds):
    """Twice the same answers say no more than once, so their intervals are those of once."""
    first = dataclasses.replace(folds[0], probs=0.5 * folds[0].probs + 0.5 * folds[0].truth)
    # With a group for each clip, whose intervals are of the same kind.
    alone = [dataclasses.replace(x, groups=x.clip_ids) for x in (first, folds[0])]
    once = {row.metric: row.found for row in paired_rows(*alone, "a", "b")}
    twice_first, twice_base = pooled([first, first]), pooled([folds[0], folds[0]])
    assert twice_base.clip_ids[13:] == tuple(f"{x} (answer 2)" for x in folds[0].clip_ids)
    assert twice_base.groups == 2 * folds[0].clip_ids
    twice = {row.metric: row.found for row in paired_rows(twice_first, twice_base, "a", "b")}
    for name in ("accuracy", "nll", "brier"):
        assert twice[name].value == pytest.approx(once[name].value)
        width = [found[name].high - found[name].low for found in (once, twice)]
        assert width[1] == pytest.approx(width[0]), name
    # As independent clips they would be narrower by the square root of 2.
    probs = [np.concatenate([x.probs, x.probs]) for x in (first, folds[0])]
    truth = np.concatenate([folds[0].truth] * 2)
    narrow = paired_differences(*probs, truth, "multiclass")["nll"]
    assert narrow.high - narrow.low < 0.85 * (once["nll"].high - once["nll"].low)


def test_other_labels(folds):
    other = dataclasses.replace(folds[1], summary={**folds[1].summary, "labels": ["x"]})
    with pytest.raises(UserError, match="differ in their labels; only folds of one dataset can"):
        pooled([folds[0], other])


def _scores(rng, shift, inside=30, outside=20):
    return rng.normal(size=inside), rng.normal(size=outside) + shift


def test_paired_auroc():
    """The mean over parts of scikit-learn's AUROCs; no difference has an interval around 0."""
    rng = np.random.default_rng(0)
    parts = [[_scores(rng, 2.0), _scores(rng, 0.2)] for _ in range(3)]
    inside = [[f"{part}-{i}" for i in range(30)] for part in range(3)]
    outside = [[f"o{i}" for i in range(20)]] * 3
    found = paired_auroc(parts, inside, outside, resamples=400)
    is_outside = np.repeat([0, 1], [30, 20])
    first, second = (
        np.mean(
            [
                sklearn.metrics.roc_auc_score(is_outside, np.concatenate(part[model]))
                for part in parts
            ]
        )
        for model in (0, 1)
    )
    assert found.value == pytest.approx(first - second)
    assert 0 < found.low < found.value < found.high

    same = [[models[0], models[0]] for models in parts]
    none = paired_auroc(same, inside, outside, resamples=50)
    assert (none.value, none.low, none.high) == (0, 0, 0)


def test_the_same_clips_outside_have_one_weight_in_all_parts():
    """Three copies of a part say no more than one."""
    rng = np.random.default_rng(1)
    part = [_scores(rng, 1.0), _scores(rng, 0.0)]
    ids = [f"{i}" for i in range(30)], [f"o{i}" for i in range(20)]
    one = paired_auroc([part], [ids[0]], [ids[1]], resamples=2000)
    three = paired_auroc([part] * 3, [ids[0]] * 3, [ids[1]] * 3, resamples=2000)
    assert three.value == pytest.approx(one.value)
    assert three.high - three.low == pytest.approx(one.high - one.low, rel=0.1)
