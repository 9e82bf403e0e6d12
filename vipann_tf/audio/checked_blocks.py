"""Blocks of samples whose values and number were looked at before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.errors import DecodeError
from vipann_tf.audio.recording import Recording
from vipann_tf.audio.scale import check_scale

__all__ = ["CheckedBlocks"]


class CheckedBlocks:
    """The blocks of a recording, checked and counted.

    Args:
      recording: The open file.
      offset_s: Where to start, in seconds.

    Attributes:
      findings: Kind and detail of what the user should know; complete after the last block.
    """

    def __init__(self, recording: Recording, offset_s: float):
        self._recording, self._offset_s = recording, offset_s
        self.findings: list[tuple[str, str]] = []

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield float32 [samples, channels]; at the end, compare the length with the declared one.

        Raises:
          DecodeError: Samples are not finite, or far beyond full scale; what is before the first
            that is not finite was yielded.
        """
        recording, count = self._recording, 0
        for block in recording.blocks(self._offset_s):
            good = self._finite(block) if recording.is_float else len(block)
            yield block[:good]
            if good < len(block):
                raise self._not_finite(block, count + good)
            count += good
        declared_s = recording.declared_s
        decoded_s = self._offset_s + count / recording.rate_hz
        if not count or declared_s is None:
            return
        if abs(decoded_s - declared_s) > recording.tolerance_s:
            self.findings.append(
                (
                    "length",
                    f"it holds {decoded_s:.3f} s of sound, and its header says {declared_s:.3f} s",
                )
            )

    def _finite(self, block: NDArray[np.float32]) -> int:
        """Return how many samples are there before the first that is not finite; check them."""
        if not block.size:
            return 0
        if block.min() >= -1 and block.max() <= 1:  # and so for most; NaN is in no range
            return len(block)
        finite = np.isfinite(block)
        good = len(block) if finite.all() else int(np.argmin(finite.all(axis=1)))
        try:
            check_scale(block[:good])
        except ValueError as error:
            raise DecodeError("wrong-scale", str(error)) from error
        return good

    def _not_finite(self, block: NDArray[np.float32], first: int) -> DecodeError:
        bad = block.size - int(np.count_nonzero(np.isfinite(block)))
        at_s = self._offset_s + first / self._recording.rate_hz
        return DecodeError("non-finite", f"{bad} of {block.size} samples, from {at_s:.3f} s on")
