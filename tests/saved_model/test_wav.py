"""The `wav` signature: resampling against soxr, mixed lengths, formats, files without an answer."""

import numpy as np
import pytest
import soundfile
import soxr
import tensorflow as tf

from tests.helpers.exported_models import CLOSE, LABELS, ask
from tests.helpers.paths import SOUNDS
from tests.helpers.wav_files import wav_bytes
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.predict import Predictor
from vipann_tf.saved_model.resampling import TO_HZ, resample
from vipann_tf.saved_model.signatures import OUTPUTS
from vipann_tf.saved_model.wav import decode

# Those of the fitted filters and others, with blocks of 20 ms and of 40 ms (11025 and 33025 Hz).
RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 33025, 44100, 48000, 96000, 384_000)


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
        noise = np.random.default_rng(rate).normal(0, 0.1, 30_011 + rate).astype(np.float32)
        self._compare(noise, rate, most_db=-60 if rate in (8000, 16000, 22050, 48000) else -55)

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

    def test_any_sample_format_as_predict(self, exported, tmp_path):
        """Formats whose bytes differ, and what recorders and pipes write, within 1e-4."""
        sound, _ = soundfile.read(SOUNDS / "dog.ogg", frames=45_000)
        sound = np.stack([sound, sound[::-1]], axis=1)
        plain = wav_bytes(sound)
        size = plain.index(b"data") + 4
        contents = {
            "24 bits": wav_bytes(sound, subtype="PCM_24"),
            "32 bits": wav_bytes(sound, 44100, subtype="PCM_32"),
            "8 bits": wav_bytes(sound[:, 0], 8000, subtype="PCM_U8"),
            "floats": wav_bytes(sound * 3, subtype="FLOAT"),
            "extensible": wav_bytes(sound, 24000, kind="WAVEX"),
            "odd chunk": plain[:12] + b"junk\3\0\0\0abc\0" + plain[12:],
            "piped": plain[:size] + b"\xff\xff\xff\xff" + plain[size + 4 :],
        }
        model = exported("flip")
        answer = ask(model, "wav", wav=files(*contents.values()))
        assert answer["status"].tolist() == [b""] * len(contents)
        for name, content in contents.items():
            (tmp_path / f"{name}.wav").write_bytes(content)
        paths = [tmp_path / f"{name}.wav" for name in contents]
        for row, expected in enumerate(Predictor(connect(model.path)).answer(paths)):
            for name in ("probabilities", "label_epistemic", "total", "epistemic"):
                found = answer[name][row]
                np.testing.assert_allclose(found, getattr(expected, name), rtol=0, atol=1e-4)

    def test_in_a_session_as_a_server_runs_it(self, exported):
        contents = [wav_bytes(np.full(33_000, 0.1)), b"bad", wav_bytes(np.full(9_000, 0.1), 8000)]
        model = exported("det")
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            graph = tf.compat.v1.saved_model.load(session, ["serve"], str(model.path / "1"))
            wav = graph.signature_def["wav"]
            outputs = {name: output.name for name, output in wav.outputs.items()}
            found = session.run(outputs, {wav.inputs["wav"].name: contents})
        expected = ask(model, "wav", wav=files(*contents))
        assert found["status"].tolist() == expected["status"].tolist()
        for name in OUTPUTS:
            np.testing.assert_allclose(found[name], expected[name], **CLOSE)

    @pytest.mark.parametrize("kind", ["det", "flip"])
    def test_a_bad_file_leaves_the_others_their_answers(self, exported, kind):
        """Also of a model with one draw, where the epistemic part is 0 whatever the rest is."""
        rng = np.random.default_rng(5)
        good = [wav_bytes(rng.normal(0, 0.1, size)) for size in (33_000, 40_000, 33_000)]
        bad = [b"RIFF", good[0][:-2], b""]
        model = exported(kind)
        mixed = ask(
            model, "wav", wav=files(bad[0], good[0], good[1], bad[1], good[2], bad[2], bad[2])
        )
        alone = ask(model, "wav", wav=files(*good))
        none = ask(model, "wav", wav=files(*bad))
        rows = [1, 2, 4]
        told = [row not in rows for row in range(7)]
        assert [bool(status) for status in mixed["status"]] == told
        assert all(none["status"])
        for name in OUTPUTS:
            np.testing.assert_allclose(mixed[name][rows], alone[name], **CLOSE)
            assert np.isnan(mixed[name][told]).all() and np.isnan(none[name]).all()

    @pytest.mark.parametrize(
        "content, text",
        [
            (wav_bytes(np.zeros(40_000), kind="FLAC"), "this is not a WAV file, which begins"),
            (wav_bytes(np.zeros(40_000), 11024), "a multiple of 25 Hz from 1000 to 384000 Hz; it"),
            (wav_bytes(np.zeros(40_000), 384_025), "it is 384025"),
            (wav_bytes(np.zeros(31_000)), "too short: send at least 1 s; received seconds: 0.968"),
            (wav_bytes(np.zeros(0)), "too short: send at least 1 s; received seconds: 0"),
            (wav_bytes(np.full(40_000, np.nan), subtype="FLOAT"), "NaN or infinite samples: 40000"),
            (
                wav_bytes(np.arange(40_000.0), subtype="FLOAT"),
                "their peak is 39999; divide 16-bit integers by 32768",
            ),
            (wav_bytes(np.resize([[0.1, -0.1]], [40_000, 2])), "channels of the WAV file cancel"),
        ],
        ids=["FLAC", "rate", "high rate", "short", "none", "NaN", "scale", "inverted"],
    )
    def test_bad_files_are_told_apart(self, exported, content, text):
        answer = ask(exported("det"), "wav", wav=files(content))
        assert text in answer["status"][0].decode()
        assert np.isnan(answer["probabilities"]).all()

    def test_recordings_of_a_slowed_model_are_slowed(self):
        """The same samples at ten times the rate, of which a tenth of a second is enough."""
        sound = np.random.default_rng(6).normal(0, 0.1, 24_000)
        slow, error = decode(wav_bytes(sound, 24_000))
        fast, none = decode(wav_bytes(sound, 240_000), time_expansion=10)
        np.testing.assert_array_equal(fast, slow)
        assert error == none == b"" and fast.shape == (32_000,)
        for content, text in [
            (wav_bytes(sound[:23_000], 240_000), "at least 0.1 s; received seconds: 0.0958"),
            (wav_bytes(sound, 240_025), "a multiple of 250 Hz from 10000 to 3840000 Hz"),
        ]:
            nothing, error = decode(content, time_expansion=10)
            assert text in error.numpy().decode() and tf.size(nothing) == 0

    def test_files_of_a_model_of_one_length(self):
        good, error = decode(wav_bytes(np.full(12_000, 0.1), 8000), exactly=48_000)
        assert good.shape == (48_000,) and error == b""
        _, error = decode(wav_bytes(np.full(12_010, 0.1), 8000), exactly=48_000)
        assert "sounds of exactly 1.5 s; received seconds: 1.50125" in error.numpy().decode()

    def test_an_empty_batch(self, exported):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="wav has no rows: the batch is empty"
        ):
            ask(exported("det"), "wav", wav=tf.zeros([0], tf.string))
