"""Log-mel against the golden spectrogram, a float64 NumPy oracle, and the rules of a layer."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.helpers import reference
from vipann_tf.audio import logmel
from vipann_tf.errors import UserError


def numpy_log_mel(waveform, mel):
    """The definition, written with np.fft in float64, one clip [samples] at a time."""
    padded = np.pad(np.asarray(waveform, np.float64), 512, mode="reflect")
    starts = range(0, len(waveform) + 1, 320)
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1024) / 1024))
    spectra = np.stack([np.fft.rfft(padded[s : s + 1024] * window) for s in starts])
    return 10 * np.log10(np.maximum(np.abs(spectra) ** 2 @ mel, 1e-10))


def noise(batch, samples, seed=3):
    return np.random.default_rng(seed).normal(0, 0.1, [batch, samples]).astype(np.float32)


def test_mel_matrix_is_the_published_one():
    published = reference.mel_filters()
    assert logmel.mel_matrix().shape == published.shape
    np.testing.assert_allclose(logmel.mel_matrix(), published, rtol=1e-4, atol=1e-8)


def test_mel_triangles_have_equal_area():
    # Slaney's normalisation: the integral over Hz is 1; bins of 31.25 Hz resolve the wide bands.
    area = logmel.mel_matrix().sum(axis=0) * (32000 / 1024)
    np.testing.assert_allclose(area[20:], 1.0, rtol=0.02)
    assert not logmel.mel_matrix()[:2].any()  # 0 and 31.25 Hz are below 50 Hz
    assert not logmel.mel_matrix()[448:].any()  # 448 x 31.25 Hz = 14 kHz


def test_log_mel_matches_the_golden():
    golden = reference.golden()["logmel"]
    ours = logmel.log_mel(reference.waveforms()).numpy()
    assert ours.shape == golden.shape
    assert np.abs(ours - golden)[golden > -60].max() <= 1e-3


@pytest.mark.parametrize("samples", [513, 32000, 32001, 33279, 98765])
def test_log_mel_matches_the_definition_at_any_length(samples):
    waveform = noise(3, samples)
    expected = np.stack([numpy_log_mel(clip, logmel.mel_matrix()) for clip in waveform])
    ours = logmel.log_mel(waveform).numpy()
    assert ours.shape == (3, samples // 320 + 1, 64) == (3, logmel.num_frames(samples), 64)
    np.testing.assert_allclose(ours, expected, atol=2e-3)


def test_silence_is_at_the_floor():
    np.testing.assert_allclose(logmel.log_mel(tf.zeros([2, 3200])), -100.0, atol=1e-4)


def test_a_tone_is_loudest_in_its_own_band():
    hz = 440.0
    tone = np.sin(2 * np.pi * hz * np.arange(32000) / 32000)[None].astype(np.float32)
    loudest = logmel.log_mel(tone).numpy()[0, 50].argmax()
    assert loudest == logmel.mel_matrix()[round(hz * 1024 / 32000)].argmax()


def test_short_waveform_is_refused_by_value():
    with pytest.raises(UserError, match="waveform has 512 samples; .* at least 513"):
        logmel.log_mel(tf.zeros([2, 512]))


def test_short_waveform_of_unknown_length_is_refused_when_run():
    traced = tf.function(logmel.log_mel, input_signature=[tf.TensorSpec([None, None])])
    with pytest.raises(tf.errors.InvalidArgumentError, match="waveform is too short"):
        traced(tf.zeros([2, 512]))


def test_layer_is_float32_and_weightless_under_a_mixed_policy():
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = logmel.LogMel(name="front")
        waveform = noise(2, 4000)
        output = layer(waveform)
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
    assert output.dtype == tf.float32 and layer.weights == []
    np.testing.assert_array_equal(output, logmel.log_mel(waveform))


def test_layer_round_trips_through_its_config():
    layer = logmel.LogMel(name="front", trainable=False)
    again = tf_keras.layers.deserialize(tf_keras.layers.serialize(layer))
    assert isinstance(again, logmel.LogMel)
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("shape", [(None, None), (None, 4001), (5, None)])
def test_layer_infers_its_output_shape(shape):
    outputs = logmel.LogMel()(tf_keras.Input(shape[1:], shape[0]))
    frames = None if shape[1] is None else shape[1] // 320 + 1
    assert outputs.shape.as_list() == [shape[0], frames, 64]
    assert logmel.LogMel().compute_output_shape(shape).as_list() == [shape[0], frames, 64]


def test_layer_refuses_another_rank():
    with pytest.raises(ValueError, match="expected ndim=2, found ndim=3"):
        logmel.LogMel()(tf.zeros([2, 4000, 1]))


def test_saved_model_takes_any_batch_and_length(tmp_path):
    module = tf.Module()
    module.layer = logmel.LogMel()
    module.serve = tf.function(
        module.layer.call, input_signature=[tf.TensorSpec([None, None], tf.float32)]
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for batch, samples in [(1, 5000), (7, 6001)]:
        waveform = noise(batch, samples)
        np.testing.assert_allclose(
            loaded.serve(tf.constant(waveform)), logmel.log_mel(waveform), atol=1e-4
        )
