"""The summary of a scan in a real headless Chromium, at the widths of a desk and a telephone."""

import numpy as np
import pytest
import soundfile

from tests.helpers.chromium import BROWSERS, Browser, find_browser
from tests.helpers.written_scans import season, write_scan
from vipann_tf.scans.page import write_page

pytestmark = pytest.mark.slow
BROWSER = find_browser()
if BROWSER is None:
    pytest.skip(f"needs one of {', '.join(BROWSERS)} to look at the page", allow_module_level=True)

SEEN = """
(() => {
  const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.right, r.height]; };
  return {
    page: [document.documentElement.scrollWidth, document.documentElement.clientWidth],
    regions: [...document.querySelectorAll(".scroll, .drift")].map(box),
    bars: [...document.querySelectorAll(".drift rect")].map(r => getComputedStyle(r).fill),
    page_colour: getComputedStyle(document.body).backgroundColor,
  };
})()
"""
DURATION = """
new Promise((yes, no) => {
  const sound = document.querySelector("audio");
  sound.onloadedmetadata = () => yes(sound.duration);
  sound.onerror = () => no(new Error("the clip does not play"));
  sound.preload = "auto";
  sound.load();
})
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    scan = write_scan(folder / "scan", season(0))
    (scan / "clips").mkdir()
    soundfile.write(scan / "clips" / "a #1.wav", np.zeros(16_000), 32_000)
    (scan / "clips" / "clips.csv").write_text("filename,labels\na #1.wav,a\n")
    with Browser(BROWSER, folder / "profile") as browser:
        yield browser, write_page(scan, folder / "summary.html")


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_nothing_is_reported(page, tmp_path, width, scheme):
    browser, written = page
    browser.open((tmp_path / written.path).as_uri(), width, scheme)
    seen = browser.evaluate(SEEN)
    scroll_width, client_width = seen["page"]
    assert scroll_width <= client_width, "the page scrolls sideways"
    assert len(seen["regions"]) == 7
    for left, right, height in seen["regions"]:
        assert left >= 0 and right <= client_width and height > 50
    blue = "rgb(47, 111, 187)" if scheme == "light" else "rgb(74, 136, 216)"
    assert seen["bars"] and set(seen["bars"]) == {blue}
    dark = sum(int(part) for part in seen["page_colour"][4:-1].split(",")) < 3 * 100
    assert dark == (scheme == "dark")
    assert browser.evaluate(DURATION) == pytest.approx(0.5)
    told = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    assert not [event for event in browser.events if event["method"] in told]
