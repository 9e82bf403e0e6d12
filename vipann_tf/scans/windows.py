"""The windows of a piece of a recording, the same whichever piece they are read in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.decoding import Decoder
from vipann_tf.audio.errors import DecodeError
from vipann_tf.scans.plan import Piece, window_start
from vipann_tf.scans.recordings import opened

__all__ = ["piece_windows"]

# The resampler's filter begins on silence; behind this time its output is that of the whole.
_RUN_UP_S = 0.05
# By so much the measured and the decoded length may differ: a frame of most codings, and padding.
_END_TOLERANCE_S = 0.25


def piece_windows(
    decoder: Decoder, piece: Piece, window_s: float, hop_s: float
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Read the windows of a piece.

    Args:
      decoder: Its settings are those of the windows.
      piece: Which windows of which recording.
      window_s: Length of a window.
      hop_s: Time from one window to the next.

    Yields:
      Start in seconds of the recording and waveform, float32 [samples]. All have one length, but
      for a recording that is shorter than a window.

    Raises:
      DecodeError: The sound ends or is damaged before the last window does; the windows before were
        yielded.
    """
    recording, second = piece.recording, decoder.samples_per_second
    offset_s, first = _aligned(
        recording.rate_hz, second, _start(piece, piece.first, window_s, hop_s)
    )
    samples = round(min(window_s, recording.length_s) * second)
    begins = [
        round(_start(piece, number, window_s, hop_s) * second)
        for number in range(piece.first, piece.last)
    ]
    kept = np.zeros(0, np.float32)
    done = 0
    with opened(recording.path) as file:
        for block in decoder.blocks(file, offset_s=offset_s):
            kept = np.concatenate([kept, block])
            while done < len(begins) and first + len(kept) >= begins[done] + samples:
                begin = begins[done] - first
                yield begins[done] / second, kept[begin : begin + samples].copy()
                done += 1
            if done == len(begins):
                return
            # What may still be needed: the next window, or a window that ends with the recording.
            unneeded = min(begins[done], first + len(kept) - samples) - first
            if unneeded > 0:
                kept, first = kept[unneeded:], first + unneeded
    end = first + len(kept)
    missing_s = (begins[done] + samples - end) / second
    if done == len(begins) - 1 and missing_s <= _END_TOLERANCE_S:
        # The recording is a little shorter than it was measured: its last window ends with it.
        begin = max(0, len(kept) - samples)
        yield (first + begin) / second, kept[begin:].copy()
        return
    raise DecodeError(
        "too-short", f"the sound ends at {end / second:.3f} s of {recording.length_s:.3f} s"
    )


def _start(piece: Piece, number: int, window_s: float, hop_s: float) -> float:
    return window_start(number, piece.recording.length_s, window_s, hop_s)


def _aligned(rate_hz: int, second: float, start_s: float) -> tuple[float, int]:
    """Return where to read from, in seconds, and which sample of the waveform that is.

    A resampler's output lies on another grid than its input. Both meet at some samples of the file,
    and only from one of these on are the outputs those that reading the whole would give.
    """
    ratio = Fraction(second).limit_denominator(1_000_000) / rate_hz
    step = ratio.denominator
    begin = math.floor(max(0.0, start_s - _RUN_UP_S) * rate_hz) // step * step
    return begin / rate_hz, int(begin * ratio)
