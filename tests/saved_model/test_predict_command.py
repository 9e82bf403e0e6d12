"""predict as people use it: many files, bad ones among them, and what is said of the good ones."""

import json
import os
import subprocess
import sys

import click.testing
import numpy as np
import pytest
import soundfile

from tests.helpers.recordings import encode, events, wav, with_sizes
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.saved_model.connection import BATCH, connect
from vipann_tf.saved_model.hearing import Hearing
from vipann_tf.saved_model.metadata import TrainingData
from vipann_tf.saved_model.predict import Answer, Predictor, Refusal
from vipann_tf.saved_model.server import RequestRefused

# A name in another encoding, where the system has such names.
LATIN = os.fsdecode(b"caf\xe9") if sys.platform == "linux" else "caf\u00e9"


@pytest.fixture(scope="module")
def model(exported):
    return str(exported("det").path)


def run(*arguments):
    return click.testing.CliRunner().invoke(main, ["predict", *map(str, arguments)])


def write(path, content):
    path.write_bytes(content)
    return str(path)


def test_every_form_of_a_sound_has_its_answer(model, tmp_path):
    """The twin's answer for headers that lie, for one channel of two, and for coded files."""
    good = wav(events())
    files = {
        "twin.wav": good,
        "crashed.wav": with_sizes(good, 0),
        "wrapped.wav": with_sizes(good, 20_000),
        "flac.wav": encode(events(), "flac", "flac"),
        "anti.wav": wav(np.stack([events(), -events()], axis=1)),
        "phone.m4a": encode(events(), "aac", "ipod"),
    }
    paths = [write(tmp_path / name, content) for name, content in files.items()]
    result = run(model, *paths, "--format", "json", "--top", "100")
    assert result.exit_code == 0, result.output
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == paths
    twin = {label["label"]: label["probability"] for label in answers[0]["labels"]}
    for answer in answers:
        found = {label["label"]: label["probability"] for label in answer["labels"]}
        tolerance = 0.02 if answer["file"].endswith("m4a") else 1e-4
        assert answer["seconds"] == 3.0
        assert found == pytest.approx(twin, abs=tolerance)
    notices = [line for line in result.stderr.splitlines() if line.startswith("Notice: ")]
    assert [notice.split(": ")[2] for notice in notices] == ["length", "length", "channels-cancel"]

    strict = run(model, *paths, "--strict")
    assert strict.exit_code == 1
    assert strict.stdout.count("uncertainty") == 3
    assert strict.stderr.count("Error: ") == 3


def test_channels_are_chosen(model, tmp_path):
    path = write(tmp_path / "two.wav", wav(np.stack([events(), 0.1 * events(seed=8)], axis=1)))
    alone = write(tmp_path / "one.wav", wav(events()))
    for choice in ("1", "loudest"):
        chosen, expected = run(model, path, "--channel", choice), run(model, alone)
        assert chosen.stdout.splitlines()[1:] == expected.stdout.splitlines()[1:]
    result = run(model, path, "--channel", "3")
    assert (result.exit_code, "channel 3 of a recording of 2" in result.stderr) == (1, True)
    result = run(model, path, "--channel", "left")
    assert result.exit_code == 2 and "use mix, loudest, or a number" in result.stderr


def test_one_bad_file_does_not_silence_the_others(model, tmp_path):
    """Whatever is wrong with it: one line, exit status 1, and everything else is answered."""
    good = wav(events(1.0))
    bad = [
        write(tmp_path / "raw.RAW", good[44:]),
        write(tmp_path / "page.wav", b"<html></html>"),
        write(tmp_path / "scale.wav", wav(30_000 * events(1.0), subtype="FLOAT")),
        str(tmp_path),
        str(tmp_path / "missing.wav"),
        write(tmp_path / f"{LATIN}.wav", b"nothing"),
    ]
    files = [write(tmp_path / f"{i}.wav", wav(events(1.0 + 0.01 * i))) for i in range(3)]
    result = run(model, files[0], *bad, *files[1:], "--format", "csv", "--top", "1")
    assert result.exit_code == 1
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["file", *files]
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == len(bad)
    assert "ffmpeg -f s16le" in errors[0]
    assert "divide 16-bit integers by 32768" in errors[2]
    assert f"a directory; name its files: {tmp_path}/*.wav" in errors[3]


def test_names_in_other_encodings_are_answered(model, tmp_path):
    """By both decoders: what a system can name, it can open."""
    contents = {"wav": wav(events(1.0)), "ogg": wav(events(1.0), subtype="VORBIS", format="OGG")}
    contents["mp3"] = encode(events(1.0), "libmp3lame", "mp3")
    files = [write(tmp_path / f"{LATIN}.{x}", content) for x, content in contents.items()]
    answers = Predictor(connect(model)).answer(files)
    assert [type(answer) for answer in answers] == 3 * [Answer], answers


