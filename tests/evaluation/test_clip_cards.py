"""Clips of the report: the right ones are chosen; picture and sound decode to the waveform."""

import base64
import dataclasses
import io

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from tests.helpers.evaluation_examples import example_results, without_errors
from vipann_tf.evaluation import clip_cards as cc


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_chosen_clips_are_the_extremes(task):
    results = example_results(task)
    total = dict(
        zip(
            results.answers.clip_ids,
            results.answers.answer_uncertainty("total", task),
            strict=True,
        )
    )
    wrong = dict(zip(results.answers.clip_ids, results.wrong, strict=True))
    got = cc.clips_to_show(results, count=3)
    ranked = sorted(total, key=total.get)
    assert got["most sure"] == ranked[:3]
    assert got["least sure"] == ranked[:-4:-1]
    assert got["sure but wrong"] == [clip for clip in ranked if wrong[clip]][:3]


def _tone(hz: float, seconds: float = 1.5) -> np.ndarray:
    t = np.arange(int(32000 * seconds)) / 32000
    return (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def _decode(uri: str) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))


def test_cards_say_what_the_results_say():
    results = example_results("multilabel")
    groups = cc.clip_cards(results, {})
    assert list(groups) == ["sure but wrong", "least sure", "most sure"]
    for name, cards in groups.items():
        assert len(cards) == cc.CLIPS_A_GROUP
        for card in cards:
            i = results.answers.clip_ids.index(card.clip_id)
            assert card.right == (not results.wrong[i])
            assert not (card.right and name == "sure but wrong")
            assert set(card.truth) == {
                label for label, true in zip(results.labels, results.truth[i], strict=True) if true
            }
            shares = [share for _, share, _ in card.answers]
            assert shares == sorted(shares, reverse=True)
            assert shares[0] == results.answers.probs[i].max()
            assert all(true == (label in card.truth) for label, _, true in card.answers)
            assert card.picture is None and card.sound is None


def test_sound_and_picture_are_of_the_waveform():
    results = example_results("multiclass")
    low, high = cc.clips_to_show(results)["least sure"][:2]
    cards = cc.clip_cards(results, {low: _tone(200.0), high: _tone(6000.0)})["least sure"]
    rows = []
    for card, hz in zip(cards[:2], (200.0, 6000.0), strict=True):
        assert card.seconds == 1.5
        sound, rate = soundfile.read(_decode(card.sound))
        assert rate == 32000
        np.testing.assert_allclose(len(sound) / rate, 1.5, atol=0.1)  # an encoder pads
        spectrum = np.abs(np.fft.rfft(sound[8000:40000]))  # 1 s: one bin is 1 Hz
        np.testing.assert_allclose(spectrum.argmax(), hz, atol=2)
        picture = imread(_decode(card.picture), format="png")
        assert picture.shape[0] == 64
        rows.append(picture[..., :3].sum(axis=(1, 2)).argmax())
    assert rows[0] > 40 > 25 > rows[1]  # the low tone near the bottom, the high one above
    assert cards[2].picture is None


def test_wav_where_there_is_no_mp3(monkeypatch):
    monkeypatch.setattr(cc.soundfile, "available_formats", lambda: {"WAV": ""})
    uri = cc._sound(_tone(440.0), 32000)
    assert uri.startswith("data:audio/wav;base64,")
    sound, _ = soundfile.read(_decode(uri))
    np.testing.assert_allclose(sound, _tone(440.0), atol=2 / 32768)


def test_a_click_stays_visible_in_the_picture_of_a_long_clip():
    waveform = np.zeros(32000 * 30, np.float32)
    waveform[32000 * 20] = 1.0
    _, picture, _ = cc.sound_media(waveform)
    columns = imread(_decode(picture), format="png")[..., :3].sum(axis=(0, 2))
    np.testing.assert_allclose(columns.argmax() / len(columns), 20 / 30, atol=0.01)


def test_unfamiliar_clips_of_which_it_was_surest():
    results = example_results("multilabel")
    [(name, answers)] = results.outside.items()
    total = answers.answer_uncertainty("total", "multilabel")
    surest = [answers.clip_ids[i] for i in np.argsort(total)[: cc.CLIPS_A_GROUP]]
    assert cc.outside_to_show(results) == {name: surest}
    cards = cc.outside_cards(results, {name: {surest[1]: _tone(440.0)}})[name]
    assert [card.clip_id for card in cards] == surest
    assert [card.seconds for card in cards] == [None, 1.5, None, None]
    for card in cards:
        i = answers.clip_ids.index(card.clip_id)
        assert card.answers[0][1] == answers.probs[i].max()
        assert not card.right and not card.truth and not any(x[2] for x in card.answers)
    assert cc.outside_cards(dataclasses.replace(results, outside={}), {}) == {}


def test_no_wrong_answers_no_group():
    results = without_errors(example_results("multiclass"))
    assert "sure but wrong" not in cc.clip_cards(results, {})
