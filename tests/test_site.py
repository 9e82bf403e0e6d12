"""The site of `make docs`, as far as it can be tested without building it."""

import re
import runpy

import pytest

import vipann_tf as vt
from tests.helpers.paths import ROOT

REFERENCE = ROOT / "docs" / "reference"
SHOWN = r"^\.\. (?:autofunction|autoclass|automodule|py:data):: (\S+)"


def shown(page: str) -> set[str]:
    """Last parts of the names that a page of the reference shows."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return {name.rpartition(".")[2] for name in re.findall(SHOWN, text, re.M)}


def test_the_reference_shows_every_public_name():
    assert set(vt.layers.__all__) <= shown("layers.rst")
    assert set(vt.uncertainty.__all__) <= shown("uncertainty.rst")
    pages = {page.stem for page in REFERENCE.glob("*.rst")}
    assert set(vt.__all__) <= shown("python.rst") | shown("layers.rst") | pages


def test_examples_of_the_reference_are_executed():
    """Those of docstrings by `make check`; the pages themselves have no others."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pytest -q --doctest-modules vipann_tf\n" in makefile
    code = re.compile(r"^\.\. (?:code-block|sourcecode|doctest)::|::$|^ *>>>", re.M)
    for page in REFERENCE.glob("*.rst"):
        assert not code.search(page.read_text(encoding="utf-8")), page


@pytest.fixture(scope="module")
def loaded():
    return runpy.run_path(str(ROOT / "docs" / "site" / "check_offline.py"))["loaded_from_elsewhere"]


@pytest.mark.parametrize(
    "suffix, text",
    [
        (".html", '<script src="https://elsewhere.example/a.js"></script>'),
        (".html", '<link rel="stylesheet" href="//elsewhere.example/a.css"/>'),
        (".html", '<img alt="" srcset="a.png 1x, https://elsewhere.example/b.png 2x">'),
        (".html", "<style>@import 'https://elsewhere.example/a.css';</style>"),
        (".html", '<p style="background: url(https://elsewhere.example/a.png)">'),
        (".html", '<script>fetch("https://elsewhere.example/a.json")</script>'),
        (".html", '<meta http-equiv="Refresh" content="0; url=https://elsewhere.example/">'),
        (".svg", '<svg><image xlink:href="http://elsewhere.example/a.png"/></svg>'),
        (".css", "@font-face { src: url('https://elsewhere.example/a.woff2') }"),
        (".js", "importScripts('https://elsewhere.example/a.js')"),
    ],
)
def test_what_a_browser_would_load_from_a_network_is_found(loaded, suffix, text):
    (address,) = loaded(text, suffix)
    assert "//elsewhere.example/" in address


@pytest.mark.parametrize(
    "suffix, text",
    [
        (".html", '<a href="https://elsewhere.example/">read on</a><script src="_static/a.js">'),
        (".html", '<link rel="next" href="https://elsewhere.example/"><p>url(https://x.example)'),
        (".svg", '<svg xmlns="http://www.w3.org/2000/svg"><use xlink:href="#a"/></svg>'),
        (".css", "a { background: url(data:image/png;base64,AA) } /* https://x.example */"),
        (".js", "// see https://x.example/a.js\nfetch('searchindex.js')"),
    ],
)
def test_links_that_a_reader_may_follow_are_allowed(loaded, suffix, text):
    assert loaded(text, suffix) == []
