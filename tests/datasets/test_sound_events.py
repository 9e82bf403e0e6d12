"""Each sound has the spectrum and the rhythm of what it is named after, seen from outside."""

import math

import numpy as np
import pytest
from scipy import signal

from vipann_tf.datasets import sound_events, sound_impacts, sound_noises, sound_ood, sound_tonal
from vipann_tf.datasets.sound_events import EVENTS, PEAK_DB, RATE_HZ, SNR_DB, SPAN, mixture

ALL = [(task, label) for task in EVENTS for label in EVENTS[task]]
SECONDS = 3
SEEDS = range(6)


def render(event, seed, seconds=SECONDS):
    return event(np.random.default_rng(seed), seconds * RATE_HZ)


def power_spectrum(waveform):
    """Frequencies, Hz, and share of the power in each."""
    freqs, power = signal.welch(waveform, RATE_HZ, nperseg=2048)
    return freqs, power / power.sum()


def centroid_hz(waveform):
    freqs, share = power_spectrum(waveform)
    return float((freqs * share).sum())


def share_within(waveform, low_hz, high_hz):
    freqs, share = power_spectrum(waveform)
    return float(share[(freqs >= low_hz) & (freqs <= high_hz)].sum())


def envelope_rate_hz(waveform, low_hz, high_hz):
    """The strongest modulation of the power between two rates."""
    power = np.square(waveform).reshape(-1, 32).mean(axis=-1)  # 1 kHz
    modulation = np.abs(np.fft.rfft(power - power.mean(), 16_384))
    rates = np.fft.rfftfreq(16_384, 1e-3)
    allowed = (rates >= low_hz) & (rates <= high_hz)
    return float(rates[allowed][np.argmax(modulation[allowed])])


def attacks_s(waveform, rest_s):
    """Times at which the power, in frames of 2 ms, jumps out of at least `rest_s` of quiet."""
    power = np.square(waveform[: len(waveform) // 64 * 64]).reshape(-1, 64).mean(axis=-1)
    loud = np.flatnonzero(power > 0.02 * power.max())
    first = np.concatenate([[True], np.diff(loud) * 0.002 > rest_s])
    return loud[first] * 0.002


def test_tasks_have_disjoint_labels_in_order():
    assert len(EVENTS["multilabel"]) >= 12
    assert len(EVENTS["multiclass"]) >= 8
    assert len(EVENTS["ood"]) >= 4
    labels = [label for _, label in ALL]
    assert len(set(labels)) == len(labels) >= 24
    for events in EVENTS.values():
        assert list(events) == sorted(events)
    functions = [event for events in EVENTS.values() for event in events.values()]
    assert len(set(functions)) == len(functions)


@pytest.mark.parametrize(("task", "label"), ALL)
def test_every_event_is_sound_at_any_length(task, label):
    event = EVENTS[task][label]
    shortest = int(SPAN[0] * RATE_HZ)  # what mixture asks for in a clip of 1 s
    for seed in range(30):
        n = 50_123 if seed < 3 else shortest
        waveform = event(np.random.default_rng(seed), n)
        assert waveform.shape == (n,)
        assert np.isfinite(waveform).all()
        assert waveform.std() > 1e-4
        # Sound pressure has no constant part, and no ear or microphone hears one.
        assert abs(waveform.mean()) < 0.1 * waveform.std()


@pytest.mark.parametrize(("task", "label"), ALL)
def test_every_event_depends_on_its_generator_alone(task, label):
    event = EVENTS[task][label]
    first = event(np.random.default_rng(1), 40_000)
    np.random.seed(0)
    np.testing.assert_array_equal(event(np.random.default_rng(1), 40_000), first)
    assert np.abs(event(np.random.default_rng(2), 40_000) - first).max() > 1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_bell_rings_at_the_partials_of_one_prime(seed):
    """For some prime the eight partials hold nearly all the power, each of them some."""
    waveform = render(sound_tonal.bell, seed)
    power = np.square(np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))))
    freqs = np.fft.rfftfreq(len(waveform), 1 / RATE_HZ)
    power /= power.sum()

    def shares(prime):
        edges = np.outer(sound_tonal.BELL_PARTIALS, [0.985, 1.015]) * prime
        return np.array([power[(freqs > low) & (freqs < high)].sum() for low, high in edges])

    low, high = sound_tonal.BELL_PRIME_HZ
    best = max((shares(p) for p in np.geomspace(low, high, 250)), key=np.sum)
    assert best.sum() > 0.8
    assert np.count_nonzero(best > 1e-4) >= 6


