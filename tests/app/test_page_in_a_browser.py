"""The page in a real headless Chromium: labels by keyboard, two people, widths and colours."""

import csv
import json
import threading

import pytest

from tests.helpers.chromium import BROWSERS, Browser, find_browser
from tests.helpers.exported_models import LABELS
from vipann_tf.app.run import serve

pytestmark = pytest.mark.slow

BROWSER = find_browser()
if BROWSER is None:
    pytest.skip(f"needs one of {', '.join(BROWSERS)} to look at the page", allow_module_level=True)

CLIP = "now && !busy ? [now.clip, now.labels.map(x => x.label)] : null"
STATUS = "document.getElementById('status').textContent"


@pytest.fixture(scope="module")
def page(opened, tmp_path_factory):
    """A browser, the address of a page, and the directory of its labels."""
    out = tmp_path_factory.mktemp("labels")
    session = opened(out)
    ready, address = threading.Event(), []
    started = threading.Thread(
        target=serve,
        args=(session,),
        kwargs={"port": 0, "on_ready": lambda text: (address.append(text), ready.set())},
        daemon=True,
    )
    started.start()
    assert ready.wait(60)
    with Browser(BROWSER, tmp_path_factory.mktemp("profile")) as browser:
        yield browser, address[0], out


def begin(browser, address, who, width=1280, scheme="light"):
    browser.open(address, width, scheme)
    browser.evaluate(f"document.getElementById('who').value = {json.dumps(who)}")
    browser.evaluate("document.getElementById('person').requestSubmit()")
    return browser.wait(CLIP)


def press(browser, key):
    """Press a key that answers, and wait for the next clip."""
    number, labels = browser.wait(CLIP)
    browser.key(key)
    browser.wait(f"now && now.clip !== {number} && !busy")
    return number, labels


def kept(out):
    with open(out / "labels.csv", encoding="utf-8", newline="") as file:
        return [(row["who"], row["verdict"], row["labels"]) for row in csv.DictReader(file)]


def reported(browser):
    told = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    return [event for event in browser.events if event["method"] in told]


def test_labels_by_keyboard(page):
    browser, address, out = page
    begin(browser, address, "ann")
    first, labels = press(browser, "2")
    press(browser, "n")
    press(browser, "u")
    expected = [("ann", "labels", labels[1]), ("ann", "none", ""), ("ann", "unsure", "")]
    assert kept(out) == expected
    browser.key("o")  # another label, in words
    browser.call("Input.insertText", text="owl")
    number, _ = browser.wait(CLIP)
    browser.key("Enter")
    browser.wait(f"now.clip !== {number} && !busy")
    assert kept(out)[-1] == ("ann", "labels", "owl")
    browser.key("b")
    browser.wait(f"now.clip === {number} && !busy")
    assert "Your answer was: owl" in browser.evaluate(STATUS)
    press(browser, "1")
    assert kept(out)[-1][:2] == ("ann", "labels") and len(kept(out)) == 5
    assert "4 of 6 clips are answered" in browser.evaluate("document.body.innerText")
    # Keys that belong to the browser, and those in a field, answer nothing.
    browser.evaluate("document.getElementById('other').focus()")
    browser.key("1")
    assert len(kept(out)) == 5
    # The name is one line once it is known, and can be changed.
    shown = "['person', 'named'].map(x => document.getElementById(x).offsetParent !== null)"
    assert browser.evaluate(shown) == [False, True]
    browser.evaluate("document.getElementById('rename').click()")
    assert browser.evaluate(shown) == [True, False] and browser.evaluate("now") is None
    assert reported(browser) == []
    hosts = {
        event["params"]["request"]["url"].split("/")[2]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
        and not event["params"]["request"]["url"].startswith(("data:", "blob:"))
    }
    assert hosts == {address.split("/")[2]}
    assert first == 0


def test_two_people_agree_or_not(page, tmp_path):
    browser, address, _ = page
    begin(browser, address, "ann")
    with Browser(BROWSER, tmp_path / "other") as other:
        other.open(address, 1280, "dark")
        other.evaluate("document.getElementById('again').checked = true")
        other.evaluate("document.getElementById('who').value = 'bob'")
        other.evaluate("document.getElementById('person').requestSubmit()")
        number, _ = other.wait(CLIP)
        assert number == 0  # what ann has answered first
        press(other, "2")
        assert "ann and bob: 1 of 1 equal" in other.evaluate("document.body.innerText")


def test_it_learns(page):
    browser, address, out = page
    begin(browser, address, "ann")
    browser.evaluate("document.getElementById('learn-button').click()")
    done = "document.querySelector('#learning table, #learning .error')"
    browser.wait(f"{done} !== null", 180)
    text = browser.evaluate("document.getElementById('learning').innerText")
    assert "learnt-1" in text
    assert "Scores are the accuracy on the 5 clips of fold5" in text
    assert (out / "learnt-1" / "1" / "saved_model.pb").exists()
    assert set(browser.wait(CLIP)[1]) <= {*LABELS, "owl"}


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits(page, width, scheme):
    browser, address, _ = page
    begin(browser, address, "cid", width, scheme)
    seen = browser.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth,"
        " document.querySelector('.spectrogram img').naturalWidth,"
        " [...document.querySelectorAll('button, input')].filter(x => x.offsetParent &&"
        " !x.labels?.length && !x.innerText && !x.ariaLabel).length,"
        " getComputedStyle(document.body).backgroundColor]"
    )
    scroll, client, picture, nameless, colour = seen
    assert scroll <= client, "the page scrolls sideways"
    assert picture > 50 and nameless == 0
    dark = sum(int(part) for part in colour[4:-1].split(",")) < 3 * 100
    assert dark == (scheme == "dark")
    assert reported(browser) == []
