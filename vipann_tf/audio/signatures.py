"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable
from typing import Literal

__all__ = ["HEAD_BYTES", "Signature", "identify"]

# Bytes that `identify` wants to see. MP3 files may begin with padding.
HEAD_BYTES = 4096

# libsndfile reads `pcm` and `ogg`; FFmpeg, through PyAV, reads the others.
Family = Literal["pcm", "ogg", "coded", "unknown", "refused"]


@dataclasses.dataclass(frozen=True)
class Signature:
    """A kind of file.

    Attributes:
      family: Who reads it. `refused` is never given to a decoder, since FFmpeg takes almost
        anything for audio, playlists that name other files included.
      words: Its name for the user; for `refused`, what it is instead of audio.
    """

    family: Family
    words: str


def _at(place: int, *magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: any(head[place : place + len(magic)] == magic for magic in magics)


def _riff(kind: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == kind


def _mpeg_audio(head: bytes) -> bool:
    """Whether there is a frame header of MPEG audio or ADTS AAC, behind zeros perhaps."""
    head = head.lstrip(b"\0")
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if layer == 0:  # ADTS
        return head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13
    return version != 1 and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3


_KINDS: tuple[tuple[Callable[[bytes], bool], Signature], ...] = (
    (_riff(b"WAVE"), Signature("pcm", "WAV")),
    (_at(0, b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"), Signature("pcm", "W64")),
    (lambda head: head[:4] == b"FORM" and head[8:11] == b"AIF", Signature("pcm", "AIFF")),
    (_at(0, b".snd", b"dns."), Signature("pcm", "AU")),
    (_at(0, b"caff"), Signature("pcm", "CAF")),
    (_at(0, b"OggS"), Signature("ogg", "Ogg")),
    (_at(0, b"fLaC"), Signature("coded", "FLAC")),
    (_at(0, b"ID3"), Signature("coded", "MP3 (or AAC or FLAC) behind an ID3 tag")),
    (_at(4, b"ftyp"), Signature("coded", "MP4 (AAC, as .m4a, .mp4 and .3gp have)")),
    (_at(4, b"moov", b"mdat", b"wide", b"free"), Signature("coded", "QuickTime")),
    (_at(0, b"\x1a\x45\xdf\xa3"), Signature("coded", "Matroska or WebM")),
    (_at(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), Signature("coded", "Windows Media (.wma)")),
    (_at(0, b"wvpk"), Signature("coded", "WavPack")),
    (_at(0, b"#!AMR"), Signature("coded", "AMR")),
    (_at(0, b"MAC "), Signature("coded", "Monkey's Audio")),
    (_at(0, b"TTA1", b"TTA2"), Signature("coded", "True Audio")),
    (_at(0, b"DSD ", b"FRM8"), Signature("coded", "DSD")),
    (_at(0, b"\x0b\x77"), Signature("coded", "AC-3")),
    (_at(0, b"FLV\x01"), Signature("coded", "Flash video")),
    (_riff(b"AVI "), Signature("coded", "AVI")),
    (_mpeg_audio, Signature("coded", "MPEG audio (MP3 or AAC)")),
)

_LFS = b"version https://git-lfs"
_UNKNOWN = Signature("unknown", "of no known audio format")


def identify(head: bytes) -> Signature:
    """Return what a file is.

    Args:
      head: Its first `HEAD_BYTES`, or all of them.
    """
    for matches, signature in _KINDS:
        if matches(head):
            return signature
    if not head.strip(b"\0"):
        return Signature("refused", f"not audio: its first {len(head)} bytes are zero")
    if head.startswith(_LFS):
        return Signature("refused", "not audio but a Git LFS pointer; run `git lfs pull`")
    if re.match(rb"\s*<(!doctype html|html|\?xml)", head, re.IGNORECASE):
        return Signature("refused", "not audio but an HTML or XML page; download it anew")
    if _is_text(head):
        return Signature("refused", "not audio but text")
    return _UNKNOWN


def _is_text(head: bytes) -> bool:
    for cut in range(4):  # the last character may be cut
        with contextlib.suppress(UnicodeDecodeError):
            text = head[: len(head) - cut].decode("utf-8")
            break
    else:
        return False
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)
