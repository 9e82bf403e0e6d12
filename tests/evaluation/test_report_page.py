"""The report in a real headless Chromium, at the widths of a desk and of a telephone."""

import numpy as np
import pytest
from matplotlib.image import imread

from tests.helpers.chromium import BROWSERS, Browser, find_browser
from tests.helpers.evaluation_examples import example_results
from vipann_tf.evaluation.clip_cards import clips_to_show, outside_to_show
from vipann_tf.evaluation.report import write_report
from vipann_tf.evaluation.summary import summarise

BROWSER = find_browser()
if BROWSER is None:
    pytest.skip(f"needs one of {', '.join(BROWSERS)} to look at the page", allow_module_level=True)

# Boxes of every figure, with all details open; a text that sticks out of its chart is listed.
BOXES = """
(() => {
  document.querySelectorAll("details").forEach(d => { d.open = true; });
  const box = e => {
    const r = e.getBoundingClientRect();
    return [r.left, r.right, r.width, r.height];
  };
  const outside = [];
  document.querySelectorAll("svg.chart").forEach(svg => {
    const frame = svg.getBoundingClientRect();
    svg.querySelectorAll("text").forEach(t => {
      const r = t.getBoundingClientRect();
      if (r.left < frame.left - 2 || r.right > frame.right + 2 || r.top < frame.top - 2 ||
          r.bottom > frame.bottom + 2) outside.push(t.textContent);
    });
  });
  return {
    page: [document.documentElement.scrollWidth, document.documentElement.clientWidth],
    charts: [...document.querySelectorAll("svg.chart")].map(box),
    minis: [...document.querySelectorAll(".mini svg")].map(box),
    pictures: [...document.images].map(i => [...box(i), i.naturalWidth]),
    text_px: Math.min(...[...document.querySelectorAll("svg.chart text")].map(
      t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a)
      .filter(size => size > 0)),
    outside,
    page_colour: getComputedStyle(document.body).backgroundColor,
    bar_colours: [...new Set([...document.querySelectorAll("svg.chart path")].map(
      p => getComputedStyle(p).fill))],
  };
})()
"""
DURATIONS = """
Promise.all([...document.querySelectorAll("audio")].map(a => a.readyState > 0 ? a.duration :
  new Promise((yes, no) => {
    a.onloadedmetadata = () => yes(a.duration);
    a.onerror = () => no(new Error("a sound does not decode"));
  })))
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder, cards = tmp_path_factory.mktemp("report"), {}
    noise = np.random.default_rng(0)
    for task in ("multiclass", "multilabel"):
        results = example_results(task)
        shown = [clip for group in clips_to_show(results).values() for clip in group]
        unfamiliar = outside_to_show(results)
        cards[task] = len(shown) + sum(map(len, unfamiliar.values()))  # a clip may be on two
        audio = {clip: 0.1 * noise.normal(size=64000).astype(np.float32) for clip in shown}
        outside = {name: dict.fromkeys(ids, audio[shown[0]]) for name, ids in unfamiliar.items()}
        summary = summarise(results, resamples=10)
        write_report(results, summary, folder / f"{task}.html", audio, outside)
    with Browser(BROWSER, folder / "profile") as browser:
        yield browser, folder, cards


@pytest.mark.parametrize(
    "task, width, scheme",
    [
        ("multiclass", 1280, "light"),
        ("multiclass", 1280, "dark"),
        ("multiclass", 400, "light"),
        ("multiclass", 400, "dark"),
        ("multilabel", 1280, "dark"),
        ("multilabel", 400, "light"),
    ],
)
def test_every_figure_is_visible_and_nothing_is_reported(pages, task, width, scheme):
    browser, folder, cards = pages
    browser.open((folder / f"{task}.html").as_uri(), width, scheme)
    seen = browser.evaluate(BOXES)
    durations = browser.evaluate(DURATIONS)

    scroll_width, client_width = seen["page"]
    assert scroll_width <= client_width, "the page scrolls sideways"
    assert len(seen["charts"]) == 4 and len(seen["minis"]) == 5
    assert len(seen["pictures"]) == len(durations) == cards[task] >= 10
    for left, right, box_width, height in seen["charts"]:
        assert left >= 0 and right <= client_width
        assert box_width >= 0.75 * min(width, 600) and height > 150
    for left, right, box_width, height in seen["minis"]:
        assert left >= 0 and right <= client_width and min(box_width, height) > 60
    for left, right, box_width, height, natural in seen["pictures"]:
        assert left >= 0 and right <= client_width and min(box_width, height) > 60 and natural > 0
    assert seen["text_px"] >= 8.5
    assert not seen["outside"], "texts stick out of their charts"
    np.testing.assert_allclose(durations, 2.0, atol=0.1)

    dark = sum(int(part) for part in seen["page_colour"][4:-1].split(",")) < 3 * 100
    assert dark == (scheme == "dark")
    right = "rgb(47, 111, 187)" if scheme == "light" else "rgb(74, 136, 216)"
    assert right in seen["bar_colours"]

    reported = [
        event
        for event in browser.events
        if event["method"]
        in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    ]
    assert not reported
    asked = {
        event["params"]["request"]["url"].split(":")[0]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert asked <= {"file", "data"}

    browser.screenshot(folder / "page.png")
    picture = imread(folder / "page.png")[..., :3]
    assert picture.shape[1] == width
    assert len(np.unique(picture[::5, ::5].reshape(-1, 3), axis=0)) > 20  # not a blank page
