"""Building blocks of sound synthesis: tones, modes, noises, onsets and rooms, vectorised.

Everything is computed at `RATE_HZ`; amplitudes are linear, frequencies in Hz, times in seconds,
waveforms float32 `[samples]`. Random functions take the generator as their first argument and
use no other.
"""

import math
from collections.abc import Iterable

import numpy as np
from scipy import signal

__all__ = [
    "LOWEST_HZ",
    "RATE_HZ",
    "arch",
    "decaying_modes",
    "exponential_decay",
    "filtered",
    "harmonic_tone",
    "log_uniform",
    "onsets",
    "phase_of",
    "place",
    "reverberated",
    "samples",
    "series",
    "sweep",
    "times",
    "tone",
    "wander",
    "white_noise",
]

RATE_HZ = 32_000
LOWEST_HZ = 30.0  # microphones record little below it, and it would use up the headroom
TABLE_SAMPLES = 16_384  # one period of a tone; nearest lookup is then 34 dB down at harmonic 100
MODE_BLOCK_SAMPLES = 256


def samples(seconds: float) -> int:
    """Return the length in samples of a duration, at least 1."""
    return max(1, round(seconds * RATE_HZ))


def times(n: int) -> np.ndarray:
    """Return the time of each of `n` samples, in seconds, float32."""
    return np.arange(n, dtype=np.float32) / np.float32(RATE_HZ)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform, as suits pitches and rates."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def white_noise(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw white noise of standard deviation 1, float32 `[n]`.

    It is uniform, not Gaussian: four times as fast to draw, not distinguishable by ear, and nearly
    Gaussian after any filter.
    """
    noise = rng.random(n, dtype=np.float32)
    noise -= np.float32(0.5)
    noise *= np.float32(math.sqrt(12))
    return noise


def wander(
    rng: np.random.Generator, n: int, points_per_s: float, low: float, high: float
) -> np.ndarray:
    """Draw a slow control signal in `[low, high]`: straight lines between uniform points.

    Args:
      rng: random generator.
      n: length in samples.
      points_per_s: number of random points per second.
      low: least value.
      high: greatest value.

    Returns:
      float32 `[n]`.
    """
    step = max(2, round(RATE_HZ / points_per_s))
    points = rng.uniform(low, high, n // step + 2).astype(np.float32)
    ramp = np.arange(step, dtype=np.float32) / np.float32(step)
    lines = points[:-1, None] + np.diff(points)[:, None] * ramp  # [points, step]
    return lines.reshape(-1)[:n]


def sweep(low_hz: float, high_hz: float, position: np.ndarray) -> np.ndarray:
    """Return the frequency at `position` in [0, 1] between two pitches, linear in octaves."""
    return np.float32(low_hz) * np.exp(np.float32(math.log(high_hz / low_hz)) * position)


def phase_of(freq_hz: np.ndarray | float, n: int | None = None) -> np.ndarray:
    """Return the running phase, in periods modulo 1, of an instantaneous frequency.

    The sum is in float64: a float32 sum would detune a high tone within seconds.

    Args:
      freq_hz: `[n]`, or one constant frequency.
      n: length in samples where `freq_hz` is constant.

    Returns:
      float32 `[n]` in `[0, 1]`.
    """
    if n is not None:
        periods = np.arange(n) * (float(freq_hz) / RATE_HZ)
    else:
        periods = np.cumsum(freq_hz, dtype=np.float64) / RATE_HZ
    return (periods - np.floor(periods)).astype(np.float32)


def tone(freq_hz: np.ndarray | float, n: int | None = None) -> np.ndarray:
    """Return a sine of amplitude 1 that follows `freq_hz` (see `phase_of`), float32 `[n]`."""
    return np.sin(np.float32(2 * math.pi) * phase_of(freq_hz, n))


def series(count: int, slope: float) -> np.ndarray:
    """Return the amplitudes `h ** -slope` of harmonics `h = 1..count`, `[count]`."""
    return np.arange(1, count + 1) ** -float(slope)


def harmonic_tone(phase: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    """Make a periodic tone by table lookup, band limited by the number of its harmonics.

    Args:
      phase: `[n]` in periods, as `phase_of` gives it.
      amplitudes: `[harmonics]`, or complex to set phases too. Harmonics above half of `RATE_HZ`
        alias, so the caller gives no more than the highest pitch allows.

    Returns:
      float32 `[n]`.
    """
    spectrum = np.zeros(TABLE_SAMPLES // 2 + 1, np.complex128)
    spectrum[1 : len(amplitudes) + 1] = -0.5j * TABLE_SAMPLES * np.asarray(amplitudes)
    table = np.fft.irfft(spectrum).astype(np.float32)
    index = (phase * np.float32(TABLE_SAMPLES)).astype(np.int32)
    return table.take(index, mode="wrap")


def decaying_modes(
    freqs_hz: Iterable[float], t60s_s: Iterable[float], amplitudes: Iterable[float], n: int
) -> np.ndarray:
    """Sum exponentially decaying sines, like those of a struck body (modal synthesis).

    With `z = exp(-ln(1000) / (t60 rate) + 2 pi i f / rate)`, sample `j B + k` of a mode is the
    imaginary part of `z^(j B) z^k`, so that all modes together are one matrix product.

    Args:
      freqs_hz: `[modes]`.
      t60s_s: `[modes]`, time in which a mode falls by 60 dB, s.
      amplitudes: `[modes]`.
      n: length in samples.

    Returns:
      float32 `[n]`.
    """
    freqs = np.asarray(list(freqs_hz), np.float64)
    decays = math.log(1000) / np.asarray(list(t60s_s), np.float64)
    log_z = (-decays + 2j * math.pi * freqs) / RATE_HZ
    blocks = -(-n // MODE_BLOCK_SAMPLES)
    coarse = np.exp(np.outer(np.arange(blocks) * MODE_BLOCK_SAMPLES, log_z))  # [blocks, modes]
    fine = np.exp(np.outer(log_z, np.arange(MODE_BLOCK_SAMPLES)))  # [modes, block]
    fine *= np.asarray(list(amplitudes), np.float64)[:, None]
    coarse, fine = coarse.astype(np.complex64), fine.astype(np.complex64)
    return (coarse @ fine).imag.reshape(-1)[:n]


def exponential_decay(n: int, t60_s: float) -> np.ndarray:
    """Return an envelope that falls by 60 dB in `t60_s`, float32 `[n]`."""
    return np.exp(times(n) * np.float32(-math.log(1000) / t60_s))


def filtered(waveform: np.ndarray, kind: str, freq_hz: float, q: float = 0.707) -> np.ndarray:
    """Filter a waveform by a second-order filter (Bristow-Johnson, Audio EQ Cookbook).

    Args:
      waveform: `[n]`.
      kind: "low" or "high" pass with its corner at `freq_hz`, or "band" pass with gain 1 there.
      freq_hz: below half of `RATE_HZ`.
      q: quality factor: `freq_hz` over the bandwidth of "band".

    Returns:
      float32 `[n]`.
    """
    omega = 2 * math.pi * freq_hz / RATE_HZ
    cosine, alpha = math.cos(omega), math.sin(omega) / (2 * q)
    numerator = {
        "low": [(1 - cosine) / 2, 1 - cosine, (1 - cosine) / 2],
        "high": [(1 + cosine) / 2, -(1 + cosine), (1 + cosine) / 2],
        "band": [alpha, 0.0, -alpha],
    }[kind]
    # In float64: a float32 recursion is noisy where the corner is far below the rate.
    denominator = [1 + alpha, -2 * cosine, 1 - alpha]
    return signal.lfilter(numerator, denominator, waveform.astype(np.float64)).astype(np.float32)


def onsets(rng: np.random.Generator, n: int, interval_s: float, jitter: float) -> np.ndarray:
    """Draw onsets of repeated events: one within the first interval, then one after each interval.

    Args:
      rng: random generator.
      n: length of the waveform in samples.
      interval_s: mean interval, s.
      jitter: standard deviation of an interval relative to `interval_s`; an interval is never
        shorter than a tenth of `interval_s`.

    Returns:
      int `[events]`, increasing, below `n`; at least one.
    """
    count = max(1, int(2 * n / (interval_s * RATE_HZ)) + 2)
    intervals = np.maximum(1 + jitter * rng.standard_normal(count), 0.1)
    intervals[0] = 0.0
    first_s = rng.uniform(0.0, min(interval_s, 0.5 * n / RATE_HZ))
    starts = ((first_s + np.cumsum(intervals) * interval_s) * RATE_HZ).astype(int)
    return starts[starts < n]


def place(n: int, starts: Iterable[int], grains: Iterable[np.ndarray]) -> np.ndarray:
    """Add each grain to silence at its start; samples beyond the end are cut.

    Args:
      n: length in samples.
      starts: `[events]`, below `n`.
      grains: as many waveforms, of any lengths.

    Returns:
      float32 `[n]`.
    """
    out = np.zeros(n, np.float32)
    for start, grain in zip(starts, grains, strict=False):
        stop = min(n, start + len(grain))
        out[start:stop] += grain[: stop - start]
    return out


def arch(n: int, power: float) -> np.ndarray:
    """Return an envelope that rises from 0 and falls to 0: a half sine to a power, `[n]`."""
    # Points between the zeros: float32 pi is past pi, and a negative base has no real power.
    return np.sin((np.arange(n, dtype=np.float32) + 0.5) * np.float32(math.pi / n)) ** power


def reverberated(rng: np.random.Generator, dry: np.ndarray, t60_s: float, wet: float) -> np.ndarray:
    """Put a waveform into a room: direct sound and an exponentially decaying tail of noise.

    The tail is white noise times an exponential (Moorer, "About this reverberation business",
    1979), duller than white because air and walls absorb the treble, cut where it is 40 dB down.

    Args:
      rng: random generator.
      dry: `[n]`.
      t60_s: reverberation time, s.
      wet: energy of the tail relative to the direct sound.

    Returns:
      float32 `[n]`.
    """
    tail_length = samples(t60_s * 2 / 3)
    tail = white_noise(rng, tail_length) * exponential_decay(tail_length, t60_s)
    tail = filtered(tail, "low", rng.uniform(3000.0, 9000.0))
    tail *= math.sqrt(wet / float(np.square(tail).sum()))
    gap = samples(rng.uniform(0.003, 0.02))
    tail = np.concatenate([np.zeros(gap, np.float32), tail])
    return dry + signal.oaconvolve(dry, tail)[: len(dry)]
