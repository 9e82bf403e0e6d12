"""Miniatures of published layouts: files of the right names; their audio is a short hum."""

import pathlib

import numpy as np
import soundfile


def audio(path: pathlib.Path, seconds: float = 0.5, rate: int = 8_000) -> pathlib.Path:
    """Writes one short file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = round(seconds * rate)
    soundfile.write(path, 0.1 * np.sin(np.arange(count) * 0.3), rate)
    return path


def text(path: pathlib.Path, *lines: str) -> pathlib.Path:
    """Writes a text file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
