"""Columns of the spectrogram against the front end of the whole waveform."""

import numpy as np
import pytest

from tests.helpers.made_up_timelines import RATE, burst_recording
from vipann_tf.audio.decoding import Decoder
from vipann_tf.audio.errors import DecodeError
from vipann_tf.audio.logmel import log_mel
from vipann_tf.timelines.spectrogram import LogMelColumns, frequency_ticks, spectrogram


@pytest.fixture(scope="module")
def whole():
    """Noise that grows louder, whose length divides nothing, and its log-mel."""
    count = 7 * RATE + 1234
    waveform = np.random.default_rng(0).normal(size=count) * np.geomspace(1e-4, 0.1, count)
    waveform = waveform.astype(np.float32)
    return waveform, np.asarray(log_mel(waveform[None]))[0]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("columns", [10_000, 97])
def test_blocks_of_any_length_give_the_whole(whole, seed, columns):
    waveform, expected = whole
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(waveform), 9))
    found = LogMelColumns(len(waveform), columns)
    for block in np.split(waveform, cuts):
        found.add(block)
    if columns < len(expected):
        place = np.arange(len(expected)) * columns // len(expected)
        expected = np.stack([expected[place == i].max(axis=0) for i in range(columns)])
    np.testing.assert_allclose(found.columns(), expected, atol=2e-3)


def test_a_recording_is_read_in_blocks_and_a_click_stays_visible(tmp_path):
    burst_recording(tmp_path / "a.wav", 21.0, bursts_s=[13.02])
    found = spectrogram(Decoder(RATE), tmp_path / "a.wav", 21.0, 30)
    assert found.shape == (30, 64)
    loud = found.mean(axis=1)
    assert loud.argmax() == int(13.04 / 21 * 30)
    assert loud.max() > np.median(loud) + 20


def test_behind_a_damage_there_is_nothing(whole):
    class Damaged:
        samples_per_second = RATE

        def __init__(self, blocks):
            self.pieces = blocks

        def blocks(self, _):
            yield from self.pieces
            raise DecodeError("undecodable", "damaged")

    found = spectrogram(Damaged([whole[0][: 3 * RATE]]), "a", 6.0, 60)
    assert np.isfinite(found[:30]).all() and np.isnan(found[32:]).all()
    with pytest.raises(DecodeError):
        spectrogram(Damaged([]), "a", 6.0, 60)


def test_frequencies_are_those_of_the_recording():
    ticks = frequency_ticks()
    assert [word for _, word in ticks] == ["200 Hz", "1 kHz", "4 kHz", "10 kHz"]
    assert [word for _, word in frequency_ticks(10)] == ["2 kHz", "10 kHz", "40 kHz", "100 kHz"]
    # A tone is loudest where its tick is.
    tone = np.sin(2 * np.pi * 4000 * np.arange(RATE) / RATE).astype(np.float32)
    loudest = np.asarray(log_mel(tone[None]))[0].mean(axis=0).argmax()
    assert abs(loudest - ticks[2][0]) <= 1
