"""A sound that is in memory: samples and their rate, heard as a file would be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.recording import BLOCK_SAMPLES

__all__ = ["ArrayRecording"]


class ArrayRecording:
    """A `Recording` of one channel in memory; its text is its name.

    Args:
      samples: Floating-point `[samples]`; full scale is 1.
      rate_hz: Sample rate.
      name: What messages call it.
    """

    def __init__(self, samples: NDArray[np.floating[Any]], rate_hz: int, name: str):
        self._samples, self._name = samples, name
        self.rate_hz = rate_hz
        self.channels = 1
        self.is_float = True
        self.declared_s: float | None = None
        self.tolerance_s = 0.0
        self.findings: list[tuple[str, str]] = []

    def __str__(self) -> str:
        return self._name

    def blocks(self, start_s: float) -> Iterator[NDArray[np.float32]]:
        """Yield float32 [samples, 1] from a time on, in pieces as those of files."""
        for start in range(round(start_s * self.rate_hz), len(self._samples), BLOCK_SAMPLES):
            with np.errstate(over="ignore"):  # what is infinite then is refused
                block = self._samples[start : start + BLOCK_SAMPLES].astype(np.float32)
            yield block[:, np.newaxis]

    def measure_s(self) -> float:
        """Return the length."""
        return len(self._samples) / self.rate_hz

    def close(self) -> None:
        """Do nothing: there is no file."""
