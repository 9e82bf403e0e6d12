"""A timeline's page in a real headless Chromium: it fits, plays, and saves what is heard."""

import time
from datetime import datetime

import numpy as np
import pytest
import soundfile

from tests.helpers.chromium import BROWSERS, Browser, find_browser
from tests.helpers.made_up_timelines import RATE, burst_recording, heard, regular_windows
from vipann_tf.timelines.file import TimelineFile

pytestmark = pytest.mark.slow

BROWSER = find_browser()
if BROWSER is None:
    pytest.skip(f"needs one of {', '.join(BROWSERS)} to look at the page", allow_module_level=True)

SECONDS, BURST_S = 21.0, 13.02
SEEN = """
(() => {
  const box = e => {
    const r = e.getBoundingClientRect();
    return [r.left, r.right, r.width, r.height];
  };
  const colours = canvas => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return new Set(new Uint32Array(pixels.buffer)).size;
  };
  return {
    page: [document.documentElement.scrollWidth, document.documentElement.clientWidth],
    canvases: [...document.querySelectorAll("canvas")].map(c => [...box(c), colours(c)]),
    unnamed: [...document.querySelectorAll("button, input, [tabindex]")].filter(
      e => !(e.getAttribute("aria-label") || e.textContent).trim()).length,
    outside: [...document.querySelectorAll("button, .head b")].filter(
      e => e.offsetWidth && e.scrollWidth > e.clientWidth + 1 && e.tagName == "BUTTON").length,
    page_colour: getComputedStyle(document.body).backgroundColor,
  };
})()
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A browser, the page of all of a recording, and one of stretches of a longer one."""
    folder = tmp_path_factory.mktemp("page")
    waveform = burst_recording(folder / "night.wav", SECONDS, [BURST_S])
    labels = ["owl", "a very long label that needs more room than there is", "rain & thunder"]
    for name, seconds in {"whole": SECONDS, "long": 20 * 60.0}.items():
        begin = datetime(2023, 5, 1, 4, 59, 48)
        what = heard(folder / "night.wav", seconds, labels, begin=begin, zone="local")
        drawn = TimelineFile(folder / f"{name}.html", what)
        for each in regular_windows(
            seconds, 5.0, 2.5, lambda i: [0.9 if i in (2, 5) else 0.1, 0.6 - 0.1 * (i % 3), 0.3]
        ):
            drawn.add(each)
        drawn.write(folder / "night.wav")
    # Longer than a page's sound, with its recording below the page.
    (folder / "odd # place").mkdir()
    recording = folder / "odd # place" / "deep 100 %.flac"
    burst_recording(recording, 200.0, [BURST_S], rate=8000, subtype="PCM_16")
    drawn = TimelineFile(folder / "beside.html", heard(recording, 200.0, ["owl"]))
    for each in regular_windows(200.0, 5.0, 5.0, lambda i: [0.9 if i == 2 else 0.1]):
        drawn.add(each)
    drawn.write(recording)
    with Browser(BROWSER, folder / "profile") as browser:
        browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        yield browser, folder, waveform


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
    return found


def press(browser, key):
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            text=key if kind == "keyDown" and len(key) == 1 else "",
        )


def now(browser):
    return float(browser.evaluate("document.getElementById('stage').getAttribute('aria-valuenow')"))


def told(browser):
    return browser.evaluate("document.getElementById('told').textContent")


