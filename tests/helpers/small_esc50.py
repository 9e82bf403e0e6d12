"""The ten classes of ESC-10 in ESC-50's layout, one recording of each per fold."""

from pathlib import Path

import numpy as np
import soundfile

from tests.helpers.dataset_layouts import text
from tests.helpers.paths import SOUNDS

# The category, its number, and the example sound that stands for it.
CLASSES = {
    "dog": (0, "dog"),
    "rooster": (1, "rooster"),
    "rain": (10, "rain"),
    "sea_waves": (11, "jet"),
    "crackling_fire": (12, "bubble_wrap"),
    "crying_baby": (20, "singing"),
    "sneezing": (21, "creaking_door"),
    "clock_tick": (38, "clock"),
    "helicopter": (40, "car_engine"),
    "chainsaw": (41, "birds"),
}


def write(folder: Path) -> None:
    """Writes 50 recordings of 5 s, as ESC-50's are; those of a class begin a little later each."""
    (folder / "audio").mkdir(parents=True)
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for category, (target, sound) in CLASSES.items():
        samples, rate = soundfile.read(SOUNDS / f"{sound}.ogg", stop=5 * 32_000)
        for fold in range(1, 6):
            name = f"{fold}-{100 + target}-A-{target}.wav"
            later = samples[(fold - 1) * rate // 10 :]
            padded = np.pad(later, (0, 5 * rate - len(later)))
            soundfile.write(folder / "audio" / name, padded, rate)
            rows.append(f"{name},{fold},{target},{category},True,{100 + target},A")
    text(folder / "meta" / "esc50.csv", *rows)


def write_classes(folder: Path) -> None:
    """Writes the same recordings in one folder per class."""
    for category, (_, sound) in CLASSES.items():
        (folder / category).mkdir(parents=True)
        samples, rate = soundfile.read(SOUNDS / f"{sound}.ogg", stop=5 * 32_000)
        for number in range(5):
            soundfile.write(
                folder / category / f"{number}.wav", samples[number * rate // 10 :], rate
            )
