"""Decoding: against the samples written, a pure tone's closed form, and one-shot resampling."""

import io
import os
import pickle
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr

from tests.helpers.paths import SOUNDS
from vipann_tf.audio.decoding import REASONS, DecodeError, Decoder, read_audio


def write(path, samples, rate, **kwargs):
    soundfile.write(path, samples, rate, **kwargs)
    return path


def noise(samples, channels=1, seed=3):
    values = np.random.default_rng(seed).uniform(-0.5, 0.5, (samples, channels))
    return values.astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_same_rate_is_the_mean_of_channels(tmp_path, channels):
    samples = noise(12_345, channels)
    path = write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    got = read_audio(path, 16_000)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, samples.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize(
    "suffix, subtype, tolerance",
    [
        ("wav", "PCM_16", 1e-4),
        ("wav", "PCM_U8", 2e-2),
        ("flac", "PCM_24", 1e-4),
        ("aiff", None, 1e-4),
        ("ogg", "VORBIS", 0.1),
        ("mp3", None, 0.1),
        ("w64", None, 1e-4),
        ("caf", None, 1e-4),
    ],
)
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_formats_and_rates_give_the_tone(tmp_path, suffix, subtype, tolerance, rate):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)
    path = write(tmp_path / f"tone.{suffix}", tone, rate, subtype=subtype)
    got = read_audio(path, 32_000)
    # MP3 at 8 kHz pads its last frame.
    assert abs(len(got) - 64_000) <= (64_000 * 0.06 if suffix == "mp3" else 1)
    middle = slice(20_000, 40_000)
    t = np.arange(64_000)[middle] / 32_000
    basis = np.stack([np.sin(2 * np.pi * 440 * t), np.cos(2 * np.pi * 440 * t)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, got[middle], rcond=None)
    assert np.hypot(*weights) == pytest.approx(0.5, rel=0.05)
    assert np.abs(got[middle] - basis @ weights).max() < tolerance


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_blocks_agree_with_one_shot_resampling(tmp_path, rate):
    samples = noise(int(rate * 7.3))[:, 0]  # several blocks of 2 ** 18
    path = write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    expected = soxr.resample(samples, rate, 32_000, quality="HQ")
    got = read_audio(path, 32_000)
    assert abs(len(got) - len(expected)) <= 1
    common = min(len(got), len(expected))
    np.testing.assert_allclose(got[:common], expected[:common], atol=2e-5)


def test_window_is_the_slice_of_the_whole(tmp_path):
    samples = noise(100_000)[:, 0]
    path = write(tmp_path / "a.flac", samples, 20_000, subtype="PCM_24")
    got = read_audio(path, 20_000, offset_s=1.7, duration_s=0.9)
    np.testing.assert_allclose(got, samples[34_000:52_000], atol=1e-6)
    resampled = read_audio(path, 32_000)[54_400:83_200]
    window = read_audio(path, 32_000, offset_s=1.7, duration_s=0.9)
    assert len(window) == 28_800
    edge = 200  # the filter of a window starts on silence
    np.testing.assert_allclose(window[edge:-edge], resampled[edge:-edge], atol=1e-3)


def test_window_at_the_end_is_shorter(tmp_path):
    path = write(tmp_path / "a.wav", noise(32_000), 16_000)
    assert len(read_audio(path, 16_000, offset_s=1.5, duration_s=2.0)) == 8_000


def test_file_objects_are_read_as_files(tmp_path):
    path = write(tmp_path / "a.ogg", noise(30_000), 16_000)
    with open(path, "rb") as file:
        from_object = read_audio(io.BytesIO(file.read()), 32_000)
    np.testing.assert_array_equal(from_object, read_audio(path, 32_000))


def test_a_decoder_forgets_the_file_before(tmp_path):
    first = write(tmp_path / "a.wav", noise(40_000, seed=1), 44_100)
    second = write(tmp_path / "b.wav", noise(40_000, seed=2), 44_100)
    decoder = Decoder(32_000)
    decoder.read(first, duration_s=0.5)  # leaves samples in the resampler
    np.testing.assert_array_equal(decoder.read(second), read_audio(second, 32_000))


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 48_000, 2, subtype="PCM_16") as file:
        for _ in range(40):
            file.write(np.zeros((240_000, 2), np.float32))  # 200 s, 77 MB as float32
    tracemalloc.start()
    read_audio(path, 32_000, offset_s=150, duration_s=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6


def bad_file(tmp_path, kind):
    path = tmp_path / "bad.wav"
    if kind == "no bytes":
        path.write_bytes(b"")
    elif kind == "no samples":
        write(path, np.zeros((0, 1)), 16_000)
    elif kind == "text":
        path.write_text("this is not audio")
    elif kind == "directory":
        path.mkdir()
    elif kind == "short":
        write(path, noise(1_000), 16_000)
    elif kind == "nan":
        samples = noise(20_000)
        samples[777] = np.nan
        write(path, samples, 16_000, subtype="FLOAT")
    elif kind == "inf":
        samples = noise(20_000)
        samples[777] = np.inf
        write(path, samples, 16_000, subtype="DOUBLE")
    elif kind == "1 Hz":
        write(path, noise(20_000), 16_000)
        data = bytearray(path.read_bytes())
        data[24:28] = (1).to_bytes(4, "little")
        path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "kind, reason, detail",
    [
        ("missing", "missing-file", "no file at .*bad.wav"),
        ("no bytes", "empty", "0 bytes"),
        ("no samples", "empty", "0 samples"),
        ("text", "undecodable", "not audio but text"),
        ("directory", "undecodable", "a directory"),
        ("short", "too-short", "0.062 s from 0 s on"),
        ("nan", "non-finite", "samples"),
        ("inf", "non-finite", "samples"),
        ("1 Hz", "undecodable", "a sample rate of 1 Hz"),
    ],
)
def test_unusable_files_name_their_reason(tmp_path, kind, reason, detail):
    with pytest.raises(DecodeError, match=f"^{reason}: .*{detail}") as error:
        read_audio(bad_file(tmp_path, kind), 32_000)
    assert error.value.reason == reason in REASONS


def test_offset_beyond_the_end_is_too_short(tmp_path):
    path = write(tmp_path / "a.wav", noise(16_000), 16_000)
    with pytest.raises(DecodeError, match="too-short: 0.000 s from 3 s on"):
        read_audio(path, 16_000, offset_s=3)


@pytest.mark.parametrize("name", ["nul\0.wav", "a.wav/b.wav"])
def test_impossible_paths_are_undecodable(tmp_path, name):
    write(tmp_path / "a.wav", noise(16_000), 16_000)
    with pytest.raises(DecodeError) as error:
        read_audio(os.path.join(tmp_path, name), 16_000)
    assert error.value.reason == "undecodable"


def test_unusable_rate_of_the_decoder():
    with pytest.raises(ValueError, match="not 10$"):
        Decoder(10)


def test_decode_error_survives_pickling():
    error = pickle.loads(pickle.dumps(DecodeError("empty", "0 bytes")))
    assert (error.reason, error.detail, str(error)) == ("empty", "0 bytes", "empty: 0 bytes")


def test_real_recordings():
    for name in ("dog.ogg", "bubble_wrap.ogg"):  # of 44.1 kHz and of 32 kHz
        waveform = read_audio(SOUNDS / name, 32_000, duration_s=5)
        assert len(waveform) == 160_000 and 0.01 < np.abs(waveform).max() <= 1.2
