"""Every format: the event lies where it lay, and a window is the slice of the whole."""

import os
import sys

import numpy as np
import pytest

from tests.helpers.recordings import RATE, encode, events, shift, wav
from vipann_tf.audio.av_recording import AvRecording
from vipann_tf.audio.decoding import DecodeError, Decoder, read_audio
from vipann_tf.audio.recording import HEADERLESS

# Codec, container and the shift in samples that no header tells of: what an encoder puts in front.
CODED = {
    "m4a": ("aac", "ipod", 0),
    "mp4": ("aac", "mp4", 0),
    "aac": ("aac", "adts", 1024),
    "mp3": ("libmp3lame", "mp3", 0),
    "mp2": ("mp2", "mp2", 481),
    "flac": ("flac", "flac", 0),
    "webm": ("libopus", "webm", 0),
    "mka": ("flac", "matroska", 0),
    "wv": ("wavpack", "wv", 0),
    "wma": ("wmav2", "asf", -2048),
    "tta": ("tta", "tta", 0),
    "amr": ("libopencore_amrnb", "amr", 0),
    "3gp": ("aac", "3gp", 0),
    "alac.m4a": ("alac", "ipod", 0),
}


def rate_of(codec):
    return {"libopus": 48_000, "libopencore_amrnb": 8_000}.get(codec, RATE)


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """Path of a recording of twelve seconds in each format, all under a name that lies."""
    made = {}

    def path_of(kind):
        if kind not in made:
            codec, container, _ = CODED[kind]
            rate = rate_of(codec)
            made[kind] = tmp_path_factory.mktemp("coded") / "lies.wav"
            made[kind].write_bytes(encode(events(12.0, rate), codec, container, rate=rate))
        return made[kind]

    return path_of


@pytest.mark.parametrize("kind", CODED)
def test_the_event_lies_where_it_lay(coded, kind):
    codec, _, expected = CODED[kind]
    rate = rate_of(codec)
    original = events(12.0, rate)
    found = read_audio(coded(kind), rate)
    assert abs(shift(found, original) - expected) <= (45 if kind == "amr" else 1)
    # Padding that the container tells of is taken away; else it is less than two frames.
    assert abs(len(found) - len(original)) <= (0 if expected == 0 and kind != "amr" else 2 * 2048)


@pytest.mark.parametrize("kind", CODED)
def test_a_window_is_the_slice_of_the_whole(coded, kind):
    rate = rate_of(CODED[kind][0])
    whole = read_audio(coded(kind), rate)
    for offset_s in (0.5, 3.7, 9.2):
        window = read_audio(coded(kind), rate, offset_s, 1.5)
        expected = whole[round(offset_s * rate) :][: len(window)]
        assert len(window) == round(1.5 * rate)
        # Matroska counts milliseconds.
        in_ms = kind in ("mka", "webm")
        assert abs(shift(window, expected)) <= (rate // 1000 if in_ms else 0)
        if not in_ms:
            # AAC fills in noise of its own, which depends on what was decoded before.
            loud = np.sqrt(np.mean(expected**2))
            assert np.sqrt(np.mean((window - expected) ** 2)) < 0.3 * loud


@pytest.mark.parametrize("kind", ["flac", "mp3", "m4a", "wv"])
def test_windows_of_files_that_are_larger_than_any_buffer(tmp_path, kind):
    """A seek looks at the front of the file first, and then goes on where it was."""
    codec, container, _ = CODED[kind]
    path = tmp_path / "long.bin"
    sound = np.random.default_rng(4).normal(0, 0.1, 40 * RATE).astype(np.float32)
    path.write_bytes(encode(sound, codec, container))
    whole = read_audio(path, RATE)
    for offset_s in (2.1, 2.9, 20.0):
        window = read_audio(path, RATE, offset_s, 15.0)
        expected = whole[round(offset_s * RATE) :][: len(window)]
        assert len(window) == 15 * RATE
        for part in (slice(0, RATE), slice(-RATE, None)):
            assert shift(window[part], expected[part]) == 0


def test_a_seek_that_lands_too_late_begins_anew(coded, monkeypatch):
    """Then the file is decoded from its front, and the window is the same."""
    expected = read_audio(coded("flac"), RATE, 6.0, 1.0)
    real = AvRecording._left_to_skip
    called = []

    def late(recording, start_s):
        called.append(start_s)
        real(recording, start_s)
        return -1

    monkeypatch.setattr(AvRecording, "_left_to_skip", late)
    np.testing.assert_array_equal(read_audio(coded("flac"), RATE, 6.0, 1.0), expected)
    assert called == [6.0]


def test_several_streams_are_said(tmp_path):
    import av

    path = tmp_path / "two.mka"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("flac", rate=RATE) for _ in range(2)]
        for stream in streams:
            stream.codec_context.layout = "mono"
        for stream in streams:
            values = (32767 * events()[None]).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                out.mux(packet)
    found = []
    Decoder(RATE, on_finding=lambda *finding: found.append(finding)).read(path)
    assert found == [("streams", "it has 2 audio streams; the first is taken")]


NOT_AUDIO = {
    "text": (b"404 Not Found\n" * 40, "not audio but text"),
    "a page": (b"\n<!DOCTYPE html><html>" + b"x" * 9000, "an HTML or XML page"),
    "Latin": ("Übergröße\n".encode("latin-1") * 400, "Format not recognised"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "zeros": (bytes(90_000), "zero"),
    "noise": (np.random.default_rng(3).bytes(50_000), "undecodable"),
    "a playlist": (b"#EXTM3U\n#EXTINF:5,\n/etc/passwd\n", "not audio but text"),
    "a script of FFmpeg": (b"ffconcat version 1.0\nfile '/etc/hosts'\n", "not audio but text"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(5000), "Format not recognised"),
    "a film without sound": (b"\x1a\x45\xdf\xa3" + bytes(500), "damaged"),
}


@pytest.mark.parametrize("kind", NOT_AUDIO)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a"])
def test_what_is_not_audio_is_refused_by_what_it_is(tmp_path, kind, name):
    content, words = NOT_AUDIO[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DecodeError, match=f"^undecodable: .*{words}|^undecodable") as error:
        read_audio(tmp_path / name, 32_000)
    assert words in str(error.value)


@pytest.mark.parametrize("suffix", sorted(HEADERLESS))
def test_headerless_audio_is_refused_with_the_command_that_converts_it(tmp_path, suffix):
    path = tmp_path / f"a{suffix.upper()}"
    path.write_bytes(wav(events())[44:])
    with pytest.raises(DecodeError, match="headerless audio.*ffmpeg -f s16le"):
        read_audio(path, 32_000)


def test_a_wav_by_another_name_is_a_wav(tmp_path):
    for name in ("a.raw", "a.mp3", "noext", "b.wav.part"):
        (tmp_path / name).write_bytes(wav(events()))
        assert len(read_audio(tmp_path / name, RATE)) == len(events())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_called_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DecodeError, match="a pipe or a device, not a file; write it to a file"):
        read_audio(tmp_path / "pipe", RATE)


def test_without_pyav_a_coded_file_names_its_format_and_the_fix(coded, monkeypatch):
    path = coded("m4a")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DecodeError, match=r"MP4 \(AAC.*needs PyAV.*pip install av.*ffmpeg -i"):
        read_audio(path, RATE)
