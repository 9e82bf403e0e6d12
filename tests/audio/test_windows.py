"""Sliding windows against slices of the whole recording."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from vipann_tf.audio.decoding import DecodeError, Decoder, duration_s, read_audio
from vipann_tf.audio.windows import count_windows, sliding_windows

RATE = 8000


def _write(path, seconds: float, rate: int = RATE, channels: int = 1):
    rng = np.random.default_rng(3)
    shape = (round(seconds * rate), channels)
    soundfile.write(path, 0.1 * rng.normal(size=shape).astype(np.float32), rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("channels, rate", [(1, RATE), (2, 11025), (3, 48000)])
def test_pieces_are_what_reading_at_once_gives(tmp_path, channels, rate):
    path = _write(tmp_path / "a.wav", 41.3, rate, channels)  # several blocks
    pieces = list(Decoder(RATE).blocks(path))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), read_audio(path, RATE))


@pytest.mark.parametrize(
    ("seconds", "window_s", "hop_s", "begins"),
    [
        (10.0, 4.0, 2.0, [0, 2, 4, 6]),  # they fit
        (10.5, 4.0, 2.0, [0, 2, 4, 6, 6.5]),  # the last one ends with the recording
        (9.0, 2.0, 3.5, [0, 3.5, 7]),  # gaps, and an end that is covered
        (8.0, 2.0, 3.5, [0, 3.5, 6]),
        (5.5, 2.0, 3.5, [0, 3.5]),
        (6.9, 2.0, 3.5, [0, 3.5]),  # what is left lies in a gap
        (4.0, 4.0, 1.0, [0]),
        (3.0, 4.0, 1.0, [0]),  # shorter than a window
        (80.0, 30.0, 7.0, [0, 7, 14, 21, 28, 35, 42, 49, 50]),  # more than one block
    ],
)
def test_windows_are_slices_of_the_recording(tmp_path, seconds, window_s, hop_s, begins):
    path = _write(tmp_path / "a.wav", seconds)
    whole = read_audio(path, RATE)
    found = list(sliding_windows(Decoder(RATE), path, window_s, hop_s))
    assert [start for start, _ in found] == begins
    for start, waveform in found:
        begin = round(start * RATE)
        np.testing.assert_array_equal(waveform, whole[begin : begin + round(window_s * RATE)])
    assert abs(count_windows(duration_s(path), window_s, hop_s) - len(begins)) <= 1


def test_memory_is_that_of_a_window_and_a_block(tmp_path):
    path = _write(tmp_path / "long.wav", 1200.0)  # 38 MB of float32
    tracemalloc.start()
    count = sum(1 for _ in sliding_windows(Decoder(RATE), path, 10.0, 5.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 239 and peak < 8e6


def test_damage_further_on_comes_after_the_windows_before(tmp_path):
    waveform = np.zeros(60 * RATE, np.float32)
    waveform[-5] = np.nan
    soundfile.write(tmp_path / "nan.wav", waveform, RATE, subtype="FLOAT")
    windows = sliding_windows(Decoder(RATE), tmp_path / "nan.wav", 10.0, 10.0)
    assert next(windows)[0] == 0
    with pytest.raises(DecodeError, match=r"non-finite: 1 of .* samples, from 59.999 s on"):
        list(windows)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "missing-file"), (b"", "empty"), (b"no sound", "undecodable")]
)
def test_files_that_cannot_be_read_are_named(tmp_path, content, reason):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    for read in (duration_s, lambda p: list(sliding_windows(Decoder(RATE), p, 1.0, 1.0))):
        with pytest.raises(DecodeError, match=reason):
            read(path)


def test_next_to_nothing_is_too_short(tmp_path):
    with pytest.raises(DecodeError, match="too-short: 0.050 s from 0 s on"):
        list(sliding_windows(Decoder(RATE), _write(tmp_path / "a.wav", 0.05), 1.0, 1.0))
