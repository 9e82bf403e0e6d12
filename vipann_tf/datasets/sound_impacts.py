"""Impulsive sound events: knocks, clicks, drops, claps and barks, by modal and noise grains.

Each event is a function of (generator, length in samples) that returns float32 `[n]` of arbitrary
level; see `sound_tonal`. A grain is one stroke; an event places grains in its own rhythm.
"""

import math

import numpy as np

from vipann_tf.datasets.sound_tonal import SHARED_CASE
from vipann_tf.datasets.sound_waveforms import (
    decaying_modes,
    exponential_decay,
    filtered,
    harmonic_tone,
    log_uniform,
    onsets,
    phase_of,
    place,
    samples,
    series,
    times,
    tone,
    white_noise,
)

__all__ = [
    "clock_tick",
    "dog_bark",
    "door_knock",
    "footsteps",
    "glass_break",
    "hand_clap",
    "mouse_click",
    "typing",
    "water_drip",
]

CLOCK_RATE_HZ = (1.0, 5.0)


def _burst(rng: np.random.Generator, seconds: float, freq_hz: float, q: float) -> np.ndarray:
    """Make a noise burst that falls by 60 dB in `seconds`, around one frequency, of peak 1."""
    n = samples(seconds)
    burst = filtered(white_noise(rng, n), "band", freq_hz, q) * exponential_decay(n, seconds)
    return burst / np.abs(burst).max()


def _tick(rng: np.random.Generator, pitch_hz: float) -> np.ndarray:
    """Make the click of a small mechanism: three stiff modes and a speck of noise."""
    modes = decaying_modes(
        pitch_hz * np.array([1.0, 1.7, 2.6]), [0.03, 0.02, 0.012], [1.0, 0.8, 0.6], samples(0.03)
    )
    modes[: samples(0.004)] += _burst(rng, 0.004, 6000.0, 0.7)
    return modes


def _thud(rng: np.random.Generator, pitch_hz: float, t60_s: float) -> np.ndarray:
    """Make a blow on wood: low modes of a plate, and the noise of contact."""
    ratios = np.array([1.0, 1.58, 2.24, 2.92, 3.46]) * np.exp(0.05 * rng.standard_normal(5))
    thud = decaying_modes(pitch_hz * ratios, t60_s / ratios**0.5, series(5, 0.5), samples(t60_s))
    contact = _burst(rng, 0.02, rng.uniform(800.0, 2500.0), 0.6)
    thud[: len(contact)] += rng.uniform(0.3, 1.0) * contact
    return thud


