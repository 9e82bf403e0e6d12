"""Noise-like sound events: weather, water, air and machines, by filtered and modulated noise.

Each event is a function of (generator, length in samples) that returns float32 `[n]` of arbitrary
level; see `sound_tonal`.
"""

import numpy as np

from vipann_tf.datasets.sound_tonal import SHARED_CASE
from vipann_tf.datasets.sound_waveforms import (
    LOWEST_HZ,
    exponential_decay,
    filtered,
    harmonic_tone,
    log_uniform,
    phase_of,
    place,
    samples,
    series,
    times,
    tone,
    wander,
    white_noise,
)

__all__ = ["helicopter", "rain", "sea_waves", "thunder", "vacuum_cleaner", "wind"]


def _steady_hiss(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make even broadband noise, like distant surf or a vacuum cleaner next door."""
    hiss = filtered(white_noise(rng, n), "low", log_uniform(rng, 700.0, 3000.0))
    return filtered(hiss, "high", rng.uniform(100.0, 300.0)) * wander(rng, n, 1.0, 0.6, 1.0)


def rain(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make rain: a steady treble hiss, and 40-600 drops per second that stand out of it."""
    drops = np.zeros(n, np.float32)
    count = round(log_uniform(rng, 40.0, 600.0) * n / samples(1.0))
    drops[rng.integers(0, n, count)] = rng.standard_exponential(count)
    drops = filtered(drops, "band", log_uniform(rng, 2500.0, 6000.0), rng.uniform(1.0, 3.0))
    hiss = filtered(white_noise(rng, n), "high", log_uniform(rng, 600.0, 3000.0))
    return drops / drops.std() + np.float32(rng.uniform(0.3, 1.5)) * hiss


def wind(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make wind: low noise in gusts, whose pitch (the howl at an edge) rises with strength."""
    gust = wander(rng, n, rng.uniform(0.5, 2.0), 0.1, 1.0)
    source = white_noise(rng, n)
    corner = log_uniform(rng, 150.0, 350.0)
    rumble = filtered(filtered(source, "low", corner), "high", LOWEST_HZ)
    howl = filtered(source, "band", corner * rng.uniform(2.0, 4.0), rng.uniform(2.0, 10.0))
    howl *= np.float32(rng.uniform(0.3, 1.2) * rumble.std() / howl.std())
    return gust * rumble + gust**3 * howl


def sea_waves(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make sea waves: noise that swells, brightest as the wave breaks, or (shared) distant surf."""
    if rng.random() < SHARED_CASE:
        return _steady_hiss(rng, n)
    source = white_noise(rng, n)
    low, high = filtered(source, "low", rng.uniform(300.0, 900.0)), filtered(source, "high", 1500.0)
    phase = (phase_of(1 / rng.uniform(2.2, 5.0), n) + np.float32(rng.random())) % 1
    peak = np.float32(rng.uniform(0.45, 0.75))  # a wave rises slowly and drains away sooner
    swell = np.where(phase < peak, phase / peak, (1 - phase) / (1 - peak)) ** 2
    return low * (0.15 + swell) + np.float32(rng.uniform(0.15, 0.4)) * high * swell**2


def vacuum_cleaner(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a vacuum cleaner: air and the whine of a motor of 180-500 Hz, or (shared) muffled."""
    if rng.random() < SHARED_CASE:
        return _steady_hiss(rng, n)
    air = filtered(white_noise(rng, n), "band", log_uniform(rng, 700.0, 2200.0), 0.4)
    pitch = log_uniform(rng, 180.0, 500.0)
    amplitudes = series(int(9000 / pitch), 0.9) * rng.uniform(0.1, 1.0, int(9000 / pitch))
    whine = harmonic_tone(phase_of(pitch * wander(rng, n, 2.0, 0.985, 1.015)), amplitudes)
    level = np.float32(rng.uniform(0.25, 0.8) * air.std() / whine.std())
    return air + level * whine


def helicopter(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a helicopter: noise chopped by blades that pass 9-22 times per second, and a thump."""
    blade = phase_of(log_uniform(rng, 9.0, 22.0) * wander(rng, n, 1.0, 0.97, 1.03))
    chop = np.exp(-np.float32(rng.uniform(3.0, 8.0)) * blade)
    source = white_noise(rng, n)
    slap = filtered(source, "band", log_uniform(rng, 250.0, 900.0), 0.7)
    thump = harmonic_tone(blade, series(12, 0.4))
    turbine = tone(rng.uniform(1500.0, 4000.0), n)
    wash = filtered(source, "high", 1500.0)
    out = chop * (slap / slap.std() + np.float32(rng.uniform(0.1, 0.5)) * wash)
    out += np.float32(rng.uniform(0.1, 0.5)) * thump + np.float32(rng.uniform(0.0, 0.08)) * turbine
    return out * wander(rng, n, 0.5, 0.5, 1.0)


def thunder(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make thunder: a crack, unless it is far away, and a rumble that rolls and dies in seconds."""
    start = int(rng.uniform(0.0, 0.3) * n)
    length = n - start
    source = white_noise(rng, length)
    rumble = filtered(filtered(source, "low", log_uniform(rng, 70.0, 220.0)), "high", LOWEST_HZ)
    rolls = wander(rng, length, rng.uniform(3.0, 8.0), 0.05, 1.0) ** 2
    rumble *= rolls * exponential_decay(length, rng.uniform(4.0, 9.0)) / rumble.std()
    rumble *= np.minimum(times(length) / np.float32(rng.uniform(0.02, 0.6)), 1)
    crack = filtered(source, "band", log_uniform(rng, 400.0, 1500.0), 0.5)
    crack *= exponential_decay(length, rng.uniform(0.3, 1.2)) * rng.uniform(0.0, 1.2) ** 2
    return place(n, [start], [rumble + crack])
