"""Journals of labels: rows are added, each person's last one counts, agreement is Cohen's."""

import dataclasses
import multiprocessing
import pathlib

import numpy as np
import pytest
import soundfile
from sklearn.metrics import cohen_kappa_score

from vipann_tf import datasets
from vipann_tf.datasets.label_agreement import agreement
from vipann_tf.datasets.label_journal import Answer, LabelJournal, is_journal
from vipann_tf.errors import UserError


def said(clip=0, who="ann", labels=("dog",), verdict=None, **changes):
    answer = Answer(
        filename=f"{clip}.wav",
        start_s=None,
        end_s=None,
        verdict=verdict or ("labels" if labels else "none"),
        labels=tuple(labels),
        who=who,
        when="2026-05-01T05:00:00Z",
        model="mine",
        guess="cat",
        probability=0.5,
    )
    return dataclasses.replace(answer, **changes)


@pytest.fixture
def journal(tmp_path):
    for clip in range(6):
        soundfile.write(tmp_path / f"{clip}.wav", 0.1 * np.ones(16_000), 16_000)
    return LabelJournal(tmp_path / "labels.csv")


def source(journal, **options):
    return datasets.load("csv", journal.path, **options)


def test_what_is_added_is_read(journal):
    odd = said(
        start_s=1.5,
        end_s=2.25,
        labels=("a, b", 'c"d'),
        who="Zoë",
        guess="x;y\N{LATIN SMALL LETTER E WITH ACUTE}",
    )
    for answer in (said(), odd, said(labels=(), verdict="unsure")):
        journal.add(answer)
    assert LabelJournal(journal.path).answers() == [said(), odd, said(labels=(), verdict="unsure")]


def test_the_last_answer_of_each_person_counts(journal):
    for answer in (
        said(0, labels=["dog"]),
        said(0, labels=["cat"]),  # corrected
        said(1, labels=["dog"]),
        said(1, labels=(), verdict="withdrawn"),
        said(2, labels=["dog"]),
        said(2, "bob", ["cat"]),  # they disagree
        said(3, labels=(), verdict="unsure"),
        said(4, labels=(), verdict="unsure"),
        said(4, "bob", ["dog"]),  # an unsure person does not contradict
        said(5, "bob", ["dog"]),
        said(5, labels=["dog"]),
    ):
        journal.add(answer)
    found = source(journal)
    assert {clip.clip_id: clip.labels for clip in found.clips} == {
        "0.wav": ("cat",),
        "4.wav": ("dog",),
        "5.wav": ("dog",),
    }
    assert {(row.clip_id, row.reason): row.detail for row in found.rejected} == {
        ("2.wav", "disagreement"): "ann: dog; bob: cat",
        ("3.wav", "unsure"): "ann could not tell",
    }


def test_none_is_a_clip_without_labels(journal):
    journal.add(said(0, labels=["dog", "cat"]))
    journal.add(said(1, labels=()))
    found = source(journal)
    assert found.task == "multilabel"
    assert [clip.labels for clip in found.clips] == [("dog", "cat"), ()]


def test_half_a_row_of_a_killed_process_is_no_answer(journal):
    journal.add(said(0))
    with open(journal.path, "ab") as file:
        file.write(b'1.wav,,,"do')
    assert LabelJournal(journal.path).answers() == [said(0)]
    journal.add(said(2))
    assert journal.answers() == [said(0), said(2)]


def test_news_are_what_was_added(journal):
    assert journal.news(0) == ([], 0, True)
    journal.add(said(0))
    first = journal.news(0)
    assert first.answers == [said(0)] and first.is_all
    assert journal.news(first.end) == ([], first.end, False)
    journal.add(said(1))
    second = journal.news(first.end)
    assert second.answers == [said(1)] and not second.is_all
    with open(journal.path, "ab") as file:
        file.write(b"2.wav,,,dog,maybe,ann,,,,\n")
    with pytest.raises(UserError, match="line 4: verdict 'maybe'"):  # as an editor counts
        journal.news(second.end)


