"""Audio files damaged in every way that a download or a disk damages them."""

import io

import numpy as np
import soundfile

FORMATS = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "float.wav": {"format": "WAV", "subtype": "FLOAT"},
    "flac": {"format": "FLAC"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "mp3": {"format": "MP3"},
}
DAMAGES = ("truncation", "bit flips", "header", "zeros", "text", "garbage", "doubled")


def sound(kind: str, rng: np.random.Generator) -> bytes:
    """A valid file of half a second to two."""
    rate = int(rng.choice([8_000, 22_050, 44_100]))
    channels = int(rng.choice([1, 2]))
    samples = rng.normal(0, 0.1, (int(rate * rng.uniform(0.5, 2)), channels))
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
    else:
        raise ValueError(f"damage {how!r} is unknown; use one of {', '.join(DAMAGES)}")
    return bytes(damaged)


def write_mutants(folder, count: int, seed: int) -> list[str]:
    """Writes so many damaged files, every format and damage in turn, and returns their names."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    names = []
    for number in range(count):
        kind = list(FORMATS)[number % len(FORMATS)]
        how = DAMAGES[number % len(DAMAGES)]
        name = f"{number:04d}.{kind}"
        (folder / name).write_bytes(damage(sound(kind, rng), how, rng))
        names.append(name)
    return names
