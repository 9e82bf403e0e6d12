"""The report in a real headless Chromium, at the widths of a desk and of a telephone."""

import dataclasses
import time

import numpy as np
import pytest
from matplotlib.image import imread

from tests.helpers.chromium import BROWSERS, Browser, find_browser
from tests.helpers.evaluation_examples import LABELS, example_results
from vipann_tf.evaluation.class_pages import clips_to_hear
from vipann_tf.evaluation.clip_cards import clips_to_show, outside_to_show
from vipann_tf.evaluation.report import write_report
from vipann_tf.evaluation.summary import summarise

BROWSER, pytestmark = find_browser(), pytest.mark.slow
if BROWSER is None:
    pytest.skip(f"needs one of {', '.join(BROWSERS)} to look at the page", allow_module_level=True)

HOSTILE = '<img src=x onerror=alert(1)></script><script>alert("x")</script>'
DRAWN = "document.querySelectorAll('#report .plot .main-svg').length >= 10"  # two layers of each
# Boxes of every figure, with all details open; a text that sticks out of its figure is listed.
BOXES = """
(() => {
  document.querySelectorAll("details").forEach(d => { d.open = true; });
  const seen = e => e.getClientRects().length > 0;
  const box = e => {
    const r = e.getBoundingClientRect();
    return [r.left, r.right, r.width, r.height];
  };
  const figures = [...document.querySelectorAll("svg.chart, svg.sketch, .plot")].filter(seen);
  const outside = [], sizes = [];
  figures.forEach(figure => {
    const frame = figure.getBoundingClientRect();
    figure.querySelectorAll("text").forEach(t => {
      const r = t.getBoundingClientRect();
      if (!r.width || !t.textContent) return;
      const ctm = t.getScreenCTM();
      sizes.push(parseFloat(getComputedStyle(t).fontSize) * Math.hypot(ctm.a, ctm.b));
      if (r.left < frame.left - 2 || r.right > frame.right + 2 || r.top < frame.top - 2 ||
          r.bottom > frame.bottom + 2) outside.push(t.textContent);
    });
  });
  return {
    page: [document.documentElement.scrollWidth, document.documentElement.clientWidth],
    figures: figures.map(box),
    minis: [...document.querySelectorAll(".mini svg")].filter(seen).map(box),
    pictures: [...document.images].filter(seen).map(i => [...box(i), i.naturalWidth]),
    text_px: Math.min(...sizes),
    outside,
    unnamed: [...document.querySelectorAll("a, button, input, select, [tabindex='0']")].filter(
      e => seen(e) && !(e.getAttribute("aria-label") || e.labels?.[0]?.textContent ||
        e.textContent).trim()).length,
    page_colour: getComputedStyle(document.body).backgroundColor,
    colours: [...new Set([...document.querySelectorAll(".plot path, svg.chart path")].filter(seen)
      .map(p => getComputedStyle(p).fill))],
  };
})()
"""
DURATIONS = """
Promise.all([...document.querySelectorAll("main:not([hidden]) audio")].map(a =>
  a.readyState > 0 ? a.duration : new Promise((yes, no) => {
    a.onloadedmetadata = () => yes(a.duration);
    a.onerror = () => no(new Error("a sound does not decode"));
  })))
"""
ROWS = (
    "[...document.querySelectorAll('#table tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder, cards = tmp_path_factory.mktemp("report"), {}
    noise = 0.1 * np.random.default_rng(0).normal(size=64000).astype(np.float32)
    multiclass = example_results("multiclass")
    ids = (HOSTILE, *multiclass.answers.clip_ids[1:])
    answers = dataclasses.replace(multiclass.answers, clip_ids=ids)
    for name, results in {
        "multiclass": dataclasses.replace(multiclass, answers=answers),
        "small": dataclasses.replace(multiclass, labels=(HOSTILE, *LABELS[1:])),
        "multilabel": example_results("multilabel"),
    }.items():
        shown = [clip for group in clips_to_show(results).values() for clip in group]
        unfamiliar = outside_to_show(results)
        cards[name] = len(shown) + sum(map(len, unfamiliar.values()))  # a clip may be on two
        with_sound = {*shown, *clips_to_hear(results)} if name == "multiclass" else ()
        heard = dict.fromkeys(with_sound, noise)
        outside = {key: dict.fromkeys(clips, noise) for key, clips in unfamiliar.items() if heard}
        extent = "small" if name == "small" else "full"
        summary = summarise(results, resamples=10)
        write_report(results, summary, folder / f"{name}.html", heard, outside, extent)
    with Browser(BROWSER, folder / "profile") as browser:
        yield browser, folder, cards


def show(pages, name, width=1280, scheme="light"):
    browser, folder, _ = pages
    browser.open((folder / f"{name}.html").as_uri(), width, scheme)
    if name != "small":
        browser.wait(DRAWN)
    return browser


def quiet(browser):
    told = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    dialogs = ("Page.javascriptDialogOpening", "Page.windowOpen")
    assert not [event for event in browser.events if event["method"] in told + dialogs]
    asked = {
        event["params"]["request"]["url"].split(":")[0]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert asked <= {"file", "data"}


def check_fit(seen, width):
    page_width, client_width = seen["page"]
    assert page_width <= client_width, "the page scrolls sideways"
    for left, right, box_width, height in seen["figures"]:
        assert left >= 0 and right <= client_width
        assert box_width >= 0.7 * min(width, 560) and height > 150
    for left, right, box_width, height in seen["minis"]:
        assert left >= 0 and right <= client_width and min(box_width, height) > 60
    for left, right, box_width, height, natural in seen["pictures"]:
        assert left >= 0 and right <= client_width and min(box_width, height) > 60 and natural > 0
    assert seen["text_px"] >= 8.5 and not seen["unnamed"]
    assert not seen["outside"], "texts stick out of their figures"


@pytest.mark.parametrize(
    "name, width, scheme",
    [
        ("multiclass", 1280, "light"),
        ("multiclass", 400, "dark"),
        ("multilabel", 400, "light"),
        ("small", 400, "light"),
    ],
)
def test_every_figure_is_visible_and_nothing_is_reported(pages, name, width, scheme):
    browser = show(pages, name, width, scheme)
    seen = browser.evaluate(BOXES)
    check_fit(seen, width)
    assert len(seen["figures"]) == 5 and len(seen["minis"]) == 5
    if name == "multiclass":
        durations = browser.evaluate(DURATIONS)
        assert len(seen["pictures"]) == len(durations) == pages[2][name] >= 10
        np.testing.assert_allclose(durations, 2.0, atol=0.1)
    dark = sum(int(part) for part in seen["page_colour"][4:-1].split(",")) < 3 * 100
    assert dark == (scheme == "dark")
    right = "rgb(47, 111, 187)" if scheme == "light" else "rgb(74, 136, 216)"
    assert right in seen["colours"]
    quiet(browser)
    browser.screenshot(pages[1] / "page.png")
    pixels = imread(pages[1] / "page.png")[..., :3]
    assert pixels.shape[1] == width
    assert len(np.unique(pixels[::5, ::5].reshape(-1, 3), axis=0)) > 20  # not blank


def test_verdict_numbers_and_a_picture_are_on_the_first_screen(pages):
    browser = show(pages, "multiclass")
    ends = browser.evaluate(
        "['.verdicts', '.first .plot', '.cards li'].map("
        "x => document.querySelector(x).getBoundingClientRect().bottom)"
    )
    assert max(ends) < 800


def test_charts_follow_the_scheme_and_print_shows_drawings(pages):
    browser = show(pages, "multiclass")
    bar = "getComputedStyle(document.querySelector('.plot .bars path')).fill"
    assert browser.evaluate(bar) == "rgb(47, 111, 187)"
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", features=dark)
    browser.wait(f"{bar} === 'rgb(74, 136, 216)'")
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    names = [
        node["name"]["value"]
        for node in tree
        if not node["ignored"] and node["role"]["value"] in ("image", "img")
    ]
    for start in ("Reliability diagram", "Share of wrong", "Total", "Aleatoric", "Epistemic"):
        assert sum(name.startswith(start) for name in names) == 1
    count = "[...document.querySelectorAll('%s')].filter(e => e.getClientRects().length).length"
    assert browser.evaluate(count % "figure svg.chart") == 0
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate(count % "figure svg.chart") == 5
    assert browser.evaluate(count % ".plot") == 0
    browser.call("Emulation.setEmulatedMedia", media="")
    quiet(browser)


def test_a_chart_says_its_values_where_one_points(pages):
    browser = show(pages, "multiclass")
    place = "document.querySelector('figure[data-chart=reliability] .plot')"
    browser.evaluate(f"{place}.scrollIntoView({{block: 'center'}})")
    x, y = browser.evaluate(
        f"(r => [r.left + r.width / 2, r.top + r.height / 2])("
        f"[...{place}.querySelectorAll('.bars path')].at(-1).getBoundingClientRect())"
    )
    said = ""
    for step in range(40):  # the first movements of a mouse enter the chart
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + step % 2, y=y)
        said = browser.evaluate(f"{place}.querySelector('.hoverlayer').textContent")
        if said:
            break
        time.sleep(0.05)
    assert "answers" in said and "mean confidence" in said
    quiet(browser)


@pytest.mark.parametrize("name, width", [("multiclass", 1280), ("multilabel", 400), ("small", 400)])
def test_a_class_is_opened_and_left_by_keys(pages, name, width):
    browser = show(pages, name, width)
    place = ".confusion tbody th a" if name == "multiclass" else ".clip a"
    browser.evaluate(f"document.querySelector('{place}').focus()")
    label = int(browser.evaluate("document.activeElement.dataset.class"))
    top = browser.evaluate("scrollY")
    assert top > 500
    browser.key("Enter")
    browser.wait("document.activeElement.tagName === 'H1'")
    want = HOSTILE if name == "small" and label == 0 else LABELS[label]
    assert browser.evaluate("document.activeElement.textContent") == want
    assert browser.evaluate("document.title").startswith(want)
    assert browser.evaluate("document.getElementById('report').hidden")
    if name != "small":
        browser.wait("document.querySelectorAll('#class-page .plot .main-svg').length >= 4")
    if name == "multiclass":
        assert browser.evaluate(DURATIONS)
    seen = browser.evaluate(BOXES)
    check_fit(seen, width)
    assert len(seen["figures"]) == 2
    text = browser.evaluate("document.getElementById('class-page').innerText")
    assert "precision" in text or "The model has no thresholds" in text
    browser.evaluate("document.querySelector('#class-page nav a:last-child').focus()")
    browser.key("Enter")
    browser.wait(f"location.hash === '#class-{(label + 1) % 5}'")
    browser.evaluate("history.go(-2)")
    browser.wait("!document.getElementById('report').hidden")
    assert browser.evaluate("document.activeElement.dataset.class") == f"{label}"
    assert browser.evaluate("scrollY") == pytest.approx(top, abs=2)
    quiet(browser)


def test_clips_are_sorted_and_filtered_by_keys(pages):
    browser = show(pages, "multiclass")
    results = example_results("multiclass")
    rows = browser.evaluate(ROWS)
    total = [float(row[5]) for row in rows]
    assert len(rows) == 25 and total == sorted(total, reverse=True)
    head = "document.querySelector('#table th[data-key={}]')"
    for key, column, ways in (("id", 0, (1, -1)), ("epistemic", 7, (-1, 1))):
        for way in ways:
            browser.evaluate(f"{head.format(key)}.querySelector('button').focus()")
            browser.key("Enter")
            sort = browser.evaluate(f"{head.format(key)}.getAttribute('aria-sort')")
            assert sort == ("ascending" if way == 1 else "descending")
            found = [row[column] for row in browser.evaluate(ROWS)]
            assert found == sorted(found, reverse=way == -1)
    assert browser.evaluate("document.querySelectorAll('#table th[aria-sort]').length") == 1
    browser.evaluate("document.getElementById('table-more').click()")
    assert len(browser.evaluate(ROWS)) == 40
    assert HOSTILE in [row[0] for row in browser.evaluate(ROWS)]

    def choose(name, value):
        field = f"document.getElementById('table-filters').elements.{name}"
        told = "new Event('input', { bubbles: true })"
        browser.evaluate(f"{field}.value = {value!r}; {field}.dispatchEvent({told})")
        return browser.evaluate(ROWS)

    assert len(choose("outcome", "wrong")) == results.wrong.sum()
    assert {row[3] for row in browser.evaluate(ROWS)} == {"wrong"}
    of_class = choose("label", "2")
    assert of_class and all(LABELS[2] in row[1:3] for row in of_class)
    choose("label", "")
    choose("outcome", "")
    assert [row[0] for row in choose("text", "CLIP-007")] == ["clip-007"]
    choose("text", "")
    choose("set", "")
    count = browser.evaluate("document.getElementById('table-count').textContent")
    assert count == "65 clips, the first 25 shown"
    assert [row[3] for row in choose("set", "1")] == ["unfamiliar"] * 25
    quiet(browser)


def test_without_a_script_it_is_a_plain_page(pages):
    browser, folder, _ = pages
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open((folder / "multiclass.html").as_uri(), 1280, "light")
        rows = browser.evaluate(ROWS)
        seen = browser.evaluate(BOXES)
        text = browser.evaluate("document.body.innerText")
        links = browser.evaluate("document.querySelectorAll('a').length")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert len(rows) == 20 and len(seen["figures"]) == 5 and links == 0
    assert "The page's script did not run" in text and "Search" not in text
    assert "Without its script, the page shows the 20 clips" in text
