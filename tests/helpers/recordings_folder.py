"""A folder of recordings in two classes, one of them broken."""

import pathlib

import numpy as np
import soundfile


def recordings(root: pathlib.Path) -> pathlib.Path:
    """Writes three good files of other lengths, rates and formats, and one that is none."""
    rng = np.random.default_rng(0)
    for name, rate, seconds in (
        ("dog/a.wav", 16_000, 1.25),
        ("dog/b.ogg", 22_050, 0.75),
        ("cat/c.flac", 48_000, 2.0),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.2, 0.2, int(rate * seconds)), rate)
    (root / "dog/broken.wav").write_text("no audio")
    return root
