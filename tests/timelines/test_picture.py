"""What a picture shows: all that was detected, where it was, as a PNG and as a page."""

import base64
import dataclasses
import itertools
import json
import re
from datetime import datetime

import numpy as np
import pytest

from tests.helpers.made_up_timelines import burst_recording, heard, regular_windows
from vipann_tf.errors import UserError
from vipann_tf.saved_model.detections import Detector
from vipann_tf.timelines.figure import timeline_figure
from vipann_tf.timelines.file import TimelineFile
from vipann_tf.timelines.page import timeline_page
from vipann_tf.timelines.picture import PictureBuilder
from vipann_tf.timelines.sound import Stretch, recording_beside, stretches, stretches_to_hear
from vipann_tf.timelines.time_axis import ticks

LABELS = [f"label {i}" for i in range(12)]
SECONDS = 60.0


def made_up(seed=0):
    """Windows in which eight labels are detected, and four are not."""
    probs = np.random.default_rng(seed).random([23, 12]) ** 3
    probs[:, 8:] *= 0.45
    probs[np.arange(8) * 2, np.arange(8)] = np.linspace(0.6, 0.95, 8)
    return regular_windows(SECONDS, 5.0, 2.5, lambda i: probs[i % 23])


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "night.wav"
    burst_recording(path, 4.0)
    return path


@pytest.fixture(scope="module")
def picture(sound):
    builder = PictureBuilder(heard(sound, SECONDS, LABELS), 1000)
    for window in made_up():
        builder.add(window)
    return builder.picture(sound)


@pytest.fixture(scope="module")
def detected():
    """Detections by label, as the tables have them."""
    detector, found = Detector(np.full(12, 0.5), 2.5), []
    for w in made_up():
        found += detector.add(w.start_s, w.end_s, w.probabilities, w.label_epistemic)
    found += detector.close()
    return {i: sorted((x.start_s, x.end_s) for x in found if x.label == i) for i in range(12)}


def test_every_detected_label_is_drawn_and_a_few_others(picture, detected):
    shown = [lane.label for lane in picture.lanes]
    assert set(shown[:8]) == {LABELS[i] for i in range(12) if detected[i]} == set(LABELS[:8])
    assert len(shown) == 11 and not any(lane.detections for lane in picture.lanes[8:])
    peaks = [lane.peak for lane in picture.lanes]
    assert peaks[:8] == sorted(peaks[:8], reverse=True)
    assert peaks[8:] == sorted(peaks[8:], reverse=True)
    assert (
        "all 8 labels that were detected, and the 3 of 12 labels that came nearest"
        in picture.notes[0]
    )


def test_marks_are_where_the_detector_says(picture, detected):
    lanes, *_ = timeline_figure(picture).axes
    bars = [x for x in lanes.collections if x.get_label() == "bar"]
    assert [text.get_text() for text in lanes.get_yticklabels()] == [x.label for x in picture.lanes]
    for lane, bar in zip(picture.lanes, bars, strict=True):
        drawn = [path.get_extents().intervalx for path in bar.get_paths()]
        np.testing.assert_allclose(drawn, detected[LABELS.index(lane.label)])


def test_the_figure_has_steps_thresholds_and_own_axes(picture):
    lanes, sound, epistemic, aleatoric, *_ = timeline_figure(picture).axes
    lines = {line.get_label(): line for line in lanes.get_lines()}
    for number, lane in enumerate(picture.lanes):
        x, y = lines[lane.label].get_data()
        base = len(picture.lanes) - 1 - number
        np.testing.assert_allclose(x[1::2], picture.traces.end_s)
        probs = picture.traces.probabilities[:, number]
        for half in (y[::2], y[1::2]):  # level from begin to end: no ramps
            np.testing.assert_allclose((half - base) / 0.84, probs, atol=2e-6)
    dashed = [x.get_ydata()[0] % 1 for x in lanes.get_lines() if x.get_linestyle() == "--"]
    assert dashed == pytest.approx([0.42] * 11)
    assert sound.get_images()[0].get_array().shape == (64, 1000)
    assert epistemic.get_ylim()[1] == pytest.approx(0.108)
    assert aleatoric.get_ylim()[1] == pytest.approx(0.432)