@pytest.mark.parametrize("seed", SEEDS)
def test_siren_sweeps_within_its_range(seed):
    waveform = render(sound_tonal.siren, seed, 5)
    freqs, _, spectrum = signal.stft(waveform, RATE_HZ, nperseg=2048)
    pitch = freqs[np.abs(spectrum).argmax(axis=0)][2:-2]
    low, high = sound_tonal.SIREN_HZ
    bin_hz = freqs[1]
    assert low - 2 * bin_hz <= pitch.min() and pitch.max() <= high + 2 * bin_hz
    assert pitch.max() / pitch.min() > 1.25


@pytest.mark.parametrize("seed", SEEDS)
def test_clock_ticks_evenly_within_its_range(seed):
    ticks = attacks_s(render(sound_impacts.clock_tick, seed, 5), rest_s=0.1)
    intervals = np.diff(ticks)
    low, high = sound_impacts.CLOCK_RATE_HZ
    assert 0.97 * low <= 1 / intervals.mean() <= 1.03 * high
    assert intervals.std() < 0.02 * intervals.mean() + 0.002


def test_mouse_clicks_come_unevenly_in_pairs():
    irregularities = []
    for seed in SEEDS:
        clicks = attacks_s(render(sound_impacts.mouse_click, seed, 5), rest_s=0.03)
        gaps = np.diff(clicks)
        assert ((gaps > 0.04) & (gaps < 0.14)).sum() >= len(clicks) // 4
        irregularities.append(gaps.std() / gaps.mean())
    assert np.mean(irregularities) > 0.4


@pytest.mark.parametrize("seed", SEEDS)
def test_drips_rise_in_pitch(seed):
    waveform = render(sound_impacts.water_drip, seed)
    start = round(attacks_s(waveform, rest_s=0.1)[0] * RATE_HZ)
    bubble = waveform[start + 640 : start + 640 + 1280]  # 40 ms, past most of the impact
    analytic = signal.hilbert(bubble)
    pitch = np.diff(np.unwrap(np.angle(analytic))) * RATE_HZ / (2 * math.pi)
    assert np.median(pitch[900:1200]) > 1.05 * np.median(pitch[100:400])


@pytest.mark.parametrize("seed", SEEDS)
def test_helicopter_is_chopped_by_its_blades(seed):
    waveform = render(sound_noises.helicopter, seed)
    assert 8.5 <= envelope_rate_hz(waveform, 4.0, 30.0) <= 23.0


@pytest.mark.parametrize(
    ("event", "low_hz", "high_hz", "share"),
    [
        (sound_tonal.bird_chirp, 1300, 15_000, 0.95),
        (sound_tonal.cricket, 2400, 13_000, 0.95),
        (sound_impacts.glass_break, 1500, 16_000, 0.8),
        (sound_noises.rain, 1000, 16_000, 0.8),
        (sound_noises.thunder, 0, 1500, 0.7),
        (sound_noises.wind, 0, 2500, 0.9),
        (sound_tonal.whistle, 600, 3200, 0.85),
        (sound_tonal.engine, 0, 2000, 0.8),
        (sound_impacts.door_knock, 80, 4000, 0.8),
        (sound_impacts.dog_bark, 100, 6000, 0.8),
    ],
)
def test_power_lies_where_the_sound_has_it(event, low_hz, high_hz, share):
    for seed in SEEDS:
        assert share_within(render(event, seed), low_hz, high_hz) > share, seed


def test_saw_is_brighter_than_an_engine_in_most_cases():
    saws = [centroid_hz(render(sound_tonal.saw, seed, 1)) for seed in range(12)]
    engines = [centroid_hz(render(sound_tonal.engine, seed, 1)) for seed in range(12)]
    assert np.median(saws) > 3 * np.median(engines)
    assert min(saws) < max(engines)  # the shared form


