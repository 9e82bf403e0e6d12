"""Ten minutes of two recorders, made from a seed, with what is heard in selection tables of Raven.

The sounds are those of the synthetic data set, at known times and levels over a changing noise.
"""

from pathlib import Path

import numpy as np
import soundfile

from vipann_tf.datasets.sound_events import EVENTS, RATE_HZ
from vipann_tf.datasets.sound_waveforms import filtered, wander, white_noise

LABELS = ("bell", "dog bark", "siren", "water drip")
RECORDERS = ("north", "south")
COLUMNS = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"),
    *("Low Freq (Hz)", "High Freq (Hz)", "Annotation"),
)
MINUTES, SECONDS, EVENTS_A_MINUTE = 5, 60, 6


def write(folder: Path) -> None:
    """Writes five recordings of a minute for each recorder, and beside each its table."""
    folder.mkdir(parents=True)
    for number, recorder in enumerate(RECORDERS):
        for minute in range(MINUTES):
            rng = np.random.default_rng([17, number, minute])
            name = f"{recorder}_06{10 * minute:02d}"
            # In the last minute of the second recorder nothing is heard.
            silent = (number, minute) == (1, MINUTES - 1)
            waveform, rows = _recording(rng, 0 if silent else EVENTS_A_MINUTE)
            soundfile.write(folder / f"{name}.wav", waveform, RATE_HZ, subtype="PCM_16")
            table = "\n".join(["\t".join(COLUMNS), *rows]) + "\n"
            (folder / f"{name}.Table.1.selections.txt").write_text(table, encoding="utf-8")


def _recording(rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[str]]:
    """A minute of sound, and a row for each of two views of each event in it."""
    length = SECONDS * RATE_HZ
    noise = filtered(white_noise(rng, length), "low", 800.0)
    waveform = 0.01 * noise / noise.std() * wander(rng, length, 0.3, 0.5, 1.0)
    rows = []
    for number in range(count):
        label = LABELS[rng.integers(len(LABELS))]
        event = EVENTS["multilabel"][label](rng, round(rng.uniform(2, 4) * RATE_HZ))
        start = round((number + rng.uniform(0, 0.5)) * SECONDS / count * RATE_HZ)
        stop = min(start + len(event), length)
        heard = event[: stop - start] / np.abs(event).max()
        waveform[start:stop] += rng.uniform(0.2, 0.5) * heard
        times = f"{start / RATE_HZ:.9f}\t{stop / RATE_HZ:.9f}\t200.0\t9000.0\t{label}"
        rows += [f"{number + 1}\t{view} 1\t1\t{times}" for view in ("Waveform", "Spectrogram")]
    return np.clip(waveform, -1, 1).astype(np.float32), rows
