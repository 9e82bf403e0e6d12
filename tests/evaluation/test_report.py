"""The report as text: complete, escaped, without network. In a browser: see test_report_page.py."""

import base64
import dataclasses
import gzip
import hashlib
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.helpers.evaluation_examples import LABELS, example_results
from vipann_tf.errors import UserError
from vipann_tf.evaluation.evaluate import evaluate
from vipann_tf.evaluation.plotly_bundle import plotly_bundle
from vipann_tf.evaluation.report import render_report, write_report
from vipann_tf.evaluation.results import Answers
from vipann_tf.evaluation.summary import summarise
from vipann_tf.uncertainty.decomposition import decompose

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Checks that elements close in order; collects headings, text, ids and references."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.ids, self.references, self.words, self.headings = [], [], [], [], []
        self.scripts, self.policy, self.kind = [], "", None
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.kind = dict(attrs).get("type")
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"]
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href"):
                self.references.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data.strip())
        if "script" in self.open:
            self.scripts.append((self.kind, data))
        elif "style" not in self.open:
            self.words.append(data)


@pytest.fixture(scope="module", params=["multilabel", "multiclass"])
def example(request):
    results = example_results(request.param)
    summary = summarise(results, resamples=10)
    return results, summary, render_report(results, summary, extent="small")


def test_page_is_complete_and_well_formed(example):
    results, _, text = example
    page = Page(text)
    labels = (
        "Which labels it recognises" if results.task == "multilabel" else "Which labels it confuses"
    )
    assert page.headings == [
        "Verdict",
        "In short",
        "Does it know when it does not know?",
        "If it may hold back answers",
        "Can its confidence be believed?",
        "Does it notice unfamiliar sounds?",
        labels,
        "Clips",
        "Every clip",
        "What the numbers mean",
        "How this was made",
    ]
    assert len(page.ids) == len(set(page.ids))
    words = " ".join(page.words)
    assert results.command in words
    for label in (*LABELS, "other <sounds>"):
        assert label in words  # escaped once: read back as it was
    assert "<b>" not in words.replace(LABELS[1], "")


def test_page_needs_no_network(example):
    _, _, text = example
    for reference in Page(text).references:
        assert reference.startswith(("data:", "#")), reference
    assert not re.search(r"url\((?!#)", text)
    assert not re.search(r"<[^<>]*\son[a-z]+=", text)


def test_its_own_scripts_alone_may_run(example):
    results, summary, small = example
    full = small if results.task == "multilabel" else render_report(results, summary)
    page = Page(full)
    policy = dict(part.strip().split(" ", 1) for part in page.policy.split(";"))
    assert policy["default-src"] == "'none'" and "connect-src" not in policy
    scripts = dict(page.scripts)
    run = [scripts[None].encode()]
    if full is not small:
        run.append(gzip.decompress(base64.b64decode(scripts.pop("application/gzip"))))
        assert b"plotly.js" in run[1][:200]
    assert set(scripts) == {None, "application/json"}
    hashes = [base64.b64encode(hashlib.sha256(each).digest()).decode() for each in run]
    assert policy["script-src"].split() == [f"'sha256-{each}'" for each in hashes]


def test_a_small_report_and_one_without_the_extra_have_no_plotly(example, monkeypatch, tmp_path):
    results, summary, small = example
    assert "asked to be small" in small
    assert json.loads(dict(Page(small).scripts)["application/json"])["charts"] == {}
    if results.task == "multilabel":
        return
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    plotly_bundle.cache_clear()
    write_report(results, summary, tmp_path / "report.html")
    plotly_bundle.cache_clear()
    without = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert without.startswith("<!doctype html>") and len(without) < 1_000_000
    assert "pip install &#39;vipann-tf[pages]&#39;" in without
    assert [kind for kind, _ in Page(without).scripts] == ["application/json", None]


def test_hostile_names_stay_in_the_data_block():
    results = example_results("multiclass")
    ids = ("</script><script>alert(1)</script>", "<!--", *results.answers.clip_ids[2:])
    labels = ("</script>", "<!-- <script>", "]]>", "__proto__", "{{ 7 * 7 }}")
    answers = dataclasses.replace(results.answers, clip_ids=ids)
    results = dataclasses.replace(results, labels=labels, answers=answers)
    page = Page(render_report(results, summarise(results, resamples=5), extent="small"))
    data = json.loads(page.scripts[0][1])
    assert data["labels"] == list(labels)
    assert data["table"]["id"][: len(ids)] == list(ids)
    assert len(page.scripts) == 2


def test_every_number_of_the_summary_that_matters_is_there(example):
    results, summary, text = example
    words = " ".join(Page(text).words)
    for kind in results.kinds:
        assert f"{summary['uncertainty'][kind]['value']:.3f}" in words
        assert f"{summary['selective'][kind]['aurc']:.3f}" in words
    for kind in ("aleatoric", "epistemic"):
        gap = summary["selective"][kind]["error_auroc_less_total"]["value"]
        assert f"{gap:+.3f}" in words
    for line in summary["ood"]["other <sounds>"]["scores"].values():
        assert f"{line['auroc']['value']:.2f}" in words
    assert f"{100 * summary['calibration']['mce']:.1f}" in words


def test_one_network_shows_no_epistemic_part():
    results = example_results("multiclass", draws=1)
    text = render_report(results, summarise(results, resamples=10), extent="small")
    assert 'data-name="epistemic"' not in text and 'data-name="total"' in text
    assert "One network has no epistemic uncertainty" in text


def test_many_labels_are_shortened_and_all_there_on_demand():
    labels = tuple(f"label {i}" for i in range(60))
    truth = np.eye(60)[np.arange(70) % 60]
    probs = np.random.default_rng(0).dirichlet(np.ones(60), size=(2, 70))
    ids = [f"clip {i}" for i in range(70)]
    for task in ("multiclass", "multilabel"):
        answers = Answers.from_decomposition(ids, decompose(probs, task))
        results = example_results(task, labels=labels, answers=answers, truth=truth, outside={})
        text = render_report(results, summarise(results, resamples=5), extent="small")
        assert 'class="confusion"' not in text and 'class="mini"' not in text
        assert all(f">{label}<" in text for label in labels)


def test_summaries_of_other_results_are_refused(example):
    results, summary, _ = example
    with pytest.raises(UserError, match="the summary has 39 clips and 5 labels, the results"):
        render_report(results, {**summary, "clips": 39})


def test_an_unknown_extent_is_refused_before_anything_is_done():
    with pytest.raises(UserError, match="extent of a report is 'tiny'; it must be one of full, sm"):
        evaluate("no model", "no data", "no results", report="tiny")