def clock_tick(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a clock: even ticks, `CLOCK_RATE_HZ` per second, alternately higher and lower."""
    pitch = log_uniform(rng, 1800.0, 4000.0)
    grains = [_tick(rng, pitch), rng.uniform(0.5, 1.0) * _tick(rng, pitch * rng.uniform(0.75, 1))]
    starts = onsets(rng, n, 1 / log_uniform(rng, *CLOCK_RATE_HZ), 0.005)
    return place(n, starts, (grains[k % 2] for k in range(len(starts))))


def mouse_click(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make mouse clicks: irregular pairs of press and release; each tick is like a clock's."""
    pitch = log_uniform(rng, 1800.0, 4000.0)
    press, release = _tick(rng, pitch), _tick(rng, pitch * rng.uniform(1.0, 1.3))
    starts = onsets(rng, n, rng.uniform(0.25, 1.2), 0.5)
    hold = (rng.uniform(0.05, 0.13, len(starts)) * samples(1.0)).astype(int)
    both = np.concatenate([starts, np.minimum(starts + hold, n - 1)])
    return place(n, both, [press] * len(starts) + [0.6 * release] * len(starts))


def footsteps(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make footsteps, 1.4-2.8 per second: heel, then toe; or (shared) knocking boards."""
    step_s = 1 / rng.uniform(1.4, 2.8)
    starts = onsets(rng, n, step_s, 0.05)
    if rng.random() < SHARED_CASE:
        board = log_uniform(rng, 110.0, 300.0)
        return place(n, starts, [_thud(rng, board, 0.15) for _ in starts])
    ground, scuff_hz = log_uniform(rng, 60.0, 130.0), log_uniform(rng, 900.0, 4000.0)
    scuff_gain = rng.uniform(0.15, 0.7)
    grains = []
    for _ in starts:
        heel = np.pad(_burst(rng, 0.12, ground, 1.5), (0, samples(0.2)))
        scuff = _burst(rng, 0.15, scuff_hz, 0.8)
        scuff *= np.minimum(times(len(scuff)) / 0.02, 1)
        toe = samples(rng.uniform(0.05, 0.1))
        heel[toe : toe + len(scuff)] += scuff_gain * scuff
        grains.append(rng.uniform(0.7, 1.0) * heel)
    return place(n, starts, grains)


def door_knock(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make knocks on a door: groups of 2-6, 2.2-7 per second, on a plate of 110-450 Hz."""
    pitch, t60_s = log_uniform(rng, 110.0, 450.0), rng.uniform(0.1, 0.25)
    interval = samples(1 / log_uniform(rng, 2.2, 7.0))
    groups = onsets(rng, n, rng.uniform(1.8, 3.0), 0.1)
    starts = np.concatenate([g + interval * np.arange(rng.integers(2, 7)) for g in groups])
    starts = starts[starts < n]
    return place(n, starts, [rng.uniform(0.6, 1) * _thud(rng, pitch, t60_s) for _ in starts])


def water_drip(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make drips: the ring of the entrained bubble, whose pitch rises as it nears the surface.

    Frequency f0 (1 + sigma t), exponential decay (van den Doel, Physically-based models for liquid
    sounds, ACM Transactions on Applied Perception 2(4), 2005).
    """
    base = log_uniform(rng, 500.0, 1600.0)
    starts = onsets(rng, n, log_uniform(rng, 0.25, 1.2), 0.3)
    grains = []
    for _ in starts:
        t60_s = rng.uniform(0.08, 0.25)
        length = samples(t60_s)
        rise = 1 + rng.uniform(3.0, 12.0) * times(length)
        bubble = tone(base * math.exp(0.15 * rng.standard_normal()) * rise)
        bubble *= exponential_decay(length, t60_s)
        delay = samples(rng.uniform(0.01, 0.04))
        drop = np.concatenate([np.zeros(delay, np.float32), bubble])
        impact = _burst(rng, 0.006, 4000.0, 0.6)
        drop[: len(impact)] += rng.uniform(0.05, 0.3) * impact
        grains.append(drop)
    return place(n, starts, grains)


def dog_bark(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a dog: barks of 0.12-0.3 s whose pitch leaps and falls, hoarse, with two formants."""
    pitch, size = log_uniform(rng, 180.0, 520.0), rng.uniform(0.8, 1.3)
    length = samples(rng.uniform(0.12, 0.3))
    x = np.linspace(0, 1, length, dtype=np.float32)
    glide = 0.75 + 0.5 * np.sin(math.pi * np.sqrt(x))  # [length], leaps within a quarter
    envelope = np.minimum(x / 0.06, 1) * (1 - x) ** 0.7
    hoarse = rng.uniform(0.05, 0.5)
    groups = onsets(rng, n, rng.uniform(1.2, 2.5), 0.2)
    gaps = int(length + samples(rng.uniform(0.08, 0.3)))
    starts = np.concatenate([g + gaps * np.arange(rng.integers(1, 4)) for g in groups])
    starts = starts[starts < n]
    grains = []
    for _ in starts:
        note = np.float32(pitch * math.exp(0.05 * rng.standard_normal())) * glide
        voice = harmonic_tone(phase_of(note), series(22, 0.8))
        voice += hoarse * white_noise(rng, length)
        first = filtered(voice, "band", 800.0 * size, 2.0)
        second = filtered(voice, "band", 1900.0 * size, 3.0)
        grains.append((first + 0.6 * second + 0.1 * voice) * envelope)
    return place(n, starts, grains)


def hand_clap(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make hand claps, 1.2-5 per second: each a burst of 5-10 ms that cupped hands colour."""
    colour, q = log_uniform(rng, 700.0, 2200.0), rng.uniform(0.8, 2.0)
    starts = onsets(rng, n, 1 / log_uniform(rng, 1.2, 5.0), 0.06)
    clap_s = rng.uniform(0.03, 0.09)
    grains = (
        rng.uniform(0.6, 1.0) * _burst(rng, clap_s, colour * rng.uniform(0.9, 1.1), q)
        for _ in starts
    )
    return place(n, starts, grains)


def typing(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make typing: runs of 4-10 key strokes per second, each a click and the thump of the case."""
    key, case = log_uniform(rng, 2000.0, 5000.0), log_uniform(rng, 150.0, 400.0)
    starts = onsets(rng, n, 1 / rng.uniform(4.0, 10.0), 0.4)
    pause = rng.uniform(0.0, n, 2)
    away = np.min(np.abs(starts[:, None] - pause), axis=-1) > rng.uniform(0.05, 0.12) * n
    starts = starts[away] if away.any() else starts
    grains = []
    for _ in starts:
        stroke = rng.uniform(0.1, 0.5) * decaying_modes([case], [0.06], [1.0], samples(0.06))
        for delay_s in (0.0, rng.uniform(0.005, 0.03)):
            click = _burst(rng, 0.02, key * rng.uniform(0.8, 1.25), 1.0)
            begin = samples(delay_s)
            stroke[begin : begin + len(click)] += rng.uniform(0.4, 1.0) * click
        grains.append(rng.uniform(0.4, 1.0) * stroke)
    return place(n, starts, grains)


def glass_break(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make breaking glass: a crash, then 25-80 shards that ring at 2-12 kHz as they fall."""
    crash_at = int(rng.uniform(0.0, 0.5) * n)
    crash = _burst(rng, rng.uniform(0.1, 0.4), rng.uniform(3000.0, 7000.0), 0.5)
    count = int(rng.integers(25, 80))
    delays = rng.exponential(rng.uniform(0.15, 0.4), count)
    starts = crash_at + (delays * samples(1.0)).astype(int)
    shards = [
        decaying_modes(
            rng.uniform(2000.0, 12_000.0, 3),
            rng.uniform(0.05, 0.35, 3),
            rng.uniform(0.05, 0.35, 3) * math.exp(-1.5 * delay),
            samples(0.2),
        )
        for delay in delays
    ]
    kept = starts < n
    return place(
        n,
        [crash_at, *starts[kept]],
        [crash, *(s for s, keep in zip(shards, kept, strict=True) if keep)],
    )
