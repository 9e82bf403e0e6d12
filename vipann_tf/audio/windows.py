"""Sliding windows over recordings of any length, in the memory of one window and one block."""

from collections.abc import Iterator

import numpy as np

from vipann_tf.audio.decoding import Decoder, Sound

__all__ = ["count_windows", "sliding_windows"]


def sliding_windows(
    decoder: Decoder, path: Sound, window_s: float, hop_s: float
) -> Iterator[tuple[float, np.ndarray]]:
    """Cut a recording into windows while it is read.

    Windows begin at multiples of the hop. If they leave the recording's end uncovered, one more
    window ends with the recording, so that nothing is padded or left out. A recording that is
    shorter than a window is one window of its own length.

    Args:
      decoder: Its settings are those of the windows.
      path: Audio file, or samples in memory.
      window_s: Length of a window, in seconds of the file, and so the other times.
      hop_s: Time between the beginnings of windows; a hop longer than a window leaves gaps.

    Yields:
      Begin in seconds and waveform, float32 [samples].

    Raises:
      DecodeError: The file can't be read to its end, for the reason in the error.
    """
    second = decoder.samples_per_second
    window, hop = round(window_s * second), round(hop_s * second)
    assert window > 0 and hop > 0, (window, hop)
    kept, first, begin = np.zeros(0, np.float32), 0, 0  # samples; index of the first of them
    for block in decoder.blocks(path):
        kept = np.concatenate([kept, block])
        while first + len(kept) >= begin + window:
            yield begin / second, kept[begin - first : begin - first + window].copy()
            begin += hop
        # The next window may begin here, or the last one, which ends with the recording.
        unneeded = min(begin, first + len(kept) - window) - first
        if unneeded > 0:
            kept, first = kept[unneeded:], first + unneeded
    end = first + len(kept)
    covered = begin - hop + window if begin else 0
    if begin < end and covered < end:
        last = max(0, end - window)
        yield last / second, kept[last - first :].copy()


def count_windows(seconds: float, window_s: float, hop_s: float) -> int:
    """Estimate the number of windows of a recording from its length in seconds."""
    return 1 + max(0, int(np.ceil((seconds - window_s) / hop_s - 1e-9)))
