"""The report as text: complete, escaped, without network. In a browser: see test_report_page.py."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.helpers.evaluation_examples import LABELS, example_results
from vipann_tf.errors import UserError
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
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
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
        if "style" not in self.open:
            self.words.append(data)


@pytest.fixture(scope="module", params=["multilabel", "multiclass"])
def example(request):
    results = example_results(request.param)
    return results, summarise(results, resamples=10)


def test_page_is_complete_and_well_formed(example):
    results, summary = example
    page = Page(render_report(results, summary))
    labels = (
        "Which labels it recognises" if results.task == "multilabel" else "Which labels it confuses"
    )
    assert page.headings == [
        "In short",
        "Can its confidence be believed?",
        "Does it know when it does not know?",
        "If it may hold back answers",
        "Does it notice unfamiliar sounds?",
        labels,
        "Clips",
        "What the numbers mean",
        "How this was made",
    ]
    assert len(page.ids) == len(set(page.ids))
    text = " ".join(page.words)
    assert results.command in text
    for label in (*LABELS, "other <sounds>"):
        assert label in text  # escaped once: read back as it was
    assert "<b>" not in text.replace(LABELS[1], "")


def test_page_needs_no_network_and_no_script(example):
    results, summary = example
    text = render_report(results, summary)
    for reference in Page(text).references:
        assert reference.startswith(("data:", "#")), reference
    assert "<script" not in text and not re.search(r"url\((?!#)", text)
    assert not re.search(r"\son[a-z]+=", text)
    assert "default-src 'none'" in text


def test_every_number_of_the_summary_that_matters_is_there(example):
    results, summary = example
    text = " ".join(Page(render_report(results, summary)).words)
    for kind in results.kinds:
        assert f"{summary['uncertainty'][kind]['value']:.3f}" in text
        assert f"{summary['selective'][kind]['aurc']:.3f}" in text
    for line in summary["ood"]["other <sounds>"]["scores"].values():
        assert f"{line['auroc']['value']:.2f}" in text
    assert f"{100 * summary['calibration']['mce']:.1f}" in text


def test_one_network_shows_no_epistemic_part():
    results = example_results("multiclass", draws=1)
    text = render_report(results, summarise(results, resamples=10))
    assert 'data-name="epistemic"' not in text and 'data-name="aleatoric"' in text
    assert "One network has no epistemic uncertainty" in text


def test_many_labels_are_shortened_and_all_there_on_demand():
    labels = tuple(f"label {i}" for i in range(60))
    truth = np.eye(60)[np.arange(70) % 60]
    probs = np.random.default_rng(0).dirichlet(np.ones(60), size=(2, 70))
    ids = [f"clip {i}" for i in range(70)]
    for task in ("multiclass", "multilabel"):
        answers = Answers.from_decomposition(ids, decompose(probs, task))
        results = example_results(task, labels=labels, answers=answers, truth=truth, outside={})
        text = render_report(results, summarise(results, resamples=5))
        assert 'class="confusion"' not in text
        assert all(f">{label}<" in text for label in labels)


def test_file_is_written_and_other_summaries_are_refused(example, tmp_path):
    results, summary = example
    write_report(results, summary, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(UserError, match="the summary has 39 clips and 5 labels, the results"):
        render_report(results, {**summary, "clips": 39})