def _add_many(path, who):
    journal = LabelJournal(path)
    for clip in range(15):
        journal.add(said(clip, who))


def test_two_processes_add_to_one_file(journal):
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=_add_many, args=(journal.path, "bob"))
    other.start()
    _add_many(journal.path, "ann")
    other.join()
    assert other.exitcode == 0
    found = journal.answers()
    for who in ("ann", "bob"):
        assert [x.filename for x in found if x.who == who] == [f"{i}.wav" for i in range(15)]


def _add_until_killed(path, told):
    journal = LabelJournal(path)
    for clip in range(10_000):
        journal.add(said(clip))
        told.put(clip)


def test_what_was_told_to_be_kept_survives_a_kill(journal):
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=_add_until_killed, args=(journal.path, told))
    process.start()
    for last in range(20):
        assert told.get(timeout=60) == last
    process.kill()
    process.join()
    again = LabelJournal(journal.path)
    found = [answer.filename for answer in again.answers()]
    assert found == [f"{clip}.wav" for clip in range(len(found))] and len(found) >= 20
    again.add(said(0, "bob"))  # no lock is left
    assert again.answers()[-1].who == "bob"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": ("a;b",)}, "can't be stored; write words on one line, without ';'"),
        ({"labels": (" ",)}, "can't be stored"),
        ({"labels": ("a\nb",)}, "can't be stored"),
        ({"labels": ()}, "only the verdict 'labels' has labels"),
        ({"verdict": "unsure"}, "only the verdict 'labels' has labels"),
        ({"verdict": "maybe"}, "verdict is 'maybe'; use one of labels, none, unsure, withdrawn"),
        ({"who": " "}, "give a name on one line"),
        ({"who": "a\nb"}, "give a name on one line"),
    ],
)
def test_what_can_not_be_kept_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(said(), **changes)


@pytest.mark.parametrize("content", [b"filename,labels\na.wav,dog\n", b"\xff\n", b"a,b\n1,2\n"])
def test_another_file_is_left_alone(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match="labels.csv"):
        LabelJournal(tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_bytes() == content


def test_only_a_whole_header_makes_a_journal(tmp_path, journal):
    journal.add(said(0))
    text = pathlib.Path(journal.path).read_text(encoding="utf-8")
    assert is_journal(text) and is_journal(text.replace(",", ";"))
    # Other tables with some of these columns are still asked what they are for.
    table = tmp_path / "other" / "table.csv"
    table.parent.mkdir()
    table.write_text(f"filename,label,probability\n{tmp_path}/0.wav,dog,0.5\n")
    with pytest.raises(UserError, match="column 'probability' is unknown"):
        datasets.load("csv", str(table))


def test_agreement_is_cohens_kappa():
    rng = np.random.default_rng(0)
    first = rng.choice(["a", "b", ""], 50)
    second = np.where(rng.random(50) < 0.6, first, rng.choice(["a", "b", ""], 50))
    answers = [
        said(i, who, [x] if x else [])
        for who, given in (("ann", first), ("bob", second))
        for i, x in enumerate(given)
    ]
    answers += [said(50, "ann"), said(0, "cid", (), verdict="unsure")]
    answers.append(said(1, "ann", (), verdict="unsure"))  # instead of what she said before
    kept = np.arange(50) != 1
    [pair] = agreement(answers)
    assert (pair.first, pair.second, pair.clips) == ("ann", "bob", 49)
    assert pair.same == np.sum(first[kept] == second[kept])
    assert pair.kappa == pytest.approx(cohen_kappa_score(first[kept], second[kept]))


def test_kappa_of_one_answer_to_everything_is_not_defined():
    [pair] = agreement([said(i, who) for who in ("ann", "bob") for i in range(3)])
    assert (pair.clips, pair.same, pair.kappa) == (3, 3, None)
