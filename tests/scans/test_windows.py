"""Windows of pieces: those of the whole recording, whichever piece they are read in."""

import itertools

import numpy as np
import pytest

from tests.helpers.recordings import encode, events, wav, with_sizes
from vipann_tf.audio.decoding import DecodeError, Decoder, read_audio
from vipann_tf.audio.windows import sliding_windows
from vipann_tf.scans.plan import Piece, plan_units, window_count, window_start
from vipann_tf.scans.recordings import measure
from vipann_tf.scans.windows import piece_windows


def write(path, content):
    path.write_bytes(content)
    return str(path)


FORMATS = {
    "8000.wav": lambda: wav(events(9.3, 8_000), 8_000),
    "11025.wav": lambda: wav(events(9.3, 11_025), 11_025),
    "32000.wav": lambda: wav(events(9.3, 32_000), 32_000),
    "44100.wav": lambda: wav(events(9.3), subtype="FLOAT"),
    "48000.wav": lambda: wav(events(9.3, 48_000), 48_000),
    "96000.wav": lambda: wav(events(9.3, 96_000), 96_000),
    "a.flac": lambda: encode(events(9.3), "flac", "flac"),
    "a.mp3": lambda: encode(events(9.3), "libmp3lame", "mp3"),
    "a.ogg": lambda: wav(events(9.3), subtype="VORBIS", format="OGG"),
    "lies.wav": lambda: with_sizes(wav(events(9.3)), 1000),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("window_s, hop_s", [(2.0, 1.0), (1.5, 0.7), (1.0, 2.5)])
def test_pieces_are_slices_of_the_whole(tmp_path, name, window_s, hop_s):
    path = write(tmp_path / name, FORMATS[name]())
    recording = measure(path)
    count = window_count(recording.length_s, window_s, hop_s)
    whole = read_audio(path, 32_000)
    divisions = ([0, count], [0, 1, 3, count], list(range(count + 1)))
    for division in divisions:
        found = [
            window
            for first, last in itertools.pairwise(division)
            for window in piece_windows(
                Decoder(32_000), Piece(recording, first, last), window_s, hop_s
            )
        ]
        assert len(found) == count
        for number, (start_s, waveform) in enumerate(found):
            expected_s = window_start(number, recording.length_s, window_s, hop_s)
            assert start_s == pytest.approx(expected_s, abs=0.5 / 32_000)
            first = round(start_s * 32_000)
            expected = whole[first : first + round(window_s * 32_000)]
            np.testing.assert_allclose(waveform, expected, atol=3e-6)


def test_windows_are_those_of_predict(tmp_path):
    path = write(tmp_path / "a.wav", wav(events(9.3)))
    told = list(sliding_windows(Decoder(32_000), path, 2.0, 1.0))
    recording = measure(path)
    count = window_count(recording.length_s, 2.0, 1.0)
    found = list(piece_windows(Decoder(32_000), Piece(recording, 0, count), 2.0, 1.0))
    assert [start for start, _ in found] == pytest.approx([start for start, _ in told])
    for (_, ours), (_, theirs) in zip(found, told, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "length_s, expected", [(0.5, 1), (2.0, 1), (2.001, 2), (3.0, 2), (3.5, 3), (10.0, 9)]
)
def test_counts_by_hand(length_s, expected):
    assert window_count(length_s, 2.0, 1.0) == expected
    starts = [window_start(i, length_s, 2.0, 1.0) for i in range(expected)]
    assert starts[-1] + 2.0 == pytest.approx(max(length_s, 2.0))
    assert np.all(np.diff(starts) > 0)


def test_a_short_recording_is_one_window_of_its_own_length(tmp_path):
    recording = measure(write(tmp_path / "a.wav", wav(events(0.7))))
    ((start_s, waveform),) = piece_windows(Decoder(32_000), Piece(recording, 0, 1), 2.0, 1.0)
    assert (start_s, len(waveform)) == (0, round(0.7 * 32_000))


def test_what_is_before_the_damage_is_yielded(tmp_path):
    samples = events(9.3)
    samples[5 * 44_100] = np.nan
    recording = measure(write(tmp_path / "a.wav", wav(samples, subtype="FLOAT")))
    windows = piece_windows(Decoder(32_000), Piece(recording, 0, 9), 2.0, 1.0)
    found = []
    with pytest.raises(DecodeError, match=r"non-finite: .* from 5.000 s on"):
        found.extend(start for start, _ in windows)
    assert len(found) >= 2  # what the resampler has given out


def test_units_hold_every_window_once(tmp_path):
    from vipann_tf.scans.recordings import Recording

    lengths = [3.0, 5000.0, 0.0, *[10.0] * 300, 900.0]
    recordings = [Recording(f"{i}.wav", 8000, x, ()) for i, x in enumerate(lengths)]
    units = plan_units(recordings, 5.0, 2.5)
    assert [unit.name for unit in units] == [f"part-{i:06d}" for i in range(len(units))]
    seen = [
        (piece.recording.path, number)
        for unit in units
        for piece in unit.pieces
        for number in range(piece.first, piece.last)
    ]
    assert seen == [
        (recording.path, number)
        for recording in recordings
        for number in range(window_count(recording.length_s, 5.0, 2.5))
    ]
    sizes = [sum(p.last - p.first for p in unit.pieces) * 2.5 for unit in units]
    assert max(sizes) <= 900 and len(units) == pytest.approx(sum(sizes) / 900, abs=3)
