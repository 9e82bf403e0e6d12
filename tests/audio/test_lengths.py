"""The length of a recording is what is decoded, whatever its header says."""

import os

import numpy as np
import pytest
import soundfile

from tests.helpers.recordings import (
    RATE,
    damaged,
    encode,
    events,
    shift,
    wav,
    with_flac_total,
    with_sizes,
)
from vipann_tf.audio.decoding import DecodeError, Decoder, duration_s, read_audio
from vipann_tf.audio.windows import sliding_windows

SOUND = events()
LENGTH_S = len(SOUND) / RATE


@pytest.fixture(scope="module")
def made():
    """Good files of a sound, each made once."""
    return {
        "wav": wav(SOUND),
        "mp3": encode(SOUND, "libmp3lame", "mp3"),
        "mp3 without length": encode(SOUND, "libmp3lame", "mp3", write_xing="0", id3v2_version="0"),
        "flac": encode(SOUND, "flac", "flac"),
        "ogg": wav(SOUND, subtype="VORBIS", format="OGG"),
        "opus": wav(events(rate=48_000), 48_000, subtype="OPUS", format="OGG"),
    }


def read(tmp_path, content, name="a.bin", **settings):
    """What a decoder makes of a file at its own rate, and what it says of it."""
    path = tmp_path / name
    path.write_bytes(content)
    found = []
    decoder = Decoder(RATE, on_finding=lambda *finding: found.append(finding), **settings)
    waveform = decoder.read(path)
    # All ways to read agree, and so does the length that nothing was decoded for.
    pieces = np.concatenate(list(Decoder(RATE, **settings).blocks(path)))
    np.testing.assert_array_equal(pieces, waveform)
    *_, (start_s, last) = sliding_windows(Decoder(RATE, **settings), path, 1.0, 0.5)
    assert start_s + len(last) / RATE == pytest.approx(len(waveform) / RATE, abs=1e-6)
    return waveform, found, duration_s(path)


WHOLE = {
    "wav": lambda made: made["wav"],
    "of a crashed recorder": lambda made: with_sizes(made["wav"], 0),
    "written to a pipe": lambda made: with_sizes(made["wav"], 0xFFFFFFFF, 0xFFFFFFFF),
    "written to sox's pipe": lambda made: with_sizes(made["wav"], 0x7FFFFFFF - 36, 0x7FFFFFFF),
    "updated half way": lambda made: with_sizes(made["wav"], len(SOUND)),
    "updated once": lambda made: with_sizes(made["wav"], 2),
    "mp3": lambda made: made["mp3"],
    "mp3 without length": lambda made: made["mp3 without length"],
    "flac": lambda made: made["flac"],
    "flac of unknown length": lambda made: with_flac_total(made["flac"], 0),
    "flac of half the length": lambda made: with_flac_total(made["flac"], len(SOUND) // 2),
    "flac of thrice the length": lambda made: with_flac_total(made["flac"], 3 * len(SOUND)),
    "ogg": lambda made: made["ogg"],
}
# Of these the header declares another length, which is said.
SAID = ("of a crashed", "updated", "flac of half", "flac of thrice")


@pytest.mark.parametrize("kind", WHOLE)
def test_the_whole_sound_is_there_whatever_the_header_says(tmp_path, made, kind):
    waveform, found, measured_s = read(tmp_path, WHOLE[kind](made))
    # MP3 without a length has what its encoder puts before and behind the sound: two frames.
    extra = 2 * 1152 if kind == "mp3 without length" else 0
    assert 0 <= len(waveform) - len(SOUND) <= extra
    assert 0 <= shift(waveform, SOUND) <= extra
    assert measured_s == pytest.approx(len(waveform) / RATE, abs=0.03)
    assert [name for name, _ in found] == ["length"] * kind.startswith(SAID)
    assert not found or f"it holds {len(waveform) / RATE:.3f} s" in found[0][1]


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "ogg", "opus"])
def test_half_a_download_says_so(tmp_path, made, kind):
    content = made[kind][: len(made[kind]) // 2]
    waveform, found, measured_s = read(tmp_path, content)
    assert 0.25 * LENGTH_S < len(waveform) / RATE < 0.75 * LENGTH_S
    assert measured_s == pytest.approx(len(waveform) / RATE, abs=0.03)
    # Ogg declares no length but the end.
    assert ("truncated" if kind in ("ogg", "opus") else "length") in dict(found)


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "opus"])
def test_files_one_behind_the_other_are_all_heard(tmp_path, made, kind):
    waveform, found, _ = read(tmp_path, 3 * made[kind])
    assert len(waveform) == pytest.approx(3 * LENGTH_S * RATE, abs=6 * 1152)
    assert "length" in dict(found)
    third = waveform[-len(SOUND) - 2400 :]
    assert abs(shift(third, events()[:RATE]) - 2400) < 3 * 1152