def quiet(browser):
    kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    assert not [event for event in browser.events if event["method"] in kinds]
    asked = [
        event["params"]["request"]["url"].split(":")[0]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert asked.count("file") == 1 and set(asked) <= {"file", "data", "blob"}


@pytest.mark.parametrize(
    "name, width, scheme",
    [
        ("whole", 1280, "light"),
        ("whole", 400, "dark"),
        ("long", 400, "light"),
        ("long", 1280, "dark"),
    ],
)
def test_it_fits_and_nothing_is_reported(pages, name, width, scheme):
    browser, folder, _ = pages
    browser.open((folder / f"{name}.html").as_uri(), width, scheme)
    seen = until(lambda: (x := browser.evaluate(SEEN)) and x["canvases"][3][4] > 5 and x)
    scroll_width, client_width = seen["page"]
    assert scroll_width <= client_width, "the page scrolls sideways"
    assert len(seen["canvases"]) == 3 + 3 + 1
    for left, right, box_width, height, colours in seen["canvases"]:
        assert left >= 0 and right <= client_width and height >= 20
        assert box_width >= 0.8 * min(width, 1200) and colours > 2
    assert seen["unnamed"] == seen["outside"] == 0
    dark = sum(int(part) for part in seen["page_colour"][4:-1].split(",")) < 3 * 100
    assert dark == (scheme == "dark")
    quiet(browser)


def test_it_plays_seeks_and_saves(pages):
    browser, folder, waveform = pages
    browser.open((folder / "whole.html").as_uri(), 1280, "light")
    box = browser.evaluate(
        "(r => [r.left, r.top, r.width])(document.getElementById('stage').getBoundingClientRect())"
    )

    def mouse(kind, second, **more):
        x = box[0] + second / SECONDS * box[2]
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=box[1] + 40, **more)

    held = {"button": "left", "clickCount": 1}
    mouse("mousePressed", 7.0, **held)
    mouse("mouseReleased", 7.0, **held)
    assert now(browser) == pytest.approx(7.0, abs=0.05)
    label = "document.getElementById('now').textContent"
    assert browser.evaluate(label) == "0:07.0 (04:59:55)"
    browser.evaluate("document.getElementById('stage').focus()")
    press(browser, " ")
    left = "parseFloat(document.querySelector('.cursor').style.left)"
    begin = browser.evaluate(left)
    until(lambda: browser.evaluate(left) > begin + 5)
    press(browser, " ")
    assert 7.05 < now(browser) < 18
    # A stretch around the burst, by dragging; its sound is where it was.
    mouse("mousePressed", 12.5, **held)
    mouse("mouseMoved", 13.0, button="left", buttons=1)
    mouse("mouseMoved", 14.0, button="left", buttons=1)
    mouse("mouseReleased", 14.0, **held)
    press(browser, "s")
    (saved,) = until(lambda: list(folder.glob("night_*.wav")))
    until(lambda: "Saved" in told(browser))
    until(lambda: saved.stat().st_size > 44)
    samples, rate = soundfile.read(saved)
    assert rate == RATE
    pixel_s = SECONDS / box[2]
    assert len(samples) / rate == pytest.approx(1.5, abs=2 * pixel_s)
    first_s = float(saved.name.split("_")[1].split("-")[0])
    original = waveform[round(first_s * rate) :][: len(samples)]
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    expected = np.flatnonzero(np.abs(original) > 0.1)
    assert loud[0] / rate == pytest.approx(expected[0] / rate, abs=0.01)
    assert np.abs(samples).max() == pytest.approx(np.abs(original).max(), rel=0.3)
    quiet(browser)


def test_keys_go_through_the_detections_and_the_view(pages):
    browser, folder, _ = pages
    browser.open((folder / "long.html").as_uri(), 1280, "light")
    browser.evaluate("document.getElementById('stage').focus()")
    press(browser, "n")
    first = now(browser)
    press(browser, "n")
    assert now(browser) > first and ", 0:" in told(browser)
    hidden = "document.getElementById('view').hidden"
    assert browser.evaluate(hidden)
    press(browser, "z")
    assert not browser.evaluate(hidden)
    press(browser, "0")
    assert browser.evaluate(hidden)
    press(browser, "End")
    assert now(browser) == 1200
    press(browser, "Home")
    valuetext = "document.getElementById('stage').getAttribute('aria-valuetext')"
    assert browser.evaluate(valuetext).startswith("0:00.0 (04:59:48): ")
    quiet(browser)


def test_the_recording_itself_is_played_where_it_is(pages):
    browser, folder, _ = pages
    browser.open((folder / "beside.html").as_uri(), 1280, "light")
    text = browser.evaluate("document.body.innerText")
    assert "Elsewhere Play takes the recording itself" in text
    assert "odd # place/deep 100 %.flac" in text
    browser.evaluate("document.getElementById('stage').focus()")
    quiet(browser)  # nothing but the page was asked for
    press(browser, "End")
    for _ in range(25):
        press(browser, "ArrowLeft")
    assert now(browser) == pytest.approx(150.0)
    press(browser, " ")
    plays(browser)
    assert 150 < now(browser) < 200 and told(browser) == ""
    press(browser, "Home")  # and from there on everywhere, without a jump
    press(browser, " ")
    plays(browser)
    assert 0 < now(browser) < 50 and told(browser) == ""
    kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    assert not [event for event in browser.events if event["method"] in kinds]


def plays(browser):
    """Whether the cursor moves; its value for screen readers stays until it stands."""
    left = "parseFloat(document.querySelector('.cursor').style.left)"
    begin = browser.evaluate(left)
    until(lambda: browser.evaluate(left) != begin)
    press(browser, " ")


def test_it_says_what_can_be_heard_without_the_recording(pages):
    browser, folder, _ = pages
    (folder / "elsewhere").mkdir()
    page = folder / "elsewhere" / "beside.html"
    page.write_bytes((folder / "beside.html").read_bytes())
    for address, words in (
        (page, "The recording can't be played from odd # place/deep 100 %.flac, seen from this"),
        (folder / "long.html", "night.wav lasts 0:21.0 for your browser, and 20:00.0 was heard"),
    ):
        browser.open(address.as_uri(), 1280, "light")
        browser.evaluate("document.getElementById('stage').focus()")
        press(browser, "End")
        press(browser, "ArrowLeft")
        press(browser, " ")
        said = until(lambda: told(browser))
        assert words in said and "The green stretches can be heard." in said
        press(browser, " ")  # goes on with a stretch of the page
        until(lambda: "it goes on at" in told(browser))
        plays(browser)
