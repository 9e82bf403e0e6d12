"""Windows and recordings whose timeline is known, without a model."""

import numpy as np
import soundfile

from vipann_tf.saved_model.timeline import Window
from vipann_tf.timelines.picture import Heard

RATE = 32_000


def window(start_s, end_s, probabilities, epistemic=0.1, band=0.1):
    """A window whose band is as wide as given on either side; without a band if it is None."""
    probs = np.asarray(probabilities, np.float32)
    low, high = (probs - band, probs + band) if band is not None else (probs * np.nan,) * 2
    doubt = np.full_like(probs, epistemic)
    return Window(
        start_s, end_s, probs, low, high, doubt, doubt, epistemic + 0.4, 0.4, float(epistemic)
    )


def regular_windows(seconds, window_s, hop_s, probabilities, **options):
    """Windows as `sliding_windows` places them; `probabilities(i)` gives those of number i."""
    starts = [*np.arange(0, seconds - window_s + 1e-9, hop_s)]
    if starts[-1] + window_s < seconds - 1e-9:
        starts.append(seconds - window_s)
    return [window(s, s + window_s, probabilities(i), **options) for i, s in enumerate(starts)]


def burst_recording(path, seconds, bursts_s=(), rate=RATE, subtype="FLOAT"):
    """Write faint noise with loud bursts of 50 ms, and return the waveform."""
    rng = np.random.default_rng(3)
    samples = 0.003 * rng.normal(size=round(seconds * rate)).astype(np.float32)
    for begin_s in bursts_s:
        first = round(begin_s * rate)
        samples[first : first + rate // 20] += 0.3 * rng.normal(size=rate // 20).astype(np.float32)
    soundfile.write(path, samples, rate, subtype=subtype)
    return samples


def heard(path, seconds, labels, *, window_s=5.0, hop_s=2.5, threshold=0.5, **options):
    """A `Heard` of labels that share a threshold."""
    thresholds = np.full(len(labels), threshold, np.float32)
    return Heard(str(path), seconds, window_s, hop_s, labels, thresholds, **options)
