"""A loaded model: arrays and files have one answer, which is that of the command."""

import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import vipann_tf as vt
from tests.helpers.exported_models import CLOSE, LABELS
from tests.helpers.model_service import serving
from tests.helpers.recordings import encode, events, wav
from vipann_tf.cli import main
from vipann_tf.saved_model.connection import BATCH, connect
from vipann_tf.saved_model.load import load_signatures
from vipann_tf.saved_model.timeline import Listener

NAMES = ("probabilities", "label_total", "label_aleatoric", "label_epistemic")
CLIPS = ("total", "aleatoric", "epistemic")


def test_what_it_is(model, exported):
    assert model.labels == LABELS
    assert model.sample_rate_hz == 32_000 and model.info.clip_seconds == 1.0
    assert model.path == exported.path / "1"
    assert repr(model).startswith("Model det-flip/1: ResNet-22") and "5 labels" in repr(model)
    assert vt.load(model).path == model.path  # it can be given wherever a path can


def test_a_batch_is_what_the_keras_model_says(model, exported, sounds):
    found = model.predict(sounds, sample_rate_hz=32_000)
    expected = exported.expected(sounds)
    assert found.sounds == ["x[0]", "x[1]", "x[2]"]
    for name in (*NAMES, *CLIPS):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), **CLOSE)
    np.testing.assert_allclose(found.seconds, 40_123 / 32_000)
    assert found.draws is None


def test_chosen_draws(model, exported, sounds):
    found = model.predict(sounds, 4, 17, sample_rate_hz=32_000, draws=True)
    expected = exported.expected(sounds, num_draws=4, seed=17)
    np.testing.assert_allclose(found.epistemic, expected.epistemic, **CLOSE)
    assert found.draws.shape == (4, 3, 5) and (found.num_draws, found.seed) == (4, 17)
    np.testing.assert_allclose(found.draws.mean(axis=0), found.probabilities, **CLOSE)
    again = vt.uncertainty.from_draws(found.draws, "multiclass")
    np.testing.assert_allclose(again.epistemic, found.epistemic, **CLOSE)


def test_a_server_is_asked_for_everything(model, sounds, tmp_path):
    signatures = load_signatures(model.path).signatures
    (tmp_path / "a.wav").write_bytes(wav(events(2.0)))
    with serving("det-flip", lambda: signatures) as service:
        there = vt.load(model.path, server=service.address)
        for name in (*NAMES, *CLIPS):
            here, served = (x.predict(sounds, sample_rate_hz=32_000) for x in (model, there))
            np.testing.assert_allclose(getattr(served, name), getattr(here, name), **CLOSE)
        np.testing.assert_allclose(
            there.embed(sounds, sample_rate_hz=32_000),
            model.embed(sounds, sample_rate_hz=32_000),
            **CLOSE,
        )
        (window, *_) = there.listen(tmp_path / "a.wav", window_s=1.0)
        asked = len(service.requests)
        with pytest.warns(vt.NoticeWarning, match="no-time"):
            scanned = there.scan(tmp_path / "a.wav", tmp_path / "out")
        assert window.end_s == 1.0 and scanned.windows == 3
        assert len(service.requests) > asked
    with pytest.raises(vt.UserError, match="did not answer in 0.2 s"):
        vt.load(model.path, server=service.address, deadline_s=0.2).predict(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [32_000, 44_100, 8_000, 47_999])
def test_an_array_is_heard_as_a_file_and_a_file_as_by_the_command(model, tmp_path, rate):
    """Also in the width of a double, and of half a float."""
    waveform = events(7.0, rate)
    path = tmp_path / "sound.wav"
    soundfile.write(path, waveform, rate, subtype="FLOAT")
    result = CliRunner().invoke(
        main, ["predict", str(model.path), str(path), "--format", "json", "--top", "9"]
    )
    answer = json.loads(result.stdout)
    file = model.predict(path)
    for name in CLIPS:
        assert getattr(file, name)[0] == np.float32(answer[name])
    probabilities = {row["label"]: row["probability"] for row in answer["labels"]}
    assert dict(zip(LABELS, file.probabilities[0].tolist(), strict=True)) == probabilities
    for wide in (waveform, waveform.astype(np.float64)):
        array = model.predict(wide, sample_rate_hz=rate)
        np.testing.assert_array_equal(array.probabilities, file.probabilities)
        assert array.seconds[0] == file.seconds[0]
    half = model.predict(waveform.astype(np.float16), sample_rate_hz=rate)
    np.testing.assert_allclose(half.probabilities, file.probabilities, atol=0.01)


