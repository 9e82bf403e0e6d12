"""One clip of a file: which part it is, and what is said of the rest."""

import csv
import json

import numpy as np
import pytest

from tests.helpers.recordings import events, wav
from vipann_tf import datasets
from vipann_tf.datasets.base import Clip
from vipann_tf.errors import UserError
from vipann_tf.records.clip_reading import ClipReader, ClipReading
from vipann_tf.records.prepare import prepare

RATE = 16_000


@pytest.fixture
def path(tmp_path):
    """Twenty seconds of a quiet ramp, in which the third second from the end is loud."""
    samples = np.linspace(0.01, 0.02, 20 * RATE, dtype=np.float32)
    samples[17 * RATE : 18 * RATE] *= 30
    (tmp_path / "long.wav").write_bytes(wav(samples, RATE, subtype="FLOAT"))
    return str(tmp_path / "long.wav")


def read(path, crop="first", seconds=2.0, *, reading=None, **clip):
    reader = ClipReader(reading or ClipReading(crop=crop), seconds, RATE)
    waveform, notices = reader.read(Clip("id", path, ("a",), "train", **clip))
    assert {(notice.path, notice.clip_id) for notice in notices} <= {(path, "id")}
    return waveform, {notice.kind: notice.detail for notice in notices}


def start_s(waveform):
    """Where the ramp is at the beginning of the waveform."""
    level = waveform[0] / 30 if waveform[0] > 0.1 else waveform[0]
    return (level - 0.01) / 0.01 * 20


@pytest.mark.parametrize("crop, expected_s", [("first", 0), ("center", 9), ("loudest", 17)])
def test_the_part_that_is_kept(path, crop, expected_s):
    waveform, notices = read(path, crop)
    assert len(waveform) == 2 * RATE
    # The loudest part holds the loud second wherever it begins.
    slack_s = 1.0 if crop == "loudest" else 0.06
    assert abs(start_s(waveform) - expected_s) <= slack_s
    assert crop != "loudest" or np.count_nonzero(waveform > 0.1) == RATE
    assert notices == {"cut": "2.0 s of 20.0 s are used"}


@pytest.mark.parametrize("crop, expected_s", [("first", 4), ("center", 6), ("loudest", 8)])
def test_the_part_of_an_interval(path, crop, expected_s):
    """The ramp rises, so that the end of an interval is its loudest part."""
    waveform, notices = read(path, crop, offset_s=4.0, duration_s=6.0)
    assert start_s(waveform) == pytest.approx(expected_s, abs=0.06)
    assert notices == {"cut": "2.0 s of 6.0 s are used"}


@pytest.mark.parametrize("crop", ["first", "center", "loudest"])
def test_what_is_no_longer_than_a_clip_is_whole(path, crop):
    waveform, notices = read(path, crop, offset_s=5.0, duration_s=2.0)
    assert (len(waveform), notices) == (2 * RATE, {})
    waveform, notices = read(path, crop, seconds=20.0)
    assert (len(waveform), notices) == (20 * RATE, {})
    waveform, notices = read(path, crop, seconds=19.98)  # less than a frame of most codings
    assert (len(waveform), notices) == (round(19.98 * RATE), {})


def test_padding_is_said(path):
    waveform, notices = read(path, seconds=25.0)
    assert len(waveform) == 20 * RATE
    assert notices == {"padded": "20.00 s of sound, then 5.00 s of zeros"}
    _, notices = read(path, offset_s=19.0)
    assert notices == {"padded": "1.00 s of sound, then 1.00 s of zeros"}
    _, notices = read(path, offset_s=3.0, duration_s=0.5)
    assert notices == {"padded": "0.50 s of sound, then 1.50 s of zeros"}


def test_time_expansion_counts_in_seconds_of_the_file(path):
    waveform, notices = read(path, "loudest", reading=ClipReading(time_expansion=4, crop="loudest"))
    assert len(waveform) == 2 * RATE  # half a second of the file
    assert notices == {"cut": "0.5 s of 20.0 s are used"}
    assert np.mean(waveform > 0.1) > 0.99


@pytest.mark.parametrize("expansion", [0, 0.5, -1, 101, float("nan"), float("inf")])
def test_expansions_that_are_refused(expansion):
    with pytest.raises(UserError, match="time expansion is .*use 1"):
        ClipReading(time_expansion=expansion)


def test_a_crop_that_is_refused():
    with pytest.raises(UserError, match="crop is 'last'; use one of first, center, loudest"):
        ClipReading(crop="last")


class TestPreparation:
    @pytest.fixture
    def folder(self, tmp_path):
        for name, content in {
            "cock/long.wav": wav(events(4.0)),
            "cock/anti.wav": wav(np.stack([events(), -events()], axis=1)),
            "dog/silent.wav": wav(np.zeros(50_000)),
            "dog/truncated.wav": wav(events())[:100_000],
            "dog/whole.wav": wav(events(1.0)),
        }.items():
            path = tmp_path / "sounds" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "sounds"

    @pytest.mark.parametrize("workers", [1, 2])
    def test_notices_are_counted_and_listed(self, folder, tmp_path, workers):
        out = tmp_path / "out"
        info = prepare(datasets.load("folder", folder), out, seconds=1.0, workers=workers)
        with open(out / "notices.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found = sorted((row["clip_id"], row["kind"]) for row in rows)
        assert found == [
            ("cock/anti.wav", "channels-cancel"),
            ("cock/anti.wav", "cut"),
            ("cock/long.wav", "cut"),
            ("dog/silent.wav", "cut"),
            ("dog/silent.wav", "silent"),
            ("dog/truncated.wav", "cut"),
        ]
        counts = {"channels-cancel": 1, "cut": 4, "silent": 1}
        assert info.notices == json.loads((out / "dataset.json").read_text())["notices"] == counts

    def test_strict_makes_them_errors(self, folder, tmp_path):
        out = tmp_path / "out"
        with pytest.raises(
            UserError, match=r"6 notices, which --strict makes errors, for .*channels-cancel"
        ):
            prepare(datasets.load("folder", folder), out, seconds=1.0, strict=True)
        assert not out.exists()
        # What was decoded is kept: without --strict the same command goes on.
        assert prepare(datasets.load("folder", folder), out, seconds=1.0).clips == 5

    def test_another_reading_is_another_dataset(self, folder, tmp_path):
        source = datasets.load("folder", folder)
        plain = prepare(source, tmp_path / "out", seconds=1.0)
        slow = prepare(
            source,
            tmp_path / "out",
            seconds=1.0,
            reading=ClipReading(time_expansion=10),
            overwrite=True,
        )
        assert slow.time_expansion == 10 and plain.time_expansion == 1
        assert slow.clip_seconds == 10 and plain.clip_seconds == 1
        assert slow.fingerprint != plain.fingerprint

    def test_made_sounds_have_no_channels(self, tmp_path):
        source = datasets.load("synthetic", clips=4)
        with pytest.raises(UserError, match="synthetic.* is not read from files"):
            prepare(source, tmp_path / "out", reading=ClipReading(channel=2))