def test_answers_come_before_all_files_are_read(model, tmp_path):
    """In order, in bounded memory: never more than four batches wait, whatever their lengths."""
    read = []

    def paths():
        for i in range(10 * BATCH):
            read.append(i)
            yield write(tmp_path / "a.wav", wav(events(0.5 + (i % 40) / 100, 8000), 8000))

    class Listed:
        def __init__(self):
            self.known = {}
            self.paths = paths()

        def __iter__(self):
            for i, path in enumerate(self.paths):
                self.known[i] = path
                yield path

        def __getitem__(self, i):
            return self.known[i]

    ahead = []
    for i, answer in enumerate(Predictor(connect(model)).answers(Listed())):
        assert isinstance(answer, Answer)
        assert answer.seconds == pytest.approx(0.5 + (i % 40) / 100, abs=1e-3)
        ahead.append(len(read) - i)
    assert len(ahead) == 10 * BATCH
    assert max(ahead) <= 4 * BATCH + 1


def test_a_short_file_says_that_it_was_padded(model, tmp_path):
    path = write(tmp_path / "short.wav", wav(events(0.4)))
    result = run(model, path)
    assert f"Notice: {path}: padded: 0.40 s of sound, then 0.60 s of zeros" in result.stderr


def test_a_model_of_slowed_recordings(exported, tmp_path):
    """The answer is that for the slowed waveform; times are those of the recording."""
    rate, connection = 320_000, connect(exported("det").path)
    recording = events(0.5, rate)
    path = write(tmp_path / "bat.wav", wav(recording, rate, subtype="FLOAT"))
    slow = write(tmp_path / "slow.wav", wav(recording, 32_000, subtype="FLOAT"))
    data = TrainingData(dataset="bats", splits=["train"], clips=1, time_expansion=10)
    trained = connection.info.model_copy(update={"data": data})
    (answer,) = Predictor(type(connection)(trained, *_rest(connection))).answer([path])
    (expected,) = Predictor(connection).answer([slow])
    assert (answer.seconds, expected.seconds) == (0.5, 5.0)
    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-5)
    assert Hearing(trained, time_expansion=10).time_expansion == 10
    for info, wrong in ((trained, 1.0), (connection.info, 10.0)):
        with pytest.raises(UserError, match=f"time expansion is {wrong:g}, but the model was"):
            Hearing(info, time_expansion=wrong)


def _rest(connection):
    return connection.labels, connection.num_draws, connection.seed, connection.endpoint


class TestRecordings:
    """--window: what was heard is kept, and nothing is found out late."""

    def test_what_was_heard_before_the_damage(self, model, tmp_path):
        samples = np.tile(events(), 4)
        samples[round(9.5 * 44_100)] = np.nan
        path = tmp_path / "night.wav"
        soundfile.write(path, samples, 44_100, subtype="FLOAT")
        result = run(model, path, "--window", "2", "--hop", "2", "--format", "csv", "--top", "1")
        assert result.exit_code == 1
        starts = [line.split(",")[1] for line in result.stdout.splitlines()[1:]]
        assert starts == ["0.000", "2.000", "4.000", "6.000"]
        assert "non-finite: 1 of " in result.stderr and "from 9.500 s on" in result.stderr
        assert "what was heard before is complete" in result.stderr

    def test_notices_come_with_the_timeline(self, model, tmp_path):
        path = write(tmp_path / "a.wav", with_sizes(wav(events(6.0)), 1000))
        result = run(model, path, "--window", "2", "--format", "csv", "--top", "1")
        assert (
            result.exit_code == 0 and f"Notice: {path}: length: it holds 6.000 s" in result.stderr
        )
        assert result.stdout.splitlines()[-1].split(",")[2] == "6.000"
        assert run(model, path, "--window", "2", "--strict").exit_code == 1

    @pytest.mark.parametrize(
        "plot, message",
        [
            ("{}/none/x.png", "there is no directory"),
            ("{}/x.pdf", "let its name end in .png"),
            ("{}", "let its name end in .png"),
        ],
    )
    def test_a_picture_that_cannot_be_written_is_refused_before_listening(
        self, tmp_path, plot, message
    ):
        plot = plot.format(tmp_path)
        result = run("no model", "no file", "--window", "2", "--plot", plot)
        assert result.exit_code == 1 and message in result.stderr


def test_names_that_begin_with_a_dash_get_a_hint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "-0RWZT.wav", b"")
    result = run("model", "-0RWZT.wav")
    assert result.exit_code == 2
    assert "'-0RWZT.wav' is a file: write ./-0RWZT.wav, or -- before the files" in result.stderr
    result = run("model", "-0other.wav")
    assert result.exit_code == 2 and "is a file" not in result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["info", "saved_models/esc10-drop"], ["--help"]])
def test_a_full_disk_is_one_line(arguments):
    with open("/dev/full", "w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "vipann_tf", *arguments]
        found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert found.returncode == 1
    lines = [line for line in found.stderr.splitlines() if "Warning" not in line]
    assert lines == ["Error: No space left on device"]


def test_arrays_of_a_wrong_scale_are_refused(model):
    connection = connect(model)
    waveform = np.tile(events(1.0, 32_000), (2, 1))
    assert connection.ask(waveform)["total"].shape == (2,)
    waveform[1] *= 32768
    with pytest.raises(RequestRefused, match="their peak is .*divide 16-bit integers by 32768"):
        connection.ask(waveform)


def test_refusals_keep_their_place(model, tmp_path):
    good = write(tmp_path / "a.wav", wav(events(1.0)))
    missing = str(tmp_path / "none.wav")
    found = Predictor(connect(model)).answer([missing, good, missing])
    assert [type(answer) for answer in found] == [Refusal, Answer, Refusal]
