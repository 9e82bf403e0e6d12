"""Synthesis building blocks against closed forms, NumPy sums and scipy.signal."""

import math

import numpy as np
import pytest
from scipy import signal

from vipann_tf.datasets import sound_waveforms as wave

RATE = wave.RATE_HZ


def test_tone_keeps_its_pitch_to_the_last_sample():
    n, freq = 5 * RATE + 77, 7321.7
    expected = np.sin(2 * np.pi * freq * np.arange(n) / RATE)
    np.testing.assert_allclose(wave.tone(freq, n), expected, atol=2e-5)


def test_tone_follows_a_changing_frequency():
    # The sum over i = 0..j of f0 + k i / RATE is f0 (j + 1) + k j (j + 1) / (2 RATE).
    f0, k = 300.0, 4000.0
    t = np.arange(RATE) / RATE
    expected = np.sin(2 * np.pi * (f0 + k * t / 2) * (t + 1 / RATE))
    np.testing.assert_allclose(wave.tone(f0 + k * t), expected, atol=1e-4)


def test_sweep_is_even_in_octaves():
    np.testing.assert_allclose(
        wave.sweep(100.0, 1600.0, np.linspace(0, 1, 5, dtype=np.float32)),
        [100, 200, 400, 800, 1600],
        rtol=1e-5,
    )


def test_harmonic_tone_has_the_given_amplitudes():
    amplitudes = np.array([1.0, 0.0, 0.4, 0.1])
    waveform = wave.harmonic_tone(wave.phase_of(500.0, RATE), amplitudes)
    spectrum = np.abs(np.fft.rfft(waveform)) / (RATE / 2)  # 1 Hz a bin
    np.testing.assert_allclose(spectrum[[500, 1000, 1500, 2000]], amplitudes, atol=2e-3)
    spectrum[[500, 1000, 1500, 2000]] = 0
    assert spectrum.max() < 2e-3


def test_harmonic_tone_takes_phases():
    waveform = wave.harmonic_tone(wave.phase_of(100.0, 640), np.array([1j]))
    expected = np.cos(2 * np.pi * 100 * np.arange(640) / RATE)
    np.testing.assert_allclose(waveform, expected, atol=1e-3)


@pytest.mark.parametrize("n", [1, 255, 256, 1000])
def test_decaying_modes_is_the_sum_of_its_modes(n):
    freqs, t60s, amplitudes = [311.0, 4200.5, 90.0], [0.3, 0.05, 2.0], [1.0, 0.5, -0.7]
    t = np.arange(n) / RATE
    expected = sum(
        a * 10 ** (-3 * t / t60) * np.sin(2 * np.pi * f * t)
        for f, t60, a in zip(freqs, t60s, amplitudes, strict=True)
    )
    np.testing.assert_allclose(wave.decaying_modes(freqs, t60s, amplitudes, n), expected, atol=1e-5)


def test_exponential_decay_falls_by_60_db_in_its_time():
    envelope = wave.exponential_decay(RATE, 0.5)
    assert envelope[0] == 1
    assert envelope[RATE // 2] == pytest.approx(1e-3, rel=1e-4)


@pytest.mark.parametrize("kind", ["low", "high"])
def test_filtered_is_a_butterworth_filter_at_its_default_q(kind):
    noise = np.random.default_rng(0).standard_normal(3000)
    expected = signal.lfilter(*signal.butter(2, 800.0, kind, fs=RATE), noise)
    np.testing.assert_allclose(wave.filtered(noise, kind, 800.0), expected, atol=2e-3)


def test_filtered_band_has_its_peak_and_bandwidth():
    # The half-power edges of a band pass lie f / q apart with f their geometric mean.
    impulse = np.zeros(2 * RATE)
    impulse[0] = 1
    gain = np.abs(np.fft.rfft(wave.filtered(impulse, "band", 1000.0, 5.0)))  # 0.5 Hz a bin
    assert np.argmax(gain) / 2 == pytest.approx(1000, abs=1)
    assert gain.max() == pytest.approx(1, abs=1e-3)
    inside = np.flatnonzero(gain > math.sqrt(0.5)) / 2
    assert inside[-1] - inside[0] == pytest.approx(200, rel=0.02)


def test_white_noise_is_white_with_unit_deviation():
    noise = wave.white_noise(np.random.default_rng(3), 40_000)
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=4 / 200)
    assert noise.std() == pytest.approx(1, abs=4 * 0.45 / 200)  # sd of u^2 of unit variance: 0.89
    autocorrelation = [np.mean(noise[:-k] * noise[k:]) for k in (1, 2, 7, 640)]
    np.testing.assert_allclose(autocorrelation, 0, atol=4 / 200)


def test_wander_stays_within_its_range_and_is_slow():
    control = wave.wander(np.random.default_rng(1), 50_001, 4.0, -2.0, 3.0)
    assert control.shape == (50_001,)
    assert control.min() >= -2 and control.max() <= 3
    assert np.abs(np.diff(control)).max() <= 5 * 4 / RATE * 1.01


def test_onsets_are_regular_without_jitter():
    starts = wave.onsets(np.random.default_rng(2), 5 * RATE, 0.25, 0.0)
    np.testing.assert_allclose(np.diff(starts), RATE / 4, atol=1)
    assert len(starts) in (19, 20) and starts[0] < RATE / 4


@pytest.mark.parametrize("interval_s", [0.05, 0.4, 9.0])
def test_onsets_with_jitter_increase_and_are_never_none(interval_s):
    for seed in range(20):
        starts = wave.onsets(np.random.default_rng(seed), RATE, interval_s, 0.6)
        assert len(starts) >= 1
        assert (np.diff(starts) > 0).all() and starts[0] >= 0 and starts[-1] < RATE


def test_place_adds_and_cuts():
    out = wave.place(5, [0, 1, 3], [np.ones(2), 2 * np.ones(2), 5 * np.ones(9)])
    np.testing.assert_array_equal(out, [1, 3, 2, 5, 5])


@pytest.mark.parametrize("t60_s", [0.3, 0.9])
def test_reverberation_has_its_decay_and_energy(t60_s):
    """Schroeder's backward integration of the impulse response gives the decay back."""
    impulse = np.zeros(RATE, np.float32)
    impulse[0] = 1
    response = wave.reverberated(np.random.default_rng(5), impulse, t60_s, 0.25)
    assert response[0] == pytest.approx(1, abs=1e-3)
    tail = response[1:].astype(np.float64)
    assert np.square(tail).sum() == pytest.approx(0.25, rel=0.02)
    remaining_db = 10 * np.log10(np.cumsum(np.square(tail)[::-1])[::-1] + 1e-12)
    remaining_db -= remaining_db[0]
    first, last = np.argmax(remaining_db < -5), np.argmax(remaining_db < -20)
    assert (last - first) / RATE * 60 / 15 == pytest.approx(t60_s, rel=0.15)


def test_arch_is_finite_and_symmetric():
    envelope = wave.arch(1001, 0.6)
    assert np.isfinite(envelope).all() and envelope.max() == pytest.approx(1)
    np.testing.assert_allclose(envelope, envelope[::-1], atol=1e-3)


def test_log_uniform_has_its_median_at_the_geometric_mean():
    rng = np.random.default_rng(4)
    draws = [wave.log_uniform(rng, 10.0, 1000.0) for _ in range(400)]
    assert min(draws) >= 10 and max(draws) <= 1000
    assert np.mean(np.array(draws) < 100) == pytest.approx(0.5, abs=4 * 0.5 / 20)
