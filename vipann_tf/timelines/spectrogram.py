"""The log-mel spectrogram of a recording of any length, in a bounded number of columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.decoding import Decoder, Sound
from vipann_tf.audio.errors import DecodeError

__all__ = ["LogMelColumns", "frequency_ticks", "spectrogram"]

# Samples that are transformed at once: two seconds.
_CHUNK = 64_000
# Frames at either side of a chunk that see less of the sound than they would in the whole.
_MARGIN_FRAMES = 2
_TICKS_HZ = (200.0, 1000.0, 4000.0, 10_000.0)


class LogMelColumns:
    """The model's own front end, over a stream of sound; frames that share a column give a maximum.

    So a click stays visible in a picture of hours. The frames are those of
    `vipann_tf.audio.logmel.log_mel` of the whole: chunks overlap, and only frames that see their
    full surroundings are taken.

    Args:
      samples: Number of samples that are expected.
      columns: Greatest number of columns.
    """

    def __init__(self, samples: int, columns: int):
        # The front end imports TensorFlow, which the other formats of a timeline do without.
        from vipann_tf.audio.logmel import HOP_SAMPLES, MEL_BANDS, num_frames

        self._hop = HOP_SAMPLES
        self._frames = num_frames(samples)
        self._columns = min(columns, self._frames)
        self._db = np.full([self._columns, MEL_BANDS], np.nan, np.float32)
        self._kept = np.zeros(0, np.float32)
        self._first = 0  # frame at which what is kept begins
        self._next = 0  # frame that is to be computed next

    def add(self, waveform: NDArray[np.float32]) -> None:
        """Add the next samples, float32 [samples] at 32 kHz."""
        self._kept = np.concatenate([self._kept, waveform])
        if len(self._kept) >= _CHUNK + 2 * _MARGIN_FRAMES * self._hop:
            self._transform(at_end=False)

    def columns(self) -> NDArray[np.float32]:
        """Return the decibels, float32 [columns, bands]; NaN where there was no sound."""
        if len(self._kept):
            self._transform(at_end=True)
            self._kept = self._kept[:0]
        return self._db

    def _transform(self, *, at_end: bool) -> None:
        from vipann_tf.audio.logmel import MIN_SAMPLES, log_mel

        waveform = self._kept
        if len(waveform) < MIN_SAMPLES:  # a file of a few milliseconds
            waveform = np.pad(waveform, (0, MIN_SAMPLES - len(waveform)))
        frames = np.asarray(log_mel(waveform[None]))[0]
        last = self._first + len(frames) - (0 if at_end else _MARGIN_FRAMES)
        frames = frames[self._next - self._first : last - self._first]
        column = np.arange(self._next, last) * self._columns // self._frames
        column = np.minimum(column, self._columns - 1)
        if len(column):
            starts = np.flatnonzero(np.diff(column, prepend=-1))
            at = column[starts]
            self._db[at] = np.fmax(self._db[at], np.maximum.reduceat(frames, starts, axis=0))
        first = max(last - _MARGIN_FRAMES, 0)
        self._kept = self._kept[(first - self._first) * self._hop :]
        self._first, self._next = first, last


def spectrogram(
    decoder: Decoder, sound: Sound, seconds: float, columns: int
) -> NDArray[np.float32]:
    """Read a recording, and return its log-mel spectrogram.

    Args:
      decoder: At the rate of the front end.
      sound: The recording.
      seconds: Its length.
      columns: Greatest number of columns.

    Returns:
      Decibels, float32 [columns, bands]: evenly spaced over the recording, the maximum of each
      column's frames; NaN behind a damage, at which it ends.

    Raises:
      DecodeError: Nothing of it can be read.
    """
    collected = LogMelColumns(round(seconds * decoder.samples_per_second), columns)
    heard = False
    try:
        for block in decoder.blocks(sound):
            collected.add(block)
            heard = heard or len(block) > 0
    except DecodeError:
        if not heard:
            raise
    return collected.columns()


def frequency_ticks(time_expansion: float = 1.0) -> list[tuple[float, str]]:
    """Return frequencies of the recording in words, and at which band each lies, from 0."""
    from vipann_tf.audio.logmel import FFT_LENGTH, SAMPLE_RATE_HZ, mel_matrix

    matrix = mel_matrix()
    bins_hz = np.arange(len(matrix)) * (SAMPLE_RATE_HZ / FFT_LENGTH)
    centres_hz = matrix.T @ bins_hz / matrix.sum(axis=0)
    bands = np.interp(_TICKS_HZ, centres_hz, np.arange(len(centres_hz)))
    shown_hz = [time_expansion * x for x in _TICKS_HZ]
    words = [f"{x / 1000:g} kHz" if x >= 1000 else f"{x:g} Hz" for x in shown_hz]
    return list(zip(bands.tolist(), words, strict=True))
