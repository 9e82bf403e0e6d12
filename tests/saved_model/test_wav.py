"""The `wav` signature: parsing, resampling against soxr, mixed lengths, bad files."""

import numpy as np
import pytest
import soundfile
import soxr
import tensorflow as tf

from tests.helpers.exported_models import CLOSE, LABELS, ask
from tests.helpers.paths import SOUNDS
from tests.helpers.wav_files import wav_bytes
from vipann_tf.saved_model.resampling import RATES_HZ, TO_HZ, resample
from vipann_tf.saved_model.signatures import OUTPUTS


def files(*contents: bytes) -> np.ndarray:
    return np.array(contents, object)


def decibels(difference, reference) -> float:
    return 10 * np.log10(np.mean(np.square(difference)) / np.mean(np.square(reference)))


class TestResampling:
    @pytest.mark.parametrize("rate", RATES_HZ)
    def test_recordings_and_noise_against_soxr(self, rate):
        """Within -60 dB, on what people send: real sound that was recorded at that rate."""
        sound, recorded_hz = soundfile.read(SOUNDS / "dog.ogg", dtype="float32")
        start = max(int(np.argmax(np.abs(sound))) - 10_000, 0)
        sound = sound[start : start + 60_000]
        assert np.abs(sound).max() > 0.01
        sound = soxr.resample(sound, recorded_hz, rate)
        self._compare(sound, rate, most_db=-60)

    @pytest.mark.parametrize("rate", RATES_HZ)
    def test_white_noise_against_soxr(self, rate):
        """Noise fills the transition band too, where soxr's own HQ and VHQ are at -41 dB."""
        noise = np.random.default_rng(rate).normal(0, 0.1, 30_011).astype(np.float32)
        self._compare(noise, rate, most_db=-60)

    def _compare(self, sound, rate, most_db):
        ours = tf.function(resample)(tf.constant(sound), tf.constant(rate)).numpy()
        reference = soxr.resample(sound, rate, TO_HZ, quality="HQ")
        assert ours.shape == reference.shape
        if rate == TO_HZ:
            np.testing.assert_array_equal(ours, sound)
            return
        found = decibels(ours - reference, reference)
        assert found < most_db, found

    @pytest.mark.parametrize("rate", [44100, 48000])
    def test_no_aliases(self, rate):
        """A tone above the new Nyquist frequency vanishes; every second sample would keep it."""
        tone = np.sin(2 * np.pi * 18_000 * np.arange(rate) / rate).astype(np.float32)
        ours = resample(tf.constant(tone), tf.constant(rate)).numpy()[1000:-1000]
        assert decibels(ours, tone) < -90

    @pytest.mark.parametrize("rate", [8000, 22050])
    def test_a_tone_stays_the_tone(self, rate):
        """Against the closed form: the same sine, sampled at the other rate."""

        def sine(hz):
            return np.sin(2 * np.pi * 997 * np.arange(hz) / hz).astype(np.float32)

        ours = resample(tf.constant(sine(rate)), tf.constant(rate)).numpy()[1000:-1000]
        exact = sine(TO_HZ)[1000:-1000]
        assert decibels(ours - exact, exact) < -90


class TestRequests:
    def test_files_of_other_lengths_and_rates_do_not_influence_each_other(self, exported):
        rng = np.random.default_rng(0)
        sizes = [
            (TO_HZ, 40_000),
            (16000, 17_001),
            (TO_HZ, 33_000),
            (44100, 55_125),
            (TO_HZ, 33_000),
        ]
        contents = [wav_bytes(rng.normal(0, 0.1, size), rate) for rate, size in sizes]
        for kind in ("flip", "det-flip"):
            model = exported(kind)
            together = ask(model, "wav", wav=files(*contents))
            assert together["probabilities"].shape == (5, len(LABELS))
            for row, content in enumerate(contents):
                alone = ask(model, "wav", wav=files(content))
                for name in OUTPUTS:
                    np.testing.assert_allclose(alone[name][0], together[name][row], **CLOSE)

    @pytest.mark.parametrize("kind", ["det-flip", "det"])
    def test_as_serving_default_of_the_samples(self, exported, kind):
        samples = np.random.default_rng(1).integers(-9000, 9000, 36_000).astype(np.int16)
        model = exported(kind)
        by_file = ask(model, "wav", wav=files(wav_bytes(samples)))
        waveform = (samples / 32768).astype(np.float32)[np.newaxis]
        by_waveform = ask(model, "serving_default", waveform=waveform)
        for name in OUTPUTS:
            np.testing.assert_allclose(by_file[name], by_waveform[name], **CLOSE)

    def test_channels_are_averaged(self, exported):
        rng = np.random.default_rng(3)
        left = rng.integers(-9000, 9000, 33_000)
        right = left + 2 * rng.integers(-500, 500, 33_000)  # so that their mean is a whole number
        stereo = np.stack([left, right], 1).astype(np.int16)
        mean = ((left + right) // 2).astype(np.int16)
        model = exported("det")
        both = ask(model, "wav", wav=files(wav_bytes(stereo)))["probabilities"]
        mono = ask(model, "wav", wav=files(wav_bytes(mean)))["probabilities"]
        np.testing.assert_allclose(both, mono, **CLOSE)

    @pytest.mark.parametrize(
        "content, text",
        [
            (b"", "this is not a WAV file"),
            (b"RIFF", "this is not a WAV file"),
            (wav_bytes(np.zeros(40_000), kind="FLAC"), "this is not a WAV file"),
            (wav_bytes(np.zeros(40_000))[:30], "too short"),
            (
                wav_bytes(np.zeros(40_000), subtype="PCM_24"),
                "Can only read 16-bit WAV files, but received 24",
            ),
            (
                wav_bytes(np.zeros(40_000), subtype="FLOAT"),
                "Bad audio format for WAV: Expected 1 (PCM)",
            ),
            (
                wav_bytes(np.zeros(40_000), subtype="PCM_U8"),
                "Can only read 16-bit WAV files, but received 8",
            ),
            (
                wav_bytes(np.zeros(40_000), 11025),
                "one of 8000, 16000, 22050, 32000, 44100, 48000 Hz",
            ),
            (wav_bytes(np.zeros(31_000)), "the WAV file is too short: send at least 1 s"),
            (wav_bytes(np.zeros(0)), "the WAV file is too short: send at least 1 s"),
        ],
        ids=[
            "empty",
            "four bytes",
            "FLAC",
            "cut",
            "24 bits",
            "floats",
            "8 bits",
            "rate",
            "short",
            "none",
        ],
    )
    def test_bad_files_are_told_apart(self, exported, content, text):
        model = exported("det")
        good = wav_bytes(np.full(33_000, 0.1))
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            ask(model, "wav", wav=files(good, content))
        assert text in caught.value.message
        assert np.isfinite(ask(model, "wav", wav=files(good))["total"]).all()

    def test_an_empty_batch(self, exported):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="wav has no rows: the batch is empty"
        ):
            ask(exported("det"), "wav", wav=tf.zeros([0], tf.string))
