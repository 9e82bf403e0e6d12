"""Sounds that no classifier here was trained on: music, speech, signals, by synthesis.

They stand for unknown sounds, about which a model should not be certain. Each event is a
function of (generator, length in samples) that returns float32 `[n]` of arbitrary level.
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
    times,
    tone,
    wander,
    white_noise,
)

__all__ = ["morse_code", "pluck", "plucked_string", "sonar", "speech_babble", "synth_glissando"]

STRING_LOSS = 0.995
MORSE = (".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..", ".---", "-.-", ".-..", "--")
# First three formants of English vowels, men and women averaged, Hz (Peterson and Barney, JASA
# 24, 1952, table II).
VOWELS_HZ = (
    (290, 2540, 3160), (410, 2235, 2810), (570, 2085, 2735), (760, 1885, 2630),
    (790, 1155, 2625), (580, 880, 2560), (455, 1090, 2460), (335, 910, 2455), (700, 1295, 2585),
)  # fmt: skip


def pluck(pitch_hz: float, pluck_point: float, n: int) -> np.ndarray:
    """Make one note of the Karplus-Strong string, in closed form.

    The two-point average in the string's loop multiplies harmonic h, once per period, by
    cos(pi f_h / rate) (Jaffe and Smith, Computer Music Journal 7(2), 1983): every harmonic is a
    decaying mode, and no loop over samples is needed. `STRING_LOSS` once per period is ours.

    Args:
      pitch_hz: fundamental.
      pluck_point: where the string is plucked, as a fraction of its length.
      n: length in samples.

    Returns:
      float32 `[n]`.
    """
    h = np.arange(1, min(50, int(14_000 / pitch_hz)) + 1)
    nepers_per_period = -np.log(STRING_LOSS * np.cos(math.pi * h * pitch_hz / RATE_HZ))
    t60s = math.log(1000) / (nepers_per_period * pitch_hz)
    return decaying_modes(h * pitch_hz, t60s, np.sin(math.pi * h * pluck_point) / h, n)


def plucked_string(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a melody on a plucked string, 2-5 notes per second of a pentatonic scale."""
    root, pluck_point = log_uniform(rng, 110.0, 330.0), rng.uniform(0.1, 0.4)
    starts = onsets(rng, n, rng.uniform(0.18, 0.5), 0.03)
    notes = rng.choice([0, 2, 4, 7, 9, 12, 14, 16], len(starts))
    return place(n, starts, (pluck(root * 2 ** (k / 12), pluck_point, RATE_HZ) for k in notes))


def speech_babble(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make babble of 1-3 talkers: vowels by formant filters, with fricatives between them."""
    out = np.zeros(n, np.float32)
    for _ in range(rng.integers(1, 4)):
        base, size = log_uniform(rng, 90.0, 230.0), rng.uniform(0.95, 1.15)
        glottis = harmonic_tone(phase_of(base * wander(rng, n, 4.0, 0.85, 1.25)), series(40, 1.3))
        starts = onsets(rng, n, 1 / rng.uniform(3.0, 5.5), 0.25)
        syllables = []
        for start in starts:
            voice = glottis[start : start + samples(rng.uniform(0.12, 0.3))]
            vowel = np.asarray(VOWELS_HZ[rng.integers(len(VOWELS_HZ))]) * size
            parts = [
                filtered(voice, "band", f, f / w)
                for f, w in zip(vowel, (70, 100, 150), strict=True)
            ]
            syllable = parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
            syllable *= arch(len(voice), 0.6)
            syllable /= syllable.std() + 1e-9
            if rng.random() < 0.4:
                hiss = white_noise(rng, samples(0.07)) * rng.uniform(0.1, 0.5)
                hiss = filtered(hiss, "high", rng.uniform(2500.0, 5000.0))
                syllable = np.concatenate([hiss, syllable])
            syllables.append(syllable)
        pauses = np.clip(4 * wander(rng, n, 1.2, 0.02, 1.0), 0, 1)
        out += place(n, starts, syllables) * pauses * np.float32(rng.uniform(0.3, 1.0))
    return out


def synth_glissando(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make frequency modulation (Chowning 1973) with gliding pitch and index: no natural source."""
    pitch = sweep(120.0, 1400.0, wander(rng, n, rng.uniform(0.5, 2.0), 0.0, 1.0))
    index = wander(rng, n, rng.uniform(0.5, 3.0), 0.5, 6.0)
    modulator_hz = pitch * np.float32(rng.choice([0.5, 1.0, 1.41, 2.0, 3.5]))
    # Carson's rule: sidebands reach about (index + 1) modulator_hz, and must not alias.
    index = np.minimum(index, 12_000 / modulator_hz - 1)
    phase = np.float32(2 * math.pi) * phase_of(pitch)
    tremolo = 1 + np.float32(rng.uniform(0.0, 0.8)) * tone(rng.uniform(2.0, 9.0), n)
    return np.sin(phase + index * tone(modulator_hz)) * tremolo


def sonar(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make a sonar: a ping of 600-1600 Hz and its echoes in a long, narrow-band reverberation."""
    pitch = log_uniform(rng, 600.0, 1600.0)
    length = samples(2.5)
    ping = decaying_modes([pitch], [rng.uniform(0.25, 0.6)], [1.0], length)
    tail = filtered(white_noise(rng, length), "band", pitch, 60.0)
    tail *= exponential_decay(length, rng.uniform(1.5, 3.0)) / tail.std()
    ping += rng.uniform(0.1, 0.3) * tail * np.minimum(times(length) / 0.1, 1)
    echo = samples(rng.uniform(0.3, 1.2))
    ping[echo:] += rng.uniform(0.1, 0.4) * ping[:-echo]
    starts = onsets(rng, n, rng.uniform(1.3, 2.6), 0.0)
    return place(n, starts, [ping] * len(starts))


def morse_code(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make Morse code on the radio: a keyed tone of 500-1000 Hz amid crackling static."""
    dot = rng.uniform(0.05, 0.1)
    units: list[tuple[bool, int]] = []  # (key down, length in dots)
    while sum(length for _, length in units) * dot * samples(1.0) < n:
        for sign in rng.choice(MORSE):
            units += [(True, 1 if sign == "." else 3), (False, 1)]
        units.append((False, int(rng.choice([2, 2, 6]))))
    key = np.repeat([down for down, _ in units], [samples(dot * length) for _, length in units])
    key = np.pad(key[:n].astype(np.float32), (0, max(0, n - len(key))))
    ramp = samples(0.004)
    key = np.convolve(key, np.full(ramp, 1 / ramp, np.float32), "same")[:n]
    static = filtered(white_noise(rng, n), "band", rng.uniform(1000.0, 2000.0), 0.7)
    static += 4.0 * place(
        n,
        onsets(rng, n, 0.25, 0.8),
        (static[: samples(0.01)] * gain for gain in rng.exponential(1.0, 200)),
    )
    fading = wander(rng, n, 1.5, 0.4, 1.0)
    return tone(rng.uniform(500.0, 1000.0), n) * key * fading + rng.uniform(0.1, 0.5) * static
