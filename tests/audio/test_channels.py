"""Channels, scale and speed: what is heard, and what is said of it."""

import numpy as np
import pytest

from tests.helpers.recordings import RATE, events, wav
from vipann_tf.audio.channels import parse_channel
from vipann_tf.audio.decoding import DecodeError, Decoder

SOUND = events()
OTHER = events(seed=9)
NOISE = np.random.default_rng(1).normal(size=(len(SOUND), 2)).astype(np.float32)


def read(tmp_path, channels, rate=RATE, **settings):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(np.stack(channels, axis=1), rate, subtype="FLOAT"))
    found = []
    decoder = Decoder(RATE, on_finding=lambda *finding: found.append(finding), **settings)
    return decoder.read(path), found


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.01])
def test_an_inverted_pair_is_heard_by_one_channel(tmp_path, level):
    """With each channel's own noise, or a gain that differs, the mix is far below them as well."""
    pair = [SOUND + level * NOISE[:, 0] * 0.1, (level - 1) * SOUND + level * NOISE[:, 1] * 0.1]
    waveform, found = read(tmp_path, pair)
    ((kind, detail),) = found
    assert kind == "channels-cancel" and "is taken instead" in detail
    loudest = int(np.argmax([np.sum(channel**2) for channel in pair]))
    np.testing.assert_allclose(waveform, pair[loudest], atol=1e-7)
    assert f"channel {loudest + 1} is taken" in detail


def test_a_pair_that_is_inverted_later_says_so(tmp_path):
    """The choice is made at the front; the whole is compared at the end."""
    quiet = 0.01 * np.tile(SOUND, 3)
    loud = np.tile(SOUND, 30)
    left, right = np.concatenate([quiet, loud]), np.concatenate([quiet, -loud])
    _, found = read(tmp_path, [left, right])
    assert [kind for kind, _ in found] == ["channels-cancel"]
    assert "take one: --channel" in found[0][1]


@pytest.mark.parametrize("count", [2, 4, 8])
def test_ordinary_channels_are_mixed_without_a_word(tmp_path, count):
    channels = [events(seed=seed) for seed in range(count)]  # of unrelated sounds
    waveform, found = read(tmp_path, channels)
    assert found == []
    np.testing.assert_allclose(waveform, np.mean(channels, axis=0), atol=1e-7)


def test_silence_cancels_nothing(tmp_path):
    zeros = np.zeros_like(SOUND)
    assert read(tmp_path, [zeros, zeros]) == (pytest.approx(zeros), [])


def test_one_of_the_channels(tmp_path):
    for choice, expected in ((1, OTHER), (2, 2 * SOUND), ("loudest", 2 * SOUND)):
        waveform, found = read(tmp_path, [OTHER, 2 * SOUND], channel=choice)
        np.testing.assert_allclose(waveform, expected, atol=1e-7)
        assert found == []
    with pytest.raises(DecodeError, match="no-channel: channel 3 of a recording of 2 channels"):
        read(tmp_path, [SOUND, OTHER], channel=3)
    with pytest.raises(DecodeError, match="no-channel: channel 2 of a recording of 1 channel"):
        read(tmp_path, [SOUND], channel=2)


def test_dead_channels_are_noticed(tmp_path):
    zeros = np.zeros_like(SOUND)
    waveform, found = read(tmp_path, [zeros, SOUND, zeros])
    assert found == [("dead-channel", "channels 1, 3 are silent, and weaken the mix")]
    np.testing.assert_allclose(waveform, SOUND / 3, atol=1e-7)
    _, found = read(tmp_path, [zeros, SOUND], channel=1)
    assert found == [("dead-channel", "channel 1, as asked, is silent")]


@pytest.mark.parametrize("text, choice", [("mix", "mix"), ("loudest", "loudest"), ("12", 12)])
def test_choices_of_channel(text, choice):
    assert parse_channel(text) == choice


@pytest.mark.parametrize("text", ["0", "-1", "left", "1.0", ""])
def test_other_choices_are_refused(text):
    with pytest.raises(ValueError, match="use mix, loudest, or a number from 1 on"):
        parse_channel(text)


@pytest.mark.parametrize("factor", [32768, 8388608, 127])
def test_integers_stored_as_floats_are_refused(tmp_path, factor):
    with pytest.raises(DecodeError, match="wrong-scale: .*their peak is .*divide 16-bit"):
        read(tmp_path, [np.rint(SOUND * factor)])
    with pytest.raises(DecodeError, match="wrong-scale"):  # resampled before, so no integers
        read(tmp_path, [SOUND * factor])


@pytest.mark.parametrize("peak", [1.0, 1.5, 4.0])
def test_headroom_is_not_a_wrong_scale(tmp_path, peak):
    waveform, found = read(tmp_path, [SOUND / np.abs(SOUND).max() * peak])
    assert np.abs(waveform).max() == pytest.approx(peak) and found == []


def tone(frequency_hz, rate, seconds=2.0):
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate, said", [(44_100, 0), (48_000, 0), (96_000, 1), (384_000, 1)])
def test_ultrasound_says_how_much_is_not_heard(tmp_path, rate, said):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(tone(1000, rate), rate))
    found = []
    Decoder(32_000, on_finding=lambda *finding: found.append(finding)).read(path)
    assert [kind for kind, _ in found] == ["band"] * said
    if rate == 384_000:
        assert found[0][1] == (
            "of its 192 kHz the part above 16 kHz (92%) is not heard; --time-expansion 12 would"
            " bring all of it"
        )


@pytest.mark.parametrize("expansion", [10, 12.5])
def test_a_recording_slowed_down(tmp_path, expansion):
    """The closed form: a tone of 40 kHz becomes one of 40 kHz / F, that lasts F times as long."""
    rate = 384_000
    path = tmp_path / "bat.wav"
    path.write_bytes(wav(tone(40_000, rate), rate))
    found = []
    decoder = Decoder(
        32_000, time_expansion=expansion, on_finding=lambda *finding: found.append(finding)
    )
    waveform = decoder.read(path)
    assert len(waveform) == pytest.approx(2 * expansion * 32_000, abs=2)
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    peak_hz = np.argmax(spectrum) * 32_000 / len(waveform)
    assert peak_hz == pytest.approx(40_000 / expansion, rel=1e-3)
    assert len(found) == (expansion < 12)  # 160 kHz of 192, or all of it
    # Offsets and durations are seconds of the file.
    window = decoder.read(path, offset_s=0.5, duration_s=0.25)
    assert len(window) == round(0.25 * expansion * 32_000)
    first = round(0.5 * expansion * 32_000)
    np.testing.assert_allclose(
        window[500:-500], waveform[first:][: len(window)][500:-500], atol=1e-3
    )
