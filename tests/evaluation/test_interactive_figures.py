"""Plotly's figures have the values of the drawn ones, and no text of theirs is read as HTML."""

import dataclasses
import json

import numpy as np
import pytest

from tests.helpers.evaluation_examples import example_results
from vipann_tf.evaluation import figures
from vipann_tf.evaluation import interactive_figures as charts
from vipann_tf.evaluation.plots import PALETTE
from vipann_tf.uncertainty.calibration import reliability


def _stats(results):
    return reliability(results.answers.probs, results.truth, results.task)


def test_bars_are_the_bins():
    stats = _stats(example_results("multiclass"))
    true, gap, _, counts = charts.reliability_chart(stats)["data"]
    seen = stats.count > 0
    np.testing.assert_allclose(true["y"], stats.accuracy[seen], atol=1e-5)
    top = np.array(gap["base"]) + gap["y"]
    np.testing.assert_allclose(top, stats.mean_confidence[seen], atol=2e-5)
    assert counts["y"] == stats.count[seen].tolist()
    assert counts["text"] == [f"{n}" for n in counts["y"]]
    assert f"{counts['y'][0]} answers" in true["hovertext"][0]


def test_curves_end_at_the_error_rate():
    results = example_results("multilabel")
    *curves, level = charts.risk_coverage_chart(results)["data"]
    assert [curve["name"] for curve in curves] == [
        *(f"by {kind}" for kind in results.kinds),
        "best possible",
    ]
    for curve in curves:
        assert curve["x"][-1] == 1
        assert curve["y"][-1] == pytest.approx(results.wrong.mean(), abs=1e-5) == level["y"][0]


def test_few_clips_are_dots_that_say_which_clip():
    results = example_results("multiclass", clips=90)
    groups = figures.uncertainty_groups(results, "total")
    chart = charts.uncertainty_chart(results, "total")
    outside, wrong, right = chart["data"]  # the first group is the upmost row
    assert right["type"] == "bar" and wrong["type"] == outside["type"] == "scatter"
    np.testing.assert_allclose(wrong["x"], groups["wrong"], atol=1e-5)
    assert all(1 < y < 2 for y in wrong["y"]) and all(0 < y < 1 for y in outside["y"])
    first = np.flatnonzero(results.wrong)[0]
    assert wrong["hovertext"][0].startswith(f"{results.answers.clip_ids[first]}: ")
    assert outside["name"] == "other &lt;sounds&gt;"
    assert 'rain &amp; "wind" &lt;b&gt;' in json.dumps(chart).replace('\\"', '"')
    strokes = [shape["x0"] for shape in chart["layout"]["shapes"]]
    want = [np.median(group) for group in groups.values()][::-1]
    np.testing.assert_allclose(strokes, want, atol=1e-5)


def test_colours_are_those_of_the_style_sheet_and_json_can_hold_all():
    results = example_results("multiclass", outside={})
    sure = np.zeros(40)
    answers = dataclasses.replace(results.answers, total=sure, aleatoric=sure, epistemic=sure)
    for each in (results, dataclasses.replace(results, answers=answers)):
        made = [
            charts.reliability_chart(_stats(each)),
            charts.risk_coverage_chart(each),
            *(charts.uncertainty_chart(each, kind) for kind in each.kinds),
        ]
        text = json.dumps(made, allow_nan=False)
        named = {part.split(")")[0] for part in text.split("var(--")[1:]}
        assert named <= set(PALETTE) and "#" not in text
