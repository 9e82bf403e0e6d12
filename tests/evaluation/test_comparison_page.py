"""compare.html: all numbers, verdicts by the intervals, and a page that works in a real browser."""

import dataclasses
import json

import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure

from tests.helpers.chromium import Browser, find_browser
from tests.helpers.evaluation_examples import example_results
from vipann_tf.evaluation.compare import compare
from vipann_tf.evaluation.comparison_page import render_comparison
from vipann_tf.evaluation.comparison_rows import Row
from vipann_tf.evaluation.results import write_clip_csv
from vipann_tf.evaluation.summary import summarise
from vipann_tf.uncertainty.bootstrap import Interval
from vipann_tf.uncertainty.metric_names import METRIC_NAMES

BAD = "<script>&'\""


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison of three models, one with half of the truth mixed in, and its rows."""
    root = tmp_path_factory.mktemp("compare")
    results = example_results("multiclass")
    better = 0.5 * (results.answers.probs + results.truth)
    worse = 0.7 * results.answers.probs + 0.3 / results.answers.probs.shape[1]
    places = []
    for name, probs in (("first", results.answers.probs), (BAD, better), ("worse", worse)):
        answers = dataclasses.replace(results.answers, probs=probs)
        place = root / f"results{len(places)}"
        place.mkdir()
        shown = dataclasses.replace(results, answers=answers, model=name)
        (place / "metrics.json").write_text(json.dumps(summarise(shown, resamples=60)))
        write_clip_csv(shown, place / "predictions.csv")
        places.append(place)
    rows = compare(places, root / "out", resamples=60)
    return root / "out" / "compare.html", rows


def name_of(metric):
    """How the page calls a row; those of uncertainty are named in words already."""
    return METRIC_NAMES[metric].shown if metric in METRIC_NAMES else metric


def test_every_number_is_there_by_metric_and_model(compared):
    page, rows = compared
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    assert soup.script is None and "://" not in page.read_text(encoding="utf-8")
    numbers, differences = soup.find_all("table")
    heads = [head.get_text(" ") for head in numbers.thead.find_all("th")]
    clips = rows[0].clips
    assert heads == ["metric", *(f"{name} {clips} clips" for name in ("first", BAD, "worse"))]
    shown = {
        line.th.get_text(): [cell.get_text() for cell in line.find_all("td")]
        for line in numbers.tbody.find_all("tr")
    }
    alone = [row for row in rows if not row.against]
    assert list(shown) == list(dict.fromkeys(name_of(row.metric) for row in alone))
    for i, model in enumerate(("first", BAD, "worse")):
        for row in (row for row in alone if row.model == model):
            value = "-" if row.found.value is None else f"{row.found.value:.3f}"
            assert shown[name_of(row.metric)][i].split(" ")[0] == value
    defined = [row for row in rows if row.against and row.found.value is not None]
    assert len(differences.tbody.find_all("tr")) == len(defined)


def test_verdicts_are_those_of_the_intervals(compared):
    page, rows = compared
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    found = {}
    for line in soup.find_all("table")[1].tbody.find_all("tr"):
        model, _, _, verdict = (cell.get_text() for cell in line.find_all("td"))
        found[line.th.get_text(), model.removesuffix(" less first")] = verdict
    for row in (row for row in rows if row.against and row.found.value is not None):
        assert bool(found[name_of(row.metric), row.model]) == row.found.excludes_zero
    assert found["NLL", BAD] == "better" and found["NLL", "worse"] == "worse"
    assert found["accuracy", BAD] == "better"


@pytest.mark.parametrize(
    "metric, ends, verdict",
    [
        ("accuracy", (0.1, 0.01, 0.2), "better"),
        ("map_common", (-0.1, -0.2, -0.01), "worse"),
        ("ece_classwise", (-0.1, -0.2, -0.01), "better"),
        ("speech: AUROC of total", (0.1, 0.05, 0.2), "better"),
        ("mean total (nats)", (0.1, 0.05, 0.2), "more"),
        ("coverage of sets", (-0.1, -0.2, -0.05), "less"),
        ("nll", (0.1, -0.05, 0.2), ""),
        ("nll", (0.1, None, None), ""),
        ("nll", (0.0, 0.0, 0.0), ""),
    ],
)
def test_which_way_is_better(metric, ends, verdict):
    rows = [
        Row("data", "fold1", "a", "", 9, metric, Interval(0.5)),
        Row("data", "fold1", "b", "a", 9, metric, Interval(*ends)),
    ]
    soup = BeautifulSoup(render_comparison(rows, Figure()), "html.parser")
    line = soup.find_all("table")[1].tbody.tr
    assert line.find_all("td")[-1].get_text() == verdict
    low = float(line.find("line", class_="ends")["x1"].strip("%"))
    middle = float(line.circle["cx"].strip("%"))
    value, least, _ = ends
    assert 0 <= low <= middle <= 100
    assert (middle > 50) == (value > 0) and (low < 50) == ((value if least is None else least) < 0)


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="needs a Chromium to look at the page")
def test_it_fits_in_a_browser(compared, tmp_path):
    page, _ = compared
    with Browser(find_browser(), tmp_path / "profile") as browser:
        for width in (400, 1280):
            for scheme in ("light", "dark"):
                browser.open(page.as_uri(), width, scheme)
                scroll, client, chart, bars, colour = browser.evaluate(
                    "[document.documentElement.scrollWidth, document.documentElement.clientWidth,"
                    " document.querySelector('svg.chart').getBoundingClientRect().width,"
                    " [...document.querySelectorAll('svg.around')].filter(x => x.clientWidth > 50)"
                    ".length, getComputedStyle(document.body).backgroundColor]"
                )
                assert scroll <= client and chart > 250 and bars > 5
                dark = sum(int(part) for part in colour[4:-1].split(",")) < 3 * 100
                assert dark == (scheme == "dark")
                told = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
                assert not [event for event in browser.events if event["method"] in told]
