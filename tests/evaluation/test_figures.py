"""Figures draw the groups and curves of the results; as SVG they follow the page's theme."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from tests.helpers.evaluation_examples import example_results, without_errors
from vipann_tf.evaluation import figures
from vipann_tf.evaluation.plots import PALETTE, reliability_figure
from vipann_tf.evaluation.svg import themed_svg
from vipann_tf.uncertainty import calibration as cal


def test_few_clips_are_dots_and_many_a_histogram():
    results = example_results("multiclass", clips=90)
    groups = figures.uncertainty_groups(results, "epistemic")
    assert list(groups) == ["right", "wrong", "other <sounds>"]
    assert len(groups["right"]) >= figures.DOTS > max(len(groups["wrong"]), 25)
    many, few, outside = figures.uncertainty_figure(results, "epistemic").axes
    outline = next(patch for patch in many.patches if not patch.get_fill())
    values, edges, _ = outline.get_data()
    np.testing.assert_allclose(
        values, np.histogram(groups["right"], edges)[0] / len(groups["right"])
    )
    np.testing.assert_allclose(values.sum(), 1.0)  # nothing falls outside the picture
    for axes, name in ((few, "wrong"), (outside, "other <sounds>")):
        x, y = axes.collections[0].get_offsets().T
        np.testing.assert_array_equal(x, groups[name])
        assert axes.get_ylim()[0] < y.min() and y.max() < axes.get_ylim()[1]
        assert axes.get_title(loc="left") == f"{name} ({len(x)})"
        median = axes.collections[1].get_segments()[0][0, 0]
        np.testing.assert_allclose(median, np.median(groups[name]))


@pytest.mark.parametrize("values", [np.zeros(49), np.linspace(0, 2, 49), np.repeat([0.3, 2], 20)])
def test_no_dot_hides_another(values):
    places = figures.dot_offsets(values, 2.0)
    np.testing.assert_array_equal(places, figures.dot_offsets(values, 2.0))
    assert np.abs(places).max() <= 1
    columns = (values / 2.0 * 60).astype(int)
    assert len({*zip(columns, places, strict=True)}) == len(values)


def test_names_of_groups_are_no_formulas():
    results = example_results("multiclass")
    answers = next(iter(results.outside.values()))
    results = example_results("multiclass", outside={"a $b$ $\\frac$": answers})
    svg = themed_svg(figures.uncertainty_figure(results, "total"), "a", "a picture")
    assert "a $b$ $\\frac$ (25)" in svg


def test_groups_without_clips_are_left_out():
    results = without_errors(example_results("multiclass", outside={}))
    assert list(figures.uncertainty_groups(results, "total")) == ["right"]


@pytest.mark.parametrize("draws, curves", [(1, 1), (6, 3)])
def test_risk_coverage_ends_at_the_error_rate(draws, curves):
    results = example_results("multilabel", draws=draws)
    axes = figures.risk_coverage_figure(results).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    kept = [line for name, line in lines.items() if name.startswith("kept by")]
    assert len(kept) == curves
    for line in (*kept, lines["best possible"]):
        np.testing.assert_allclose(line.get_ydata()[-1], results.wrong.mean())
        assert np.all(lines["best possible"].get_ydata() <= line.get_ydata() + 1e-12)


def test_svg_takes_its_colours_from_the_page_and_can_stand_beside_others():
    confidence = np.linspace(0.05, 0.95, 50)
    stats = cal.count_bins(confidence, confidence > 0.5, cal.equal_width_edges())
    svgs = [themed_svg(reliability_figure(stats), name, 'a "picture"') for name in ("a", "b")]
    for svg in svgs:
        root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
        assert root.get("aria-label") == 'a "picture"' and root.get("viewBox")
        assert "<style" not in svg and "font-family" not in svg
        left = set(re.findall(r"#[0-9a-f]{6}\b", svg)) & set(PALETTE.values())
        assert not left
        assert {"var(--ink)", "var(--right)", "var(--wrong)"} <= set(re.findall(r"var\(.*?\)", svg))
        texts = {element.text for element in root.iter() if element.tag.endswith("text")}
        assert {"share true", "answers", "100 %"} <= texts  # real text, not outlines
    ids = [set(re.findall(r'\bid="([^"]*)"', svg)) for svg in svgs]
    assert ids[0] and not ids[0] & ids[1]
