"""Learning from what was labelled, without the web: model, scores, order, and what is left out."""

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers.exported_models import LABELS
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.saved_model.metadata import read_labels, read_model_info

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def learnt(opened, tmp_path_factory):
    """A session in which four clips were labelled, one by a new name, and a head was trained."""
    out = tmp_path_factory.mktemp("labels")
    session = opened(out)
    before = session.clip(0, "ann")["labels"]
    for number, label in enumerate([LABELS[0], LABELS[1], "owl", LABELS[2]]):
        session.answer(number, "ann", "labels", [label])
    session.learn()
    session.learner.wait()
    return out, session, before


def test_a_model_is_written_with_the_new_label(learnt, model):
    out, session, _ = learnt
    state = session.learner.state()
    assert state["error"] == "" and not state["running"]
    [found] = state["rounds"]
    assert (found["model"], found["clips"], found["copies"]) == ("learnt-1", 4, 0)
    assert read_labels(out / "learnt-1") == [*LABELS, "owl"]
    info = read_model_info(out / "learnt-1")
    assert info.data.held_out == read_model_info(model).data.held_out == ["fold5"]
    assert info.data.clips == 10 + 4
    assert "5 clips of fold5" in state["metric"]
    for words in (found["before"], found["after"], found["difference"]):
        value, low, high = (float(x.strip("()")) for x in words.replace(" to ", " ").split())
        assert low <= value <= high


def test_the_page_answers_by_the_new_model(learnt):
    _, session, before = learnt
    now = session.clip(0, "ann")["labels"]
    assert {x["label"] for x in now} == {*LABELS, "owl"} and now != before


def test_it_evaluates_as_any_other(learnt, data, tmp_path):
    out, *_ = learnt
    arguments = ["evaluate", str(out / "learnt-1"), "--data", str(data), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, [*arguments, "--overwrite"])
    # Its labels are more than those of the data set, which is said.
    assert result.exit_code == 1 and "'6 labels' against '5 labels'" in result.output


def test_the_journal_is_a_data_set(learnt, tmp_path):
    out, _, _ = learnt
    arguments = ["prepare", "csv", str(out / "labels.csv"), str(tmp_path / "data")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0 and "4 clips" in result.output, result.output


def test_features_are_kept_for_the_next_session(learnt, opened, monkeypatch):
    out, _, _ = learnt

    def heard_again(self, waveforms):
        raise AssertionError("the features of an unchanged data set were computed again")

    monkeypatch.setattr("vipann_tf.active.trunk.Trunk.features", heard_again)
    assert opened(out).labelling.progress("ann")["mine"] == 4


def test_a_copy_of_a_held_out_clip_flatters_nobody(opened, tmp_path):
    session = opened(tmp_path / "labels", splits=["fold2", "fold5"])
    held = [i for i, clip in enumerate(session.labelling.clips) if clip.name.startswith("fold5")]
    session.answer(held[0], "ann", "labels", [LABELS[0]])
    session.learn()
    session.learner.wait()
    assert "all labelled clips are held-out ones (1)" in session.learner.state()["error"]
    assert not list((tmp_path / "labels").glob("learnt*"))


def test_what_can_not_be_learnt_is_said(opened, tmp_path, monkeypatch):
    session = opened(tmp_path / "labels")
    with pytest.raises(UserError, match="no clip has a label yet"):
        session.learn()
    session.answer(0, "ann", "unsure", [])
    session.answer(1, "ann", "none", [])  # teaches nothing where one label is always true
    with pytest.raises(UserError, match="no clip has a label yet"):
        session.learn()

    def broken(*_, **__):
        raise ZeroDivisionError("odd")

    session.answer(0, "ann", "labels", [LABELS[0]])

    monkeypatch.setattr("vipann_tf.app.learning.learn", broken)
    session.learn()
    session.learner.wait()
    assert session.learner.state()["error"] == "ZeroDivisionError: odd"


def test_wrong_ways_to_open_it(opened, model, data, tmp_path):
    for options, message in (
        ({"data": None, "splits": ["fold2"]}, "there is nothing to label"),
        ({"out": None}, "say where the labels are to be kept"),
        ({"splits": ["fold9"]}, "fold9"),
        ({"scan": tmp_path}, "is no scan"),
    ):
        with pytest.raises(UserError, match=message):
            opened(**{"out": tmp_path / "x", **options})
    assert np.all([not path.exists() for path in (tmp_path / "x",)])
