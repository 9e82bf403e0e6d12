"""Tonal sound events: pitched sources, by sweeps, harmonic tables and modal synthesis.

Each event is a function of (generator, length in samples) that returns float32 `[n]` of arbitrary
level; all pitches, rates and timbres are drawn for each sound. Ranges are those of real sounds.
"""

import math

import numpy as np

from vipann_tf.datasets.sound_waveforms import (
    RATE_HZ,
    arch,
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
    sweep,
    tone,
    wander,
    white_noise,
)

__all__ = [
    "alarm",
    "bell",
    "bird_chirp",
    "cricket",
    "engine",
    "saw",
    "siren",
    "telephone",
    "whistle",
]

SIREN_HZ = (500.0, 1600.0)
BELL_PRIME_HZ = (180.0, 900.0)
# Partials of a tuned church bell relative to its prime: hum, prime, minor third, fifth, nominal,
# tenth, twelfth, double octave (Fletcher and Rossing, The Physics of Musical Instruments, ch. 21).
BELL_PARTIALS = (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0)
SHARED_CASE = 0.25  # probability that an event takes a form that it shares with another class


def _gate(phase: np.ndarray, duty: float) -> np.ndarray:
    """Return 1 in the first `duty` of each period, else 0, with edges of 4 % of a period."""
    edge = np.float32(0.04)
    rise = np.clip(phase / edge, 0, 1)
    return rise * np.clip((np.float32(duty) - phase) / edge + 1, 0, 1)