def test_sounds_of_any_lengths_stay_in_order(model, sounds):
    """More than wait for each other; alone, each has the same answer."""
    several = [sounds[i % 3][: 32_000 + 977 * (i % 4)] for i in range(BATCH + 5)]
    together = model.predict(several, sample_rate_hz=32_000)
    embedded = model.embed(several, sample_rate_hz=32_000)
    for i in (0, 1, BATCH + 4):
        alone = model.predict(several[i], sample_rate_hz=32_000)
        np.testing.assert_allclose(together[i].probabilities, alone.probabilities, **CLOSE)
        np.testing.assert_allclose(
            embedded[i], model.embed(several[i], sample_rate_hz=32_000)[0], rtol=1e-4, atol=1e-5
        )
    expected = model.network.run(several[1][None], stop="embedding")
    np.testing.assert_allclose(embedded[1], expected[0], rtol=1e-4, atol=1e-5)


def test_what_is_padded_is_said(model, sounds, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, sounds[0, :20_000], 32_000, subtype="FLOAT")
    with pytest.warns(vt.NoticeWarning, match=r"x: padded: 0.62 s of sound, then 0.38 s of zeros"):
        array = model.predict(sounds[0, :20_000], sample_rate_hz=32_000)
    with pytest.warns(vt.NoticeWarning, match=r"short.wav: padded.*\(and 1 more\)") as warned:
        file = model.predict([path, path])
    assert warned[0].filename == __file__  # where the call is
    np.testing.assert_allclose(array.probabilities[0], file.probabilities[0], **CLOSE)
    assert [notices[0].kind for notices in file.notices] == ["padded", "padded"]
    with pytest.warns(vt.NoticeWarning, match="padded"):
        model.embed(sounds[0, :20_000], sample_rate_hz=32_000)


def test_a_bad_sound_of_several_is_an_error_that_names_it(model, sounds, tmp_path):
    good = tmp_path / "good.wav"
    good.write_bytes(wav(events()))
    with pytest.raises(vt.UserError, match=r"none\.wav: missing-file"):
        model.predict([good, tmp_path / "none.wav", good])
    broken = sounds.copy()
    broken[1, 30_000] = np.nan
    with pytest.raises(vt.UserError, match=r"x\[1\]: non-finite: 1 of 40123 samples"):
        model.predict(broken, sample_rate_hz=32_000)
    with pytest.raises(vt.UserError, match=r"x: wrong-scale: .*peak is .*divide 16-bit integers"):
        model.predict(sounds[0] * 32_768, sample_rate_hz=32_000)
    with pytest.raises(vt.UserError, match=r"x: empty: 0 samples"):
        model.predict(sounds[0, :0], sample_rate_hz=32_000)
    with pytest.raises(vt.UserError, match=r"x: too-short: 0\.050 s"):
        model.embed(sounds[0, :1_600], sample_rate_hz=32_000)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_draws": 0}, "num_draws is 0; use 1 to 1000"),
        ({"num_draws": 2.5}, "num_draws is 2.5; it must be a whole number"),
        ({"num_draws": True}, "num_draws is True; it must be a whole number"),
        ({"seed": "7"}, "seed is '7'; it must be a whole number"),
        ({"seed": 2**63}, "seed is 9223372036854775808; it must be an integer of 64 bits"),
    ],
)
def test_draws_that_are_none(model, sounds, options, message):
    with pytest.raises(vt.UserError, match=message):
        model.predict(sounds, sample_rate_hz=32_000, **options)


def test_a_long_recording_in_windows(model, exported, tmp_path):
    path = tmp_path / "long.flac"
    path.write_bytes(encode(events(4.0), "flac", "flac"))
    found = list(model.listen(path, window_s=2.0))
    listener = Listener(connect(exported.path), window_s=2.0, hop_s=0.5)
    for window, expected in zip(found, listener.listen(path), strict=True):
        assert (window.start_s, window.end_s) == (expected.start_s, expected.end_s)
        np.testing.assert_array_equal(window.probabilities, expected.probabilities)
    with pytest.raises(vt.UserError, match="window is 0.5 s; use 1 s or more"):
        model.listen(path, window_s=0.5)
    with pytest.raises(vt.UserError, match=r"none\.wav: missing-file"):
        next(model.listen(tmp_path / "none.wav", window_s=2.0))


def test_no_model(tmp_path):
    with pytest.raises(vt.UserError, match="no model at .*the shipped models are"):
        vt.load(tmp_path / "none")
