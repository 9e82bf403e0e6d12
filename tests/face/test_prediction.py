"""What a prediction shows, in text, in notebooks and as a table."""

import sys

import numpy as np
import pytest

import vipann_tf as vt
from vipann_tf.notices import Notice
from vipann_tf.saved_model.predict import Answer

LABELS = ["dog", "<b>cat</b>", "rain & wind", "clock"]


def answer(path, probabilities, notices=()):
    probabilities = np.array(probabilities, np.float32)
    return Answer(
        path=path,
        seconds=2.5,
        probabilities=probabilities,
        label_total=probabilities + 3,
        label_aleatoric=probabilities + 1,
        label_epistemic=probabilities + 2,
        total=0.75,
        aleatoric=0.5,
        epistemic=0.25,
        notices=notices,
        draws=np.stack([probabilities, probabilities]),
    )


@pytest.fixture
def prediction():
    padded = Notice("<script>.wav", "", "padded", "0.5 s of sound, then 0.5 s of zeros")
    answers = [
        answer("a.wav", [0.25, 0.5, 0.125, 0.125]),
        answer("<script>.wav", [0.75, 0, 0.25, 0], (padded,)),
    ]
    return vt.Prediction.of(answers, LABELS, num_draws=2, seed=7)


def test_top(prediction):
    first, second = prediction.top(2)
    assert first == [("<b>cat</b>", 0.5, 1.5, 2.5), ("dog", 0.25, 1.25, 2.25)]
    assert [x.label for x in second] == ["dog", "rain & wind"]
    assert [len(row) for row in prediction.top(99)] == [4, 4]
    with pytest.raises(vt.UserError, match="k is 0; use 1 or more"):
        prediction.top(0)


def test_one_of_several_keeps_its_axes(prediction):
    assert prediction.draws.shape == (2, 2, 4)
    last = prediction[-1]
    assert len(last) == 1 and last.sounds == ["<script>.wav"]
    assert last.probabilities.shape == (1, 4) and last.draws.shape == (2, 1, 4)
    assert [x.notices[0][:1] for x in prediction] == [(), prediction.notices[1]]
    with pytest.raises(IndexError):
        prediction[2]


def test_text(prediction):
    assert repr(prediction).splitlines() == [
        "Prediction of 2 sounds: 4 labels, 2 draws (seed 7)",
        "  a.wav (2.5 s): <b>cat</b> 0.500, dog 0.250, rain & wind 0.125",
        "    0.750 nats = 0.500 aleatoric + 0.250 epistemic",
        "  <script>.wav (2.5 s): dog 0.750, rain & wind 0.250, <b>cat</b> 0.000",
        "    0.750 nats = 0.500 aleatoric + 0.250 epistemic",
        "    padded: 0.5 s of sound, then 0.5 s of zeros",
    ]


def test_names_are_no_html(prediction):
    shown = prediction._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;.wav" in shown
    assert "<b>" not in shown and "rain &amp; wind 0.125" in shown
    assert shown.count("<tr>") == 3 and "0.5 s of zeros" in shown


def test_many_sounds_are_not_all_shown(prediction):
    many = vt.Prediction.of([answer(str(i), [0, 1, 0, 0]) for i in range(23)], LABELS, 2, 7)
    assert repr(many).endswith("and 3 more sounds") and "<p>and 3 more" in many._repr_html_()


def test_a_table_needs_pandas(prediction, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(vt.UserError, match="to_dataframe needs pandas: pip install pandas"):
        prediction.to_dataframe()


def test_the_table(prediction):
    """A row for each sound and label."""
    table = prediction.to_dataframe()
    assert list(table) == [
        "file", "seconds", "label", "probability", "label_total", "label_aleatoric",
        "label_epistemic", "total", "aleatoric", "epistemic",
    ]  # fmt: skip
    assert len(table) == 8
    row = table.iloc[5]
    assert row["file"] == "<script>.wav" and row["label"] == "<b>cat</b>"
    assert (row["probability"], row["label_total"], row["epistemic"]) == (0, 3, 0.25)
    best = table.loc[table.groupby("file", sort=False)["probability"].idxmax(), "label"]
    assert best.tolist() == [tops[0].label for tops in prediction.top(1)]
