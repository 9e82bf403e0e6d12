"""Recordings as recorders, phones and broken disks leave them, made by PyAV and by hand."""

import io
import struct

import av
import numpy as np
import soundfile

RATE = 44_100


def events(seconds: float = 3.0, rate: int = RATE, seed: int = 5) -> np.ndarray:
    """Bursts of noise at uneven times, float32 [samples], whose place a correlation finds."""
    rng = np.random.default_rng(seed)
    samples = 0.002 * rng.normal(size=round(seconds * rate))
    for begin in (0.31, 0.95, 1.42, 2.2):
        first = round(begin * seconds / 3 * rate)
        burst = rng.normal(size=round(0.08 * rate)) * np.hanning(round(0.08 * rate))
        samples[first : first + len(burst)] += 0.2 * burst[: len(samples) - first]
    return samples.astype(np.float32)


def encode(
    samples: np.ndarray, codec: str, container: str, *, rate: int = RATE, **options: str
) -> bytes:
    """Encode float32 [samples] or [samples, channels] by FFmpeg's encoder."""
    samples = samples.reshape(len(samples), -1)
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.codec_context.layout = layout
        if codec == "wmav2":
            stream.codec_context.bit_rate = 128_000
        if codec == "libmp3lame":
            stream.codec_context.options = {"q": "4"}
            stream.codec_context.flags |= 2  # qscale: a variable bit rate
            stream.codec_context.global_quality = 4 * 118
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.reshape(1, -1)), format="flt", layout=layout
        )
        frame.sample_rate = rate
        frame.pts = 0
        for packet in stream.encode(frame):
            out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return file.getvalue()


def wav(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16", **options: str) -> bytes:
    """A file that libsndfile writes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format=options.get("format", "WAV"))
    return file.getvalue()


def with_sizes(content: bytes, data: int, riff: int | None = None) -> bytes:
    """A WAV of 44 bytes of header whose sizes say something else."""
    riff = data + 36 & 0xFFFFFFFF if riff is None else riff
    sizes = struct.pack("<I", riff), struct.pack("<I", data)
    return content[:4] + sizes[0] + content[8:40] + sizes[1] + content[44:]


def with_flac_total(content: bytes, total: int) -> bytes:
    """A FLAC whose header declares so many samples."""
    place = content.index(b"fLaC") + 21
    fields = int.from_bytes(content[place : place + 5], "big") >> 36 << 36 | total
    return content[:place] + fields.to_bytes(5, "big") + content[place + 5 :]


def damaged(content: bytes, share: float, count: int = 50) -> bytes:
    """A file with bytes overwritten at a share of its length."""
    place = int(share * len(content))
    return content[:place] + b"\x55" * count + content[place + count :]


def shift(found: np.ndarray, original: np.ndarray) -> int:
    """By how many samples `found` comes later than `original`, by their correlation."""
    size = 1 << (len(found) + len(original)).bit_length()
    spectrum = np.fft.rfft(found, size) * np.conj(np.fft.rfft(original, size))
    peak = int(np.argmax(np.fft.irfft(spectrum, size)))
    return peak - size if peak > size // 2 else peak
