"""What a file is, by its name: a sound, a companion of sounds, or something that can't be used."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from vipann_tf.audio.recording import HEADERLESS, HEADERLESS_DETAIL
from vipann_tf.datasets.base import Rejection

__all__ = ["AUDIO_SUFFIXES", "count_suffixes", "is_companion", "is_hidden", "suffix", "unusable"]


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


# Formats that libsndfile or FFmpeg reads, and formats of recorders that users expect us to read:
# the latter are tried, so that they appear in rejected.csv with the reason.
AUDIO_SUFFIXES = _suffixes(
    # libsndfile
    "wav wave bwf flac ogg oga opus mp3 mp2 mp1 mpga aif aiff aifc afc au snd caf w64 rf64 iff 8svx"
    " svx sph nist voc ircam paf pvf htk sds avr xi sd2"
    # FFmpeg
    " m4a m4b m4r mp4 m4v aac adts ac3 eac3 wma asf wv ape tta tak mpc shn spx amr awb 3gp 3gpp 3g2"
    " mka mkv webm weba dsf dff dts ra rm oma qcp"
    # sound in films
    " mov avi flv mpg mpeg mts m2ts wmv ogv f4v"
    # compressed recordings of wildlife recorders
    " w4v wac"
)

# They may hold sounds.
_ARCHIVES = _suffixes("zip 7z rar tar gz tgz bz2 xz zst iso aup3 band logicx")

# What people keep beside sounds, and nobody takes for one.
_COMPANIONS = _suffixes(
    "txt md rst rtf pdf doc docx odt htm html log nfo tex bib eml"
    # tables and settings
    " csv tsv xls xlsx ods json jsonl yaml yml xml toml ini cfg conf db sqlite sqlite3 parquet"
    " feather gpx kml geojson"
    # labels, marks, lists and caches of sound editors
    " textgrid lab eaf ant svl svp cue srt vtt rttm jams aup m3u m3u8 pls asd pkf pk reapeaks rpp"
    " sfk sfl wfm"
    # pictures
    " png jpg jpeg gif bmp tif tiff svg webp heic ico eps"
    # programs
    " py pyc ipynb r m sh bat ps1 js css"
    # checksums and links
    " md5 sha1 sha256 sha512 sig asc url lnk webloc torrent"
)
_COMPANION_NAMES = frozenset(
    [
        *("authors", "changelog", "changes", "copying", "credits", "licence", "license"),
        *("makefile", "manifest", "notice", "readme", "todo", "version"),
        *("md5sums", "sha1sums", "sha256sums"),
    ]
)

# What systems put into folders; macOS, Windows, Synology.
_SYSTEM_NAMES = frozenset(
    [
        *("__macosx", "icon\r"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *("@eadir", "#recycle"),
    ]
)


def is_hidden(name: str) -> bool:
    """Return whether systems hide a file or folder of this name, so that nobody misses it."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def suffix(name: str) -> str:
    """Return a file name's suffix in lower case, with its dot; empty if it has none."""
    return os.path.splitext(name)[1].lower()


def is_companion(name: str) -> bool:
    """Return whether a file is text, a table, a picture or the like, which holds no sound."""
    last = name.rsplit("/", 1)[-1].lower()
    return suffix(name) in _COMPANIONS or last in _COMPANION_NAMES


def unusable(path: str, name: str) -> Rejection | None:
    """Return the rejection of a file that may hold a sound but has no suffix of sounds.

    Args:
      path: The file.
      name: Its name in its source, which is its clip id.

    Returns:
      `None` for sounds and companions.
    """
    kind = suffix(name)
    if kind in AUDIO_SUFFIXES or is_companion(name):
        return None
    if kind in HEADERLESS:
        return Rejection(path, name, "headerless", HEADERLESS_DETAIL)
    if kind in _ARCHIVES:
        return Rejection(path, name, "archive", "unpack it, or export its sound")
    fix = "give it that of its format, such as .wav, or convert it: ffmpeg -i IN OUT.wav"
    what = f"{kind} is no suffix of a sound" if kind else "it has no suffix"
    return Rejection(path, name, "unknown-suffix", f"{what}; {fix}")


def count_suffixes(names: Iterable[str]) -> str:
    """Return how many names have which suffix, in words: `7 .txt, 1 without a suffix`."""
    counts = Counter(suffix(name) for name in names)
    return ", ".join(
        f"{count} {kind or 'without a suffix'}"
        for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
