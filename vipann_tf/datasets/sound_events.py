"""The sound events of each task, and how a clip is mixed from them.

Classes of a task overlap on purpose: alarms that sweep like sirens, loaded saws that drone like
engines, steps on boards that sound like knocks, crickets and telephones that both trill, surf and
vacuum cleaners that both just hiss. With background noise down to `SNR_DB[0]`, some clips have no
certain answer even for a perfect listener. A model should report this aleatoric uncertainty.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from vipann_tf.datasets import sound_impacts, sound_noises, sound_ood, sound_tonal
from vipann_tf.datasets.sound_waveforms import (
    LOWEST_HZ,
    RATE_HZ,
    filtered,
    log_uniform,
    reverberated,
    samples,
    wander,
    white_noise,
)

__all__ = ["EVENTS", "PEAK_DB", "RATE_HZ", "SNR_DB", "SPAN", "SoundEvent", "mixture"]

SoundEvent = Callable[[np.random.Generator, int], np.ndarray]
"""(generator, length in samples) -> float32 `[n]` at `RATE_HZ`, of arbitrary level."""

EVENTS: Mapping[str, Mapping[str, SoundEvent]] = {
    "multilabel": {
        "alarm": sound_tonal.alarm,
        "bell": sound_tonal.bell,
        "bird chirp": sound_tonal.bird_chirp,
        "clock tick": sound_impacts.clock_tick,
        "dog bark": sound_impacts.dog_bark,
        "door knock": sound_impacts.door_knock,
        "engine": sound_tonal.engine,
        "footsteps": sound_impacts.footsteps,
        "mouse click": sound_impacts.mouse_click,
        "rain": sound_noises.rain,
        "saw": sound_tonal.saw,
        "siren": sound_tonal.siren,
        "water drip": sound_impacts.water_drip,
        "wind": sound_noises.wind,
    },
    "multiclass": {
        "cricket": sound_tonal.cricket,
        "glass break": sound_impacts.glass_break,
        "hand clap": sound_impacts.hand_clap,
        "helicopter": sound_noises.helicopter,
        "sea waves": sound_noises.sea_waves,
        "telephone": sound_tonal.telephone,
        "thunder": sound_noises.thunder,
        "typing": sound_impacts.typing,
        "vacuum cleaner": sound_noises.vacuum_cleaner,
        "whistle": sound_tonal.whistle,
    },
    "ood": {
        "morse code": sound_ood.morse_code,
        "plucked string": sound_ood.plucked_string,
        "sonar": sound_ood.sonar,
        "speech babble": sound_ood.speech_babble,
        "synth glissando": sound_ood.synth_glissando,
    },
}
"""Per task: its events by label, in label order. No label is in two tasks."""

PEAK_DB = (-20.0, -1.0)  # peak of a clip, relative to full scale
SNR_DB = (0.0, 30.0)  # level of the loudest event while it sounds, relative to the background
EVENT_LEVEL_DB = (-10.0, 0.0)  # level of each event of a mixture
SPAN = (0.6, 1.0)  # share of the clip that an event takes
REVERBERANT_SHARE = 0.6
FRAME_SAMPLES = 640


def _sounding_rms(waveform: np.ndarray) -> float:
    """Compute the RMS over the frames of 20 ms within 20 dB of the loudest: silence is left out."""
    whole = len(waveform) // FRAME_SAMPLES * FRAME_SAMPLES
    power = np.square(waveform[:whole]).reshape(-1, FRAME_SAMPLES).mean(axis=-1)
    return math.sqrt(float(power[power >= 0.01 * power.max()].mean())) + 1e-12


def _background(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make ambient noise of random colour and slow changes, RMS about 1, float32 `[n]`."""
    noise = white_noise(rng, n)
    dull = filtered(noise, "low", log_uniform(rng, 60.0, 1500.0))
    dull = filtered(dull, "high", LOWEST_HZ)
    noise = dull / dull.std() + np.float32(rng.uniform(0.02, 0.7)) * noise
    noise *= wander(rng, n, 0.7, 0.6, 1.0)
    return noise / noise.std()


def _event_in_clip(rng: np.random.Generator, event: SoundEvent, n: int) -> np.ndarray:
    """Place an event, faded and of sounding RMS 1, in a random span of silence, float32 `[n]`."""
    length = int(rng.uniform(*SPAN) * n)
    start = int(rng.integers(0, n - length + 1))
    waveform = np.asarray(event(rng, length), np.float32)
    fade = np.linspace(0, 1, samples(rng.uniform(0.005, 0.15)), dtype=np.float32)
    waveform[: len(fade)] *= fade
    waveform[-len(fade) :] *= fade[::-1]
    clip = np.zeros(n, np.float32)
    clip[start : start + length] = waveform / np.float32(_sounding_rms(waveform))
    return clip


def mixture(rng: np.random.Generator, events: Sequence[SoundEvent], n: int) -> np.ndarray:
    """Mix one clip: events at random times and levels, in one room, over background noise.

    Args:
      rng: random generator; all randomness comes from it.
      events: one or more.
      n: length in samples at `RATE_HZ`, 1 s or more.

    Returns:
      float32 `[n]`, peak within `PEAK_DB`.
    """
    clip = np.zeros(n, np.float32)
    loudest = int(rng.integers(len(events)))
    for k, event in enumerate(events):
        level_db = rng.uniform(*EVENT_LEVEL_DB) if k != loudest else EVENT_LEVEL_DB[1]
        clip += np.float32(10 ** (level_db / 20)) * _event_in_clip(rng, event, n)
    if rng.random() < REVERBERANT_SHARE:
        clip = reverberated(rng, clip, log_uniform(rng, 0.15, 1.2), log_uniform(rng, 0.05, 0.8))
    clip += np.float32(10 ** (-rng.uniform(*SNR_DB) / 20)) * _background(rng, n)
    peak = float(np.abs(clip).max())
    return clip * np.float32(10 ** (rng.uniform(*PEAK_DB) / 20) / peak)
