"""Listening to recordings: windows against the Keras model, detections and files by hand."""

import csv
import io
import json
import os

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tests.helpers.exported_models import LABELS
from vipann_tf.audio.decoding import DecodeError
from vipann_tf.cli import main
from vipann_tf.datasets.selection_files import TabledRecording
from vipann_tf.errors import UserError
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.timeline import Listener, Window
from vipann_tf.timelines.text import STYLES, timeline

RATE = 32000


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Path and waveform of 11.3 s of noise that grows louder."""
    path = tmp_path_factory.mktemp("recording") / "night.wav"
    noise = np.random.default_rng(0).normal(size=round(11.3 * RATE))
    waveform = (noise * np.geomspace(0.001, 0.2, len(noise))).astype(np.float32)
    soundfile.write(path, waveform, RATE, subtype="FLOAT")
    return path, waveform


@pytest.fixture(scope="module")
def heard(exported, recording):
    """Windows of 2 s every 1 s, of the recording."""
    progress = []
    listener = Listener(connect(exported("det-flip").path), window_s=2.0, hop_s=1.0)
    windows = list(listener.listen(recording[0], lambda *done: progress.append(done)))
    assert progress == [(8, 11), (11, 11)]
    return windows


def test_windows_are_answered_as_the_clips_they_are(exported, recording, heard):
    assert [window.start_s for window in heard] == pytest.approx([*range(10), 9.3])
    assert all(w.end_s - w.start_s == pytest.approx(2.0) for w in heard)
    begins = [round(window.start_s * RATE) for window in heard]
    clips = np.stack([recording[1][begin : begin + 2 * RATE] for begin in begins])
    expected = exported("det-flip").expected(clips)
    for name in ("probabilities", "label_aleatoric", "label_epistemic", "total", "epistemic"):
        found = np.stack([getattr(window, name) for window in heard])
        np.testing.assert_allclose(found, getattr(expected, name), atol=2e-5)


def test_bands_hold_the_middle_of_the_draws(heard):
    for window in heard:
        assert (window.low < window.probabilities).all()
        assert (window.probabilities < window.high).all()
        assert (window.low >= 0).all() and (window.high <= 1).all()


def test_a_short_recording_is_one_window(exported, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(RATE // 2, 0.1), RATE)
    connection = connect(exported("det-flip").path, num_draws=2)
    listener = Listener(connection, window_s=5.0, hop_s=1.0)
    (window,) = listener.listen(tmp_path / "short.wav")
    assert (window.start_s, window.end_s) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window_s": 0.5, "hop_s": 1.0}, "window is 0.5 s; use 1 s or more"),
        ({"window_s": float("nan"), "hop_s": 1.0}, "window is nan s; use 1 s or more"),
        ({"window_s": 2.0, "hop_s": 0.0}, "hop is 0 s; use 0.01 s or more"),
    ],
)
def test_wrong_lengths_are_named(exported, arguments, message):
    with pytest.raises(UserError, match=message):
        Listener(connect(exported("det-flip").path), **arguments)


def test_a_missing_recording_is_named(exported, tmp_path):
    listener = Listener(connect(exported("det-flip").path), window_s=2.0, hop_s=1.0)
    with pytest.raises(DecodeError, match="missing-file"):
        list(listener.listen(tmp_path / "none.wav"))


def _window(start: float, *probs: float) -> Window:
    probs = np.array(probs, np.float32)
    doubt = probs / 10
    return Window(start, start + 4.0, probs, probs - 0.1, probs + 0.1, doubt, doubt, 0.5, 0.4, 0.1)


# Four windows of 4 s every 2 s, then one after a gap; two labels.
WINDOWS = [
    _window(0, 0.9, 0.1),
    _window(2, 0.6, 0.7),
    _window(4, 0.2, 0.8),
    _window(6, 0.1, 0.2),
    _window(8, 0.7, 0.7),
    _window(20, 0.95, 0.5),
]


def _written(style: str, labels=("owl", "Rain,\tlight"), **options) -> str:
    file = io.StringIO()
    recording = TabledRecording("night 1.wav", 22050, 24.0)
    lines = timeline(
        style, file, recording, labels, **{"top": 2, "threshold": 0.5, "hop_s": 2.0, **options}
    )
    for window in WINDOWS:
        lines.add(window)
    lines.close()
    return file.getvalue()


def test_raven_gets_a_selection_table():
    rows = list(csv.DictReader(io.StringIO(_written("raven")), delimiter="\t"))
    assert [row["Selection"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert all(row["View"] == "Spectrogram 1" and row["Channel"] == "1" for row in rows)
    assert (rows[1]["Begin Time (s)"], rows[1]["End Time (s)"]) == ("4.000", "6.000")
    assert (rows[1]["Low Freq (Hz)"], rows[1]["High Freq (Hz)"]) == ("50", "11025")
    assert (rows[1]["Label"], rows[1]["Probability"]) == ("Rain, light", "0.8000")
    assert rows[1]["Epistemic (nats)"] == "0.0800" and rows[1]["Begin Path"] == os.path.abspath(
        "night 1.wav"
    )
    assert (rows[1]["Begin File"], rows[1]["File Offset (s)"]) == ("night 1.wav", "4.000")


def test_audacity_gets_a_label_track():
    lines = _written("audacity", threshold=0.75).splitlines()
    assert lines == [
        "0.000000\t3.000000\towl 90 %",
        "5.000000\t7.000000\tRain, light 80 %",
        "20.000000\t24.000000\towl 95 %",
    ]


def test_csv_and_json_hold_every_window():
    rows = list(csv.DictReader(io.StringIO(_written("csv"))))
    documents = [json.loads(line) for line in _written("json").splitlines()]
    assert len(rows) == 12 and len(documents) == 6
    assert [float(row["start_s"]) for row in rows[::2]] == [d["start_s"] for d in documents]
    labels = [label for document in documents for label in document["labels"]]
    for row, label in zip(rows, labels, strict=True):
        for name in ("probability", "low", "high", "label_aleatoric", "label_epistemic"):
            assert float(row[name]) == pytest.approx(label[name], abs=1e-6)
        assert row["label"] == label["label"] and row["file"] == "night 1.wav"
    assert rows[4]["label"] == "Rain,\tlight"  # the most probable first
    assert (documents[0]["total"], documents[0]["epistemic"]) == (0.5, 0.1)
    assert len(_written("csv", top=1).splitlines()) == 7


def test_a_person_gets_a_table():
    text = _written("table")
    assert text.startswith("night 1.wav: 6 detections\n")
    assert "0:00:04.0   0:00:06.0  Rain, light        0.800      0.080" in text
    assert _written("table", threshold=0.99) == "night 1.wav: 0 detections\n"
    assert set(STYLES) == {"table", "json", "csv", "raven", "audacity"}


def _run(*arguments, status=0):
    result = CliRunner().invoke(main, ["predict", *map(str, arguments)])
    assert result.exit_code == status, result.output + repr(result.exception)
    return result


def test_the_command_streams_a_timeline(exported, recording, heard, tmp_path):
    asked = [exported("det-flip").path, recording[0], "--window", 2, "--hop", 1]
    shown = _run(*asked, "--format", "csv", "--top", 5, "--plot", tmp_path / "a.png")
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert len(rows) == len(heard) * len(LABELS)
    top = LABELS[int(heard[0].probabilities.argmax())]
    assert rows[0]["label"] == top
    assert float(rows[0]["probability"]) == pytest.approx(heard[0].probabilities.max(), abs=1e-5)
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    asked[1] = tmp_path / "20230501_050000.wav"
    soundfile.write(asked[1], recording[1][: 5 * 8000], 8000)
    page = tmp_path / "a.html"
    shown = _run(*asked, "--format", "raven", "--threshold", 0.1, "--plot", page)
    rows = list(csv.DictReader(io.StringIO(shown.stdout), delimiter="\t"))
    # Raven refuses frequencies above half the sample rate.
    assert {(row["Low Freq (Hz)"], row["High Freq (Hz)"]) for row in rows} == {("50", "4000")}
    assert {row["Begin Path"] for row in rows} == {str(asked[1])}
    # The page has the same detections, and the time of day.
    data = json.loads(page.read_text("utf-8").split('id="data">')[1].split("</script>")[0])
    marks = [(x["label"], *mark[:2]) for x in data["lanes"] for mark in x["marks"]]
    expected = [(x["Label"], float(x["Begin Time (s)"]), float(x["End Time (s)"])) for x in rows]
    assert sorted(marks) == sorted(expected)
    assert data["begin_ms"] == 1_682_917_200_000 and data["lanes"][0]["threshold"] == np.float32(
        0.1
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "raven"], "--format raven needs --window"),
        (["--hop", "1"], "--hop is for long recordings; give --window too"),
        (["--plot", "a.png"], "--plot is for long recordings; give --window too"),
        (["--threshold", "0.7"], "--threshold is for long recordings; give --window too"),
        (["other.wav", "--window", "2"], "--window takes one FILE, but 2 were given"),
    ],
)
def test_options_that_do_not_go_together_are_named(options, message):
    assert message in _run("model", "night.wav", *options, status=1).output


def test_a_recording_that_cannot_be_read_is_one_line(exported, tmp_path):
    (tmp_path / "text.wav").write_text("not a sound")
    shown = _run(exported("det-flip").path, tmp_path / "text.wav", "--window", 2, status=1)
    assert "text.wav: undecodable" in shown.stderr