@pytest.mark.parametrize("kind", ["flac", "ogg"])
def test_damage_in_the_middle_is_said(tmp_path, made, kind):
    waveform, found, _ = read(tmp_path, damaged(made[kind], 0.5))
    assert 0 < len(waveform) < len(SOUND)
    assert {"length", "damaged"} & set(dict(found))
    # The rest is the sound, not noise.
    assert np.abs(waveform).max() < 1.2 * np.abs(SOUND).max()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_damage_in_an_ogg_repeats_nothing(tmp_path, share):
    """What is left is the sound, in its order, once; the page is found by its checksum."""
    sound = np.random.default_rng(8).normal(0, 0.1, 20 * RATE).astype(np.float32)
    good, _, _ = read(tmp_path, wav(sound, subtype="VORBIS", format="OGG"))
    found = damaged(wav(sound, subtype="VORBIS", format="OGG"), share, 3)
    waveform, findings, _ = read(tmp_path, found)
    assert {"length", "damaged"} <= set(dict(findings))
    assert len(good) - 2 * RATE < len(waveform) < len(good)
    places = [
        int(np.argmax(np.correlate(good, waveform[first : first + 2048], "valid")))
        for first in range(0, len(waveform) - 2048, RATE)
    ]
    steps = np.diff(places)
    assert np.all(steps >= RATE) and np.count_nonzero(steps > RATE) == 1


def test_padding_and_chunks_behind_the_samples_are_not_sound(tmp_path, made):
    content = made["wav"]
    for behind in (bytes(100_000), b"LIST\x06\0\0\0INFOxx", b"junk\x03\0\0\0abc\0"):
        waveform, found, _ = read(tmp_path, content + behind)
        assert (len(waveform), found) == (len(SOUND), [])
    odd = wav(SOUND[:RATE], subtype="PCM_U8")  # a length that needs no padding byte ...
    odd = with_sizes(odd[:-1], RATE - 1)  # ... and one whose padding byte is missing
    waveform, found, _ = read(tmp_path, odd + b"LIST\x04\0\0\0INFO")
    assert (len(waveform), found) == (RATE - 1, [])
    waveform, found, _ = read(tmp_path, content + content)
    assert len(waveform) == len(SOUND)
    assert found == [("unread", found[0][1])] and "another file of" in found[0][1]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_a_header_that_lies_of_every_format(tmp_path, subtype):
    content = wav(np.stack([SOUND, 0.5 * SOUND], axis=1), subtype=subtype)
    place = content.index(b"data") + 4
    lying = content[:place] + (1000).to_bytes(4, "little") + content[place + 4 :]
    good, _, _ = read(tmp_path, content)
    repaired, found, _ = read(tmp_path, lying)
    np.testing.assert_array_equal(repaired[: len(good)], good)
    assert len(repaired) == len(good) and "length" in dict(found)


@pytest.mark.parametrize("subtype", ["MS_ADPCM", "IMA_ADPCM", "GSM610"])
def test_compressed_wav_whole_and_truncated(tmp_path, subtype):
    """Its bytes are blocks of samples, which libsndfile fills up."""
    content = wav(SOUND, subtype=subtype)
    waveform, found, _ = read(tmp_path, content)
    assert 0 <= len(waveform) - len(SOUND) < 4096 and found == []
    half, found, _ = read(tmp_path, content[: len(content) // 2])
    assert len(half) == pytest.approx(len(SOUND) / 2, abs=4096)
    assert [kind for kind, _ in found] == ["length"]


@pytest.mark.parametrize("container", ["W64", "RF64", "AIFF", "AU", "CAF"])
def test_other_containers_whole_and_truncated(tmp_path, container):
    content = wav(SOUND, format=container)
    waveform, found, _ = read(tmp_path, content)
    assert (len(waveform), found) == (len(SOUND), [])
    half, found, measured_s = read(tmp_path, content[: len(content) // 2])
    assert len(half) == pytest.approx(len(SOUND) / 2, abs=2200)
    if container == "CAF":  # libsndfile refuses it, FFmpeg reads it
        assert "bytes that its header declares" in dict(found)["truncated"]
    else:
        assert dict(found)["length"].endswith(f"and its header says {LENGTH_S:.3f} s")
    assert measured_s == pytest.approx(len(half) / RATE, abs=0.001)


def test_a_wav_past_4_gib_is_read_to_its_end(tmp_path):
    """A sparse file whose data size is modulo 2 ** 32, read from near its end."""
    path, more = tmp_path / "long.wav", 2 * RATE
    size = 2**32 + 2 * more
    header = with_sizes(wav(SOUND[:10])[:44], size - 2**32)
    tail = wav(events(1.0))[44:]
    with open(path, "wb") as file:
        file.write(header)
        file.seek(44 + size - len(tail))
        file.write(tail)
    try:
        assert duration_s(path) == pytest.approx(size / 2 / RATE)
        found = read_audio(path, RATE, offset_s=size / 2 / RATE - 1.0)
        assert (len(found), shift(found, events(1.0))) == (RATE, 0)
    finally:
        os.remove(path)


def test_libsndfile_and_ffmpeg_agree(tmp_path, made):
    """Two decoders, the same samples: what changed its decoder did not change its sound."""
    for kind in ("flac", "mp3"):
        path = tmp_path / "a.bin"
        path.write_bytes(made[kind])
        expected, _ = soundfile.read(path, dtype="float32")
        found = read_audio(path, RATE)
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_nothing_is_said_of_what_was_not_read(tmp_path, made):
    """A window from the front does not reach the lie."""
    path = tmp_path / "a.wav"
    path.write_bytes(made["wav"][: len(made["wav"]) // 2])
    found = []
    decoder = Decoder(RATE, on_finding=lambda *finding: found.append(finding))
    assert len(decoder.read(path, duration_s=1.0)) == RATE and found == []
    with pytest.raises(DecodeError, match="too-short"):
        decoder.read(path, offset_s=2.9)
