"""study.html: every number, verdicts in words, short names, and a page that fits in a browser."""

import csv

import pytest
from bs4 import BeautifulSoup

from tests.helpers.chromium import BROWSERS, Browser, find_browser
from tests.helpers.made_up_study import write_curves
from vipann_tf.recipes import load_recipe
from vipann_tf.study.directory import StudyDirectory
from vipann_tf.study.grid import cells, select
from vipann_tf.study.outcome import write_outcome
from vipann_tf.study.page_tables import page_table, short_names
from vipann_tf.study.recipe import StudyRecipe
from vipann_tf.study.table import Number, Table
from vipann_tf.uncertainty.bootstrap import Interval

# 8 pairs: 4 metrics, and 3 uncertainties on 2 sets of clips; 6 pairs of two seeds: 4 metrics.
TESTS = 8 * 4 + 2 * 8 * 3 + 6 * 4


@pytest.fixture(scope="module")
def study(made_up):
    """Directory and tables of a study of transfers."""
    directory, found, _ = made_up
    return directory, write_outcome(directory, list(found), resamples=20)


@pytest.fixture(scope="module")
def active(tmp_path_factory):
    """Directory and tables of a study of learning curves."""
    recipe = load_recipe(StudyRecipe, "studies/active")
    directory = StudyDirectory(recipe, tmp_path_factory.mktemp("made") / "active")
    chosen = select(cells(recipe), ["strategy=det-laplace"])
    for cell in chosen:
        write_curves(directory, cell)
    return directory, write_outcome(directory, chosen)


def page_of(made):
    text = (made[0].out / "study.html").read_text(encoding="utf-8")
    return BeautifulSoup(text, "html.parser")


@pytest.mark.parametrize("name", ["study", "active"])
def test_every_number_is_there_once(name, request):
    made = request.getfixturevalue(name)
    soup = page_of(made)
    assert soup.script is None
    for table in made[1]:
        section = soup.find(id=table.name).parent
        shown = sorted(x.get_text() for x in section.select("td .value"))
        numbers = [cell for row in table.rows for cell in row if isinstance(cell, Number)]
        expected = [f"{x.text.partition(' (')[0]} {x.verdict}".strip() for x in numbers]
        assert sorted(expected) == [x for x in shown if x in expected]
        ends = [x.get_text() for x in section.select("td .ends")]
        assert all(x.text.partition(" ")[2] in ["", *ends] for x in numbers)
        drawn = [x for x in numbers if x.signed and x.found.value is not None]
        assert len(section.select("svg.around")) == len(drawn)


def test_it_says_how_many_are_finished_and_where(study):
    assert (
        f"30 of 30 cells finished · {study[0].recipe.hardware}" in page_of(study).header.get_text()
    )


def test_verdicts_first(study):
    soup = page_of(study)
    first = soup.main.section
    assert first.h2.get_text() == "In short" and f"{TESTS} such tests" in first.get_text()
    with (study[0].out / "tables" / "differences.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["second"] == "det"]
    assert first.h3.get_text() == "Differences: a · fixed · training clips: 100 %, against det"
    for score in first.dl.find_all("div"):
        metric = score.dt.get_text()
        said = {}
        for line in score.dd.find_all("p"):
            verdict = line.get_text().partition(":")[0].strip()
            said.update({name.get_text(): verdict for name in line.find_all("b")})
        assert said == {
            row["first"]: row[f"{metric} verdict"] or "no difference shown" for row in rows
        }


def test_the_reference_of_learning_curves_is_random(active):
    first = page_of(active).main.section
    assert first.h3.get_text() == "Active learning: differences: esc10, against random"
    better = first.find("p", class_="better")
    assert [x.get_text() for x in better.find_all("b")] == ["epistemic"]


def test_short_names():
    """What all rows have in common is not in a name, and what tells them apart is."""
    row = {"network": "n", "strategy": "det", "options": "", "training clips": "100 %"}
    assert short_names([row, {**row, "options": "elbo"}]) == ["det", "det, elbo"]
    assert short_names([row, {**row, "network": "m"}]) == ["det of n", "det of m"]
    assert short_names([row, {**row, "training clips": "5 %"}]) == ["det", "det, 5 % of the clips"]
    assert short_names([{**row, "training clips": "5 %"}]) == ["det"]
    assert short_names([{"network": "n"}, {"network": "m"}]) == ["n", "m"]


def test_few_rows_of_many_values_are_columns():
    table = Table("t", "T", "", ["network", "clips", "a", "b", "c"])
    for name in ("n", "m"):
        table.rows.append([name, "7", *(Number(Interval(x)) for x in (0.1, 0.2, None))])
    shown = page_table(table)
    assert shown.headings == ["", "n", "m"] and shown.common == "clips: 7"
    [group] = shown.groups
    found = {name: [cell.text for cell in cells] for name, cells in group.lines}
    assert found == {"a": ["0.100"] * 2, "b": ["0.200"] * 2, "c": ["-"] * 2}


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason=f"needs one of {', '.join(BROWSERS)}")
def test_it_fits_in_a_browser(study, active, tmp_path):
    with Browser(find_browser(), tmp_path / "profile") as browser:
        for made, width, scheme in (
            (study, 400, "dark"),
            (study, 1280, "light"),
            (active, 400, "light"),
            (active, 1280, "dark"),
        ):
            browser.open((made[0].out / "study.html").as_uri(), width, scheme)
            page, client, charts, bars, hidden, colour = browser.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth,"
                " Math.min(...[...document.querySelectorAll('svg.chart')].map(x =>"
                " x.getBoundingClientRect().width)),"
                " [...document.querySelectorAll('svg.around')].filter(x => x.clientWidth > 90)"
                ".length,"
                " [...document.querySelectorAll('.scroll')].filter(x => x.scrollWidth >"
                " x.clientWidth && !(x.tabIndex === 0 && x.ariaLabel)).length,"
                " getComputedStyle(document.body).backgroundColor]"
            )
            assert page <= client and charts > 300 and bars > 20 and hidden == 0
            dark = sum(int(part) for part in colour[4:-1].split(",")) < 3 * 100
            assert dark == (scheme == "dark")
            told = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
            assert not [event for event in browser.events if event["method"] in told]