def test_crickets_and_telephones_share_a_form():
    """A gong rings below 2.4 kHz; the shared trill has nothing there."""
    telephones = [render(sound_tonal.telephone, seed, 1) for seed in range(200)]
    trills = np.mean([share_within(phone, 0, 2000) < 0.01 for phone in telephones])
    p = sound_tonal.SHARED_CASE
    assert trills == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 200))


def test_pluck_is_the_karplus_strong_string():
    """Harmonics of the recursion itself decay at the rates of the closed form."""
    period = 160  # the two-point average delays by half a sample more
    pitch = RATE_HZ / (period + 0.5)
    loop = np.zeros(period + 2)
    loop[0] = 1
    loop[period:] = -0.5 * sound_ood.STRING_LOSS
    burst = np.zeros(RATE_HZ)
    burst[:period] = np.random.default_rng(0).uniform(-1, 1, period)
    string = signal.lfilter([1.0], loop, burst)
    note = sound_ood.pluck(pitch, 0.23, RATE_HZ)

    def decays_db(waveform):
        window, gap = 10 * 321, 20 * 321  # whole numbers of periods
        t = np.arange(window) / RATE_HZ
        levels = []
        for h in (1, 3, 10, 16):
            probe = np.exp(-2j * math.pi * h * pitch * t)
            parts = [np.abs(probe @ waveform[s : s + window]) for s in (640, 640 + gap)]
            levels.append(20 * math.log10(parts[1] / parts[0]))
        return levels

    np.testing.assert_allclose(decays_db(note), decays_db(string), rtol=0.03, atol=0.1)


def test_mixture_levels():
    rng = np.random.default_rng(8)
    peaks = []
    for events in ([sound_tonal.siren], [sound_tonal.bell, sound_noises.rain, sound_tonal.saw]):
        for _ in range(15):
            clip = mixture(rng, events, RATE_HZ + 7)
            assert clip.dtype == np.float32 and clip.shape == (RATE_HZ + 7,)
            peaks.append(20 * math.log10(np.abs(clip).max()))
    assert PEAK_DB[0] - 0.01 <= min(peaks) and max(peaks) <= PEAK_DB[1] + 0.01
    assert max(peaks) - min(peaks) > 10


def test_mixture_signal_to_noise_ratio(monkeypatch):
    """A pure tone as the event: what is not at its frequency is the background."""
    monkeypatch.setattr(sound_events, "REVERBERANT_SHARE", 0.0)
    monkeypatch.setattr(sound_events, "SPAN", (1.0, 1.0))
    n, freq = 2 * RATE_HZ, 5000

    def pure(rng, length):
        return np.sin(2 * np.pi * freq * np.arange(length) / RATE_HZ)

    ratios = []
    for seed in range(30):
        power = np.square(np.abs(np.fft.rfft(mixture(np.random.default_rng(seed), [pure], n))))
        at = slice(2 * freq - 40, 2 * freq + 41)  # the fades widen the line
        ratios.append(10 * math.log10(power[at].sum() / (power.sum() - power[at].sum())))
    assert SNR_DB[0] - 1.5 < min(ratios) and max(ratios) < SNR_DB[1] + 1.5
    # Mean and deviation of a uniform law over the range, at four standard errors of 30 draws.
    width = SNR_DB[1] - SNR_DB[0]
    assert np.mean(ratios) == pytest.approx(sum(SNR_DB) / 2, abs=4 * width / math.sqrt(12 * 30) + 1)
    assert np.std(ratios) > width / math.sqrt(12) / 2


def test_mixture_keeps_every_event_audible():
    """Two tones: the weaker is at most as far below the louder as the levels allow."""

    def at(freq):
        return lambda rng, n: np.sin(2 * np.pi * freq * np.arange(n) / RATE_HZ)

    for seed in range(10):
        clip = mixture(np.random.default_rng(seed), [at(3000), at(5000)], 2 * RATE_HZ)
        power = np.square(np.abs(np.fft.rfft(clip)))
        levels = [10 * math.log10(power[2 * f - 60 : 2 * f + 61].sum()) for f in (3000, 5000)]
        # Spans differ by at most 0.6 : 1 in length, 2.2 dB; rooms colour by a few dB more.
        assert abs(levels[0] - levels[1]) < -sound_events.EVENT_LEVEL_DB[0] + 2.2 + 3
