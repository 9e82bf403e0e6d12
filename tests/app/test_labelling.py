"""Who hears what next, and what is kept: without a model and without the web."""

import numpy as np
import pytest

from vipann_tf.app import labelling as module
from vipann_tf.app.labelling import Labelling
from vipann_tf.app.queue import QueuedClip
from vipann_tf.datasets.label_journal import LabelJournal
from vipann_tf.errors import UserError


def queue(count, first=0):
    return [
        QueuedClip(
            name=f"clip {i}",
            filename=f"{i}.wav",
            start_s=1.0,
            end_s=2.0,
            time=None,
            score=0.0,
            read=lambda: np.zeros(8, np.float32),
            keep=lambda: None,
        )
        for i in range(first, first + count)
    ]


@pytest.fixture
def journal(tmp_path):
    return LabelJournal(tmp_path / "labels.csv")


@pytest.fixture
def work(journal):
    return Labelling(queue(4), journal, "mine")


def say(work, number, who, *labels, verdict=None):
    verdict = verdict or ("labels" if labels else "none")
    work.answer(number, who, verdict, labels, ("dog", 0.5))


def test_nobody_hears_what_another_hears_now(work, monkeypatch):
    assert [work.next_clip(who) for who in ("ann", "ann", "bob", "cid")] == [0, 0, 1, 2]
    say(work, 0, "ann", "dog")
    assert work.next_clip("ann") == 3
    assert work.next_clip("dan") is None  # all are answered or held
    monkeypatch.setattr(module, "HELD_S", 0.0)  # bob has gone
    assert work.next_clip("dan") == 1


def test_agreement_is_measured_on_clips_of_others(work):
    say(work, 2, "ann", "dog")
    assert work.next_clip("bob") == 0
    assert work.next_clip("bob", again=True) == 2
    say(work, 2, "bob", "cat")
    assert work.next_clip("bob", again=True) == 0
    [pair] = work.progress("bob")["agreement"]
    assert (pair["people"], pair["clips"], pair["same"]) == (["ann", "bob"], 1, 0)


def test_an_answer_is_changed_and_withdrawn(work):
    say(work, 0, "ann", "dog")
    say(work, 0, "ann", "cat", "dog")
    assert work.given(0, "ann").labels == ("cat", "dog")
    assert work.settled_labels() == {("0.wav", 1.0, 2.0): ("cat", "dog")}
    say(work, 0, "ann", verdict="withdrawn")
    assert work.given(0, "ann") is None and work.settled_labels() == {}
    assert work.next_clip("ann") == 0
    assert (work.progress("ann")["answered"], work.progress("ann")["mine"]) == (0, 0)


def test_what_people_disagree_on_is_not_learnt(work):
    say(work, 0, "ann", "dog")
    say(work, 0, "bob", "cat")
    say(work, 1, "ann", "dog")
    say(work, 1, "bob", verdict="unsure")
    say(work, 2, "ann")
    assert work.settled_labels() == {("1.wav", 1.0, 2.0): ("dog",), ("2.wav", 1.0, 2.0): ()}


def test_the_next_session_goes_on(work, journal):
    say(work, 0, "ann", "dog")
    say(work, 3, "ann", "odd, one")
    again = Labelling(queue(4, first=2), journal, "mine")  # another ranking: clips 2 to 5
    assert again.progress("ann") == {"clips": 4, "answered": 1, "mine": 1, "agreement": []}
    assert again.labels() == ["dog", "odd, one"]
    assert len(again.settled_labels()) == 2  # also of the clip that is not in the queue now


def test_servers_on_one_journal_know_what_the_others_were_told(work, journal):
    other = Labelling(queue(4), LabelJournal(journal.path), "mine")
    say(work, 0, "ann", "dog")
    assert other.next_clip("ann") == 1 and other.given(0, "ann").labels == ("dog",)
    say(other, 0, "ann", "cat")  # the same person, there
    say(other, 1, "bob", "owl")
    assert work.given(0, "ann").labels == ("cat",)
    assert work.progress("ann")["answered"] == 2 and work.labels() == ["cat", "owl"]
    with open(journal.path, "ab") as file:
        file.write(b"2.wav,1.000,2.0")  # on its way, or of a process that was killed
    assert work.settled_labels() == other.settled_labels()
    say(work, 3, "cid", "dog")
    assert other.given(3, "cid").labels == ("dog",) and other.progress("cid")["answered"] == 3


def test_a_journal_that_was_edited_is_read_anew(work, journal):
    say(work, 0, "ann", "dog")
    say(work, 1, "ann", "cat")
    with open(journal.path, "rb") as file:
        lines = file.readlines()
    with open(journal.path, "wb") as file:
        file.writelines([lines[0], lines[2]])
    assert work.given(0, "ann") is None and work.labels() == ["cat"]


def test_a_new_order_keeps_numbers(work):
    say(work, 1, "ann", "dog")
    clips = work.clips
    work.queue([clips[3], clips[1], *queue(1, first=9), clips[0]])
    assert [work.clip(i).name for i in range(5)] == [f"clip {i}" for i in (0, 1, 2, 3, 9)]
    assert work.next_clip("ann") == 3
    assert work.progress("ann")["clips"] == 4


@pytest.mark.parametrize("number", [-1, 4, 10**9])
def test_a_clip_that_is_not_there(work, number):
    with pytest.raises(UserError, match=f"clip is {number}; the queue has 0 to 3"):
        say(work, number, "ann", "dog")


def test_what_can_not_be_written_is_not_counted(work, monkeypatch):
    def full(answer):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(work._journal, "add", full)
    with pytest.raises(OSError, match="No space"):
        say(work, 0, "ann", "dog")
    assert work.progress("ann")["answered"] == 0