def siren(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a siren: its pitch swings between two values within `SIREN_HZ`, slowly or fast."""
    low = rng.uniform(SIREN_HZ[0], 750.0)
    high = rng.uniform(1000.0, SIREN_HZ[1])
    phase = phase_of(1 / log_uniform(rng, 0.35, 4.5), n) + np.float32(rng.random())
    if rng.random() < 0.5:
        position = 0.5 - 0.5 * np.cos(np.float32(2 * math.pi) * phase)
    else:
        position = np.abs(2 * (phase % 1) - 1)
    return harmonic_tone(phase_of(sweep(low, high, position)), series(9, rng.uniform(0.9, 2.0)))


def alarm(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make an alarm: beeps, two alternating tones, or (shared with the siren) fast sweeps."""
    pitch = log_uniform(rng, 900.0, 3200.0)
    phase = (phase_of(log_uniform(rng, 1.2, 6.0), n) + np.float32(rng.random())) % 1
    harmonics = series(int(15_000 / (1.4 * pitch)), rng.uniform(0.7, 2.0))
    harmonics[1::2] *= rng.uniform(0.0, 0.5)
    form = rng.random()
    if form < SHARED_CASE:
        return siren(rng, n)
    if form < 0.6:
        groups = _gate(phase_of(log_uniform(rng, 0.4, 0.8), n), rng.uniform(0.6, 1.2))
        return harmonic_tone(phase_of(pitch, n), harmonics) * _gate(phase, 0.5) * groups
    second = pitch * rng.choice([1.19, 1.26, 1.33])
    freq = np.where(phase < 0.5, np.float32(pitch), np.float32(second))
    return harmonic_tone(phase_of(freq), harmonics)


def bell(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a church bell, struck about once per second: each of `BELL_PARTIALS` is a split pair."""
    prime = log_uniform(rng, *BELL_PRIME_HZ)
    ratios = np.asarray(BELL_PARTIALS)
    # High partials die sooner; the two modes of a pair beat, which is the bell's warble.
    t60s = rng.uniform(3.0, 7.0) / ratios ** rng.uniform(0.7, 1.1)
    amplitudes = np.array([0.7, 0.6, 0.9, 0.3, 1.0, 0.4, 0.5, 0.3]) * rng.uniform(0.5, 1.3, 8)
    split = 1 + rng.uniform(0.0005, 0.003, 8)
    freqs = np.concatenate([prime * ratios, prime * ratios * split])
    starts = onsets(rng, n, rng.uniform(0.7, 2.2), 0.03)
    strike = decaying_modes(
        freqs, np.tile(t60s, 2), np.concatenate([amplitudes, 0.5 * amplitudes]), n - starts[0]
    )
    clapper = white_noise(rng, samples(0.02)) * exponential_decay(samples(0.02), 0.02)
    strike[: len(clapper)] += rng.uniform(0.3, 1.0) * clapper[: len(strike)]
    return place(n, starts, (strike * gain for gain in rng.uniform(0.6, 1.0, len(starts))))


def engine(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make an engine: a firing rate of 25-110 Hz, and weak harmonics of a quarter of it."""
    firing = log_uniform(rng, 25.0, 110.0)
    freq = firing * wander(rng, n, rng.uniform(0.4, 2.0), 0.92, 1.1)
    cylinders = 4
    amplitudes = series(cylinders * 70, rng.uniform(0.9, 1.4))
    amplitudes *= np.exp(0.5 * rng.standard_normal(len(amplitudes)))
    uneven = np.arange(1, len(amplitudes) + 1) % cylinders != 0
    amplitudes[uneven] *= rng.uniform(0.05, 0.4)
    phase = phase_of(freq / cylinders)
    hum = harmonic_tone(phase, amplitudes * np.exp(2j * math.pi * rng.random(len(amplitudes))))
    hiss = filtered(white_noise(rng, n), "low", rng.uniform(400.0, 2000.0))
    return hum + np.float32(rng.uniform(0.1, 0.6) * hum.std() / hiss.std()) * hiss


def saw(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a circular saw: a bright buzz of 80-400 Hz that falls in pitch and hisses under load."""
    if rng.random() < SHARED_CASE:
        return engine(rng, n)
    load = wander(rng, n, rng.uniform(0.6, 2.5), 0.0, 1.0)
    pitch = log_uniform(rng, 80.0, 400.0)
    amplitudes = series(int(12_000 / pitch), rng.uniform(0.3, 0.8))
    amplitudes *= np.exp(0.4 * rng.standard_normal(len(amplitudes)))
    buzz = harmonic_tone(
        phase_of(np.float32(pitch) * (1 - np.float32(0.25) * load)),
        amplitudes * np.exp(2j * math.pi * rng.random(len(amplitudes))),
    )
    hiss = filtered(white_noise(rng, n), "band", rng.uniform(3000.0, 7000.0), 0.8)
    return buzz + np.float32(rng.uniform(0.5, 2.0) * buzz.std() / hiss.std()) * hiss * load


def bird_chirp(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a bird: phrases of 2-9 equal chirps, each a fast glide within 1.4-7 kHz."""
    starts, grains = [], []
    centre = log_uniform(rng, 2300.0, 4500.0)
    for phrase in onsets(rng, n, rng.uniform(0.8, 2.0), 0.25):
        chirp_s = log_uniform(rng, 0.04, 0.16)
        length = samples(chirp_s)
        ends = centre * np.exp(rng.uniform(-0.3, 0.3, 2))
        bend = rng.uniform(-0.15, 0.15) * np.sin(np.linspace(0, math.pi, length))
        freq = np.linspace(ends[0], ends[1], length) * (1 + bend)
        chirp = (tone(freq) + 0.15 * tone(2 * freq)) * arch(length, 1.0)
        for k in range(rng.integers(2, 10)):
            start = phrase + round(k * length * 1.5)
            if start < n:
                starts.append(start)
                grains.append(chirp)
    return place(n, starts, grains)


def whistle(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a person whistling: an almost pure tone of 700-2800 Hz that glides, with breath."""
    centre = log_uniform(rng, 900.0, 2100.0)
    notes = wander(rng, n, rng.uniform(1.0, 4.0), 0.78, 1.33)
    vibrato = 1 + np.float32(rng.uniform(0.0, 0.02)) * tone(rng.uniform(4.5, 7.0), n)
    breath = filtered(white_noise(rng, n), "band", centre, 1.5)
    phrases = np.clip(3 * wander(rng, n, rng.uniform(1.0, 3.0), 0.0, 1.0), 0, 1)
    return (tone(np.float32(centre) * notes * vibrato) + rng.uniform(0.03, 0.3) * breath) * phrases


def _trill(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a trilled high tone, like some crickets and some electronic telephones."""
    carrier = tone(log_uniform(rng, 2500.0, 4500.0), n)
    pulses = _gate(phase_of(log_uniform(rng, 14.0, 30.0), n), 0.5)
    calls = _gate(phase_of(log_uniform(rng, 0.5, 1.5), n), 0.5)
    return carrier * pulses * calls


def cricket(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a cricket: chirps of 2-5 pulses of a tone of 3-6 kHz, or (shared) a trill."""
    if rng.random() < SHARED_CASE:
        return _trill(rng, n)
    carrier = log_uniform(rng, 3200.0, 6000.0)
    pulse = samples(rng.uniform(0.012, 0.022))
    grain = (tone(carrier, pulse) + 0.1 * tone(2 * carrier, pulse)) * arch(pulse, 0.7)
    starts = onsets(rng, n, log_uniform(rng, 0.2, 0.7), 0.06)
    offsets = np.arange(rng.integers(2, 6)) * int(pulse * rng.uniform(1.4, 2.2))
    starts = (starts[:, None] + offsets).reshape(-1)
    starts = starts[starts < n]
    return place(n, starts, [grain] * len(starts))


def telephone(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a telephone: two small gongs, struck 18-28 times per second, or (shared) a trill."""
    if rng.random() < SHARED_CASE:
        return _trill(rng, n)
    ratios = np.array([1.0, 2.03, 2.76, 3.9, 5.4])
    low = log_uniform(rng, 850.0, 1500.0)
    grains = [
        decaying_modes(low * gong * ratios, 0.7 / ratios**0.5, series(5, 0.6), samples(0.3))
        for gong in (1.0, rng.uniform(1.1, 1.3))
    ]
    interval = RATE_HZ / rng.uniform(18.0, 28.0)
    starts = np.arange(rng.uniform(0, interval), n, interval).astype(int)
    order = np.arange(len(starts))
    ring_s, period_s = rng.uniform(0.6, 1.6), rng.uniform(2.0, 3.0)
    ringing = (starts / RATE_HZ + rng.uniform(0, 0.5 * ring_s)) % period_s < ring_s
    return place(n, starts[ringing], [grains[k % 2] for k in order[ringing]])
