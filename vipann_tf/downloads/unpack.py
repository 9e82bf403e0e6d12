"""Unpacking of archives whose content is not trusted."""

from __future__ import annotations

import gzip
import os
import platform
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from vipann_tf.downloads.transfer import BLOCK_BYTES, OnProgress, TransferFailed

__all__ = ["unpack"]

_DAMAGED = (zipfile.BadZipFile, tarfile.ReadError, gzip.BadGzipFile, zlib.error, EOFError)


class _Unusable(Exception):
    """What is wrong with an archive, as the rest of a sentence."""


def unpack(archive: Path, directory: Path, *, on_progress: OnProgress) -> Path:
    """Unpack a zip or tar archive.

    Args:
      archive: The archive.
      directory: Directory for its content; what an interrupted run left there is deleted.
      on_progress: Called after each file.

    Returns:
      The directory of the content: the only folder in `directory` if there is nothing else, since
      publishers put one around everything.

    Raises:
      TransferFailed: It is damaged or no archive, or one of its names leads out of the directory
        (then it was deleted), or the disk is full.
    """
    try:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        if zipfile.is_zipfile(archive):
            steps = _unpack_zip(archive, directory)
        elif tarfile.is_tarfile(archive):
            steps = _unpack_tar(archive, directory)
        else:
            raise _Unusable("is neither a zip nor a tar archive")
        for done, total in steps:
            on_progress(done, max(done, total), f"files of {archive.name} unpacked")
    except (_Unusable, *_DAMAGED) as error:
        archive.unlink()
        shutil.rmtree(directory, ignore_errors=True)
        why = error if isinstance(error, _Unusable) else f"is damaged ({error})"
        raise TransferFailed(f"{archive.name} {why}. It was deleted") from error
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise TransferFailed(
            f"{archive.name} can't be unpacked at {directory.parent}: {error.strerror or error};"
            " make room or choose another directory"
        ) from error
    names = os.listdir(directory)
    if len(names) == 1 and (directory / names[0]).is_dir():
        return directory / names[0]
    return directory


def _unpack_zip(archive: Path, directory: Path) -> Iterator[tuple[int, int]]:
    """Extract member by member, which checks each CRC-32; yield how far it is."""
    with zipfile.ZipFile(archive) as content:
        members = content.infolist()
        for member in members:
            _refuse_if_outside(member.filename)
        for done, member in enumerate(members, start=1):
            content.extract(member, directory)
            yield done, len(members)


def _refuse_if_outside(name: str) -> None:
    """Refuse what `zipfile` would rename without a word, in the paths of any system."""
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(name)
        if path.anchor or ".." in path.parts:
            raise _Unusable(
                f"holds the name {name!r}, which leads out of its directory; do not trust it"
            )


def _unpack_tar(archive: Path, directory: Path) -> Iterator[tuple[int, int]]:
    """Extract member by member; yield how far it is, of a total that is not known before."""
    if not hasattr(tarfile, "data_filter"):
        raise TransferFailed(
            f"Python {platform.python_version()} can't unpack {archive.name} safely; use 3.10.12,"
            " 3.11.4 or later"
        )
    with tarfile.open(archive) as content:
        for done, member in enumerate(content, start=1):
            try:
                content.extract(member, directory, filter="data")
            except tarfile.FilterError as error:
                raise _Unusable(
                    f"holds an entry that leads out of its directory or is no ordinary file"
                    f" ({error}); do not trust it"
                ) from error
            yield done, 0
        # The checksum of a compressed file comes last, after the end of the tar.
        while content.fileobj and content.fileobj.read(BLOCK_BYTES):
            pass
