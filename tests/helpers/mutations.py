"""Audio files damaged in every way that a download or a disk damages them."""

import io

import av
import numpy as np
import soundfile

from tests.helpers.recordings import encode
from vipann_tf.audio.decoding import DecodeError, Decoder

FORMATS = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "float.wav": {"format": "WAV", "subtype": "FLOAT"},
    "flac": {"format": "FLAC"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "mp3": {"format": "MP3"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "w64": {"format": "W64", "subtype": "PCM_24"},
    "aiff": {"format": "AIFF", "subtype": "PCM_16"},
}
# Encoded by FFmpeg: codec and container.
CODED = {
    "m4a": ("aac", "ipod"),
    "aac": ("aac", "adts"),
    "vbr.mp3": ("libmp3lame", "mp3"),
    "wv": ("wavpack", "wv"),
}
KINDS = (*FORMATS, *CODED)
DAMAGES = (
    *("truncation", "bit flips", "header", "zeros", "text", "garbage", "doubled"),
    *("tail", "joined", "byte"),
)


def sound(kind: str, rng: np.random.Generator) -> bytes:
    """A valid file of half a second to two."""
    rate = 48_000 if kind == "opus" else int(rng.choice([8_000, 22_050, 44_100]))
    channels = int(rng.choice([1, 2]))
    samples = rng.normal(0, 0.1, (int(rate * rng.uniform(0.5, 2)), channels))
    if kind in CODED:
        return encode(samples.astype(np.float32), *CODED[kind], rate=rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, **FORMATS[kind])
    return buffer.getvalue()


def damage(data: bytes, how: str, rng: np.random.Generator) -> bytes:
    """The file after one kind of damage."""
    damaged = bytearray(data)
    if how == "truncation":
        return bytes(damaged[: rng.integers(0, len(data))])
    if how == "bit flips":
        for place in rng.integers(0, len(data), rng.integers(1, 50)):
            damaged[place] ^= 1 << int(rng.integers(8))
    elif how == "header":
        for place in rng.integers(0, min(64, len(data)), rng.integers(1, 12)):
            damaged[place] = int(rng.integers(256))
    elif how == "zeros":
        first, last = sorted(rng.integers(0, len(data), 2))
        damaged[first:last] = bytes(last - first)
    elif how == "text":
        return b"404 Not Found: the requested recording does not exist\n" * int(rng.integers(0, 40))
    elif how == "garbage":
        return rng.bytes(int(rng.integers(0, 4_000)))
    elif how == "doubled":
        place = int(rng.integers(0, len(data)))
        damaged[place:place] = data
    elif how == "tail":
        return data + rng.bytes(int(rng.integers(1, 3_000)))
    elif how == "joined":
        return data + data
    elif how == "byte":  # one byte of the fields of lengths
        damaged[int(rng.integers(min(48, len(data))))] ^= 1 << int(rng.integers(8))
    else:
        raise ValueError(f"damage {how!r} is unknown; use one of {', '.join(DAMAGES)}")
    return bytes(damaged)


def write_mutants(folder, count: int, seed: int) -> list[str]:
    """Writes so many damaged files, every format and damage in turn, and returns their names."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    names = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        how = DAMAGES[number // len(KINDS) % len(DAMAGES)]
        name = f"{number:04d}.{kind}"
        (folder / name).write_bytes(damage(sound(kind, rng), how, rng))
        names.append(name)
    return names


def lost_in_silence(path) -> str:
    """What our decoder lost of a file without a word, by another decoder's count; empty if nothing.

    libsndfile is the other one where FFmpeg reads, and FFmpeg where libsndfile reads.
    """
    found = []
    decoder = Decoder(32_000, on_finding=lambda *finding: found.append(finding))
    try:
        seconds = len(decoder.read(path)) / 32_000
    except DecodeError:
        return ""
    others = [count(path) for count in (_by_libsndfile, _by_ffmpeg)]
    most = max((other for other in others if other is not None), default=0.0)
    # A frame of each coding at the lowest rate, and what encoders put in front and behind.
    if most - seconds > 2 * 2048 / 8_000 and not found:
        return f"{path}: {seconds:.3f} s of {most:.3f} s, without a word"
    return ""


def _by_libsndfile(path) -> float | None:
    try:
        with soundfile.SoundFile(path) as sound:
            return len(sound.read()) / sound.samplerate
    except (soundfile.SoundFileError, TypeError, ValueError, MemoryError):
        return None


def _by_ffmpeg(path) -> float | None:
    count = 0.0
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            for frame in container.decode(audio=0):
                count += frame.samples / frame.sample_rate
    except (av.FFmpegError, ValueError, IndexError, EOFError):
        pass
    return count or None