def read(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S).group(1))


def unpack(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_page_has_the_same(picture, detected):
    page = timeline_page(picture, [])
    data = read(page)
    np.testing.assert_allclose(unpack(data["begin_s"], "<f4"), picture.traces.begin_s, rtol=1e-6)
    for i, (lane, shown) in enumerate(zip(picture.lanes, data["lanes"], strict=True)):
        assert shown["label"] == lane.label and shown["threshold"] == 0.5
        marks = [mark[:2] for mark in shown["marks"]]
        np.testing.assert_allclose(marks, detected[LABELS.index(lane.label)], atol=1e-3)
        probs = unpack(shown["probability"], np.uint8) / 254
        np.testing.assert_allclose(probs, picture.traces.probabilities[:, i], atol=0.5 / 254)
    rows = page.count("data-begin=")
    assert rows == sum(map(len, detected.values()))


def test_names_cannot_break_page_or_figure(picture):
    name = '</script><img src=x onerror=alert(1)>&"$\\no$'
    lanes = (dataclasses.replace(picture.lanes[0], label=name), *picture.lanes[1:])
    path = b"/rec/$\\no$_\xff.wav".decode("utf-8", "surrogateescape")
    odd = dataclasses.replace(picture.heard, path=path)
    odd = dataclasses.replace(picture, heard=odd, lanes=lanes)
    page = timeline_page(odd, [])
    assert "<img src=x" not in page and read(page)["lanes"][0]["label"] == name
    assert odd.heard.name == r"$\no$_\xff.wav" and page.encode()
    figure = timeline_figure(odd)
    figure.draw_without_rendering()


def test_ultrasound_is_shown_in_its_own_time_and_frequencies(tmp_path):
    burst_recording(tmp_path / "bat.wav", 3.0, [2.02], rate=320_000)
    what = heard(tmp_path / "bat.wav", 3.0, ["bat"], window_s=0.5, hop_s=0.5, time_expansion=10.0)
    builder = PictureBuilder(what, 300)
    for window in regular_windows(3.0, 0.5, 0.5, lambda i: [0.9 if i == 4 else 0.0]):
        builder.add(window)
    picture = builder.picture(tmp_path / "bat.wav")
    assert picture.log_mel_db.mean(axis=1).argmax() // 10 == 20
    (stretch,) = stretches(what.decoder(), tmp_path / "bat.wav", stretches_to_hear(picture))
    assert (stretch.begin_s, stretch.end_s) == (0, pytest.approx(3.0, abs=1e-3))
    # Ten times slower: half a minute of 64 kbit/s.
    assert len(stretch.data) * 3 / 4 == pytest.approx(30 * 8000, rel=0.05)
    assert read(timeline_page(picture, [stretch]))["frequencies"][1][1] == "10 kHz"
    assert "10 times slower" in picture.notes[-1]


@pytest.mark.parametrize("labels", [10, 60])
def test_half_a_day_is_below_5_mb(sound, labels):
    seconds = 12 * 3600.0
    rng = np.random.default_rng(5)
    names = [f"label {i}" for i in range(labels)]
    builder = PictureBuilder(heard(sound, seconds, names, window_s=15.0, hop_s=7.5), 8192)
    few = rng.random([500, labels], np.float32) ** 6
    for window in regular_windows(seconds, 15.0, 7.5, lambda i: few[i % 500]):
        builder.add(window)
    picture = builder.picture(sound)
    noise = rng.normal(size=[8192, 64]).astype(np.float32) * 10
    picture = dataclasses.replace(picture, log_mel_db=noise)
    chosen = stretches_to_hear(picture)
    assert 150 < sum(end - begin for begin, end in chosen) <= 180
    assert all(a[1] < b[0] for a, b in itertools.pairwise(chosen))
    # 64 kbit/s
    held = [Stretch(b, e, "A" * round((e - b) * 8000 * 4 / 3), "audio/mpeg") for b, e in chosen]
    page = timeline_page(picture, held)
    assert len(page.encode()) < 5_000_000
    data = read(page)
    assert len(data["lanes"]) == labels
    assert sum(len(lane["marks"]) for lane in data["lanes"]) <= 15_000 + labels
    joined = "marks of one label that are close together are one" in page
    assert joined == (len(picture.detections) > 15_000) == (labels == 60)


def test_a_detection_shorter_than_a_column_is_drawn(sound):
    def probs(i):
        return [0.9 if i == 1000 else 0.1, 0.2]

    builder = PictureBuilder(heard(sound, 36_000.0, ["owl", "rain"], window_s=3.0, hop_s=3.0), 100)
    for window in regular_windows(36_000.0, 3.0, 3.0, probs):
        builder.add(window)
    picture = builder.picture(sound)
    assert picture.traces.shared_s == pytest.approx(360)
    assert picture.traces.probabilities[:, 0].max() == np.float32(0.9)
    (found,) = picture.lanes[0].detections
    assert (found.start_s, found.end_s) == (3000, 3003)
    bar = next(x for x in timeline_figure(picture).axes[0].collections if x.get_label() == "bar")
    assert bar.get_linewidth()[0] > 0  # visible where the bar is narrower than a pixel


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_files_and_no_windows(sound, tmp_path, suffix):
    empty = TimelineFile(tmp_path / f"a{suffix}", heard(sound, SECONDS, LABELS))
    with pytest.raises(UserError, match="there is no window to draw"):
        empty.write(sound)
    drawn = TimelineFile(tmp_path / f"a{suffix}", heard(sound, 4.0, LABELS, threshold=np.nan))
    drawn.add(made_up()[0])
    drawn.write(sound)
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert content.startswith(b"\x89PNG" if suffix == ".png" else b"<!doctype html>")
    if suffix == ".html":
        assert b"never detected" in content and b"No label reached its threshold" in content
        ((begin_s, end_s, mime, data),) = read(content.decode())["sounds"]
        assert (begin_s, end_s) == (0, 4) and mime == "audio/mpeg" and len(data) > 20_000


def test_ticks_are_at_whole_times_of_the_clock():
    begin = datetime(2023, 5, 1, 4, 59, 48, 500_000)
    found = ticks(60.0, begin)
    assert found[0] == (pytest.approx(1.5), "04:59:50") and found[1][1] == "05:00:00"
    assert ticks(43_200.0, begin)[0] == (pytest.approx(3611.5), "06:00")
    assert [word for _, word in ticks(60.0, None)][:3] == ["0 s", "10 s", "20 s"]
    assert [word for _, word in ticks(600.0, None)][1] == "2:00"
    assert [word for _, word in ticks(43_200.0, None)][1] == "2:00:00"


def test_where_a_page_finds_its_recording(tmp_path):
    (tmp_path / "a b").mkdir()
    page = tmp_path / "results" / "page.html"
    for name, address in (
        ("a b/ü #1.WAV", "../a%20b/%C3%BC%20%231.WAV"),
        ("results.flac", "../results.flac"),
        ("gone.wav", None),
        ("no sound of browsers.wma", None),
    ):
        if "gone" not in name:
            (tmp_path / name).write_bytes(b"")
        assert recording_beside(heard(tmp_path / name, 9.0, ["a"]), page) == address
    bat = heard(tmp_path / "results.flac", 9.0, ["a"], time_expansion=10.0)
    assert recording_beside(bat, page) is None
    assert recording_beside(heard("s3://bucket/a.wav", 9.0, ["a"]), page) is None
