"""Transfer of one file over HTTP: resumed where it broke off, and checked at the end."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from vipann_tf import __version__
from vipann_tf.downloads.table import MB, RemoteFile

__all__ = ["BLOCK_BYTES", "OnNotice", "OnProgress", "TransferFailed", "check", "fetch"]

# Of (done, total, note), both in units of 10^6 bytes or in files.
OnProgress = Callable[[int, int, str], None]
# Of a sentence about something that is unusual but no failure.
OnNotice = Callable[[str], None]

BLOCK_BYTES = 1 << 18
# A server that sends nothing for this long has stopped.
TIMEOUT_S = 60.0
# Pause before a transfer that broke off goes on.
PAUSE_S = 1.0

_RANGE_NOT_SATISFIABLE = 416
# What a server or the network may do to a request or to the rest of a body.
_NETWORK_ERRORS = (OSError, http.client.HTTPException)


class TransferFailed(Exception):
    """A file could not be fetched; what has arrived is kept, unless the message says otherwise."""


class _BrokeOff(Exception):
    """The connection ended before the body did."""


def fetch(file: RemoteFile, part: Path, *, on_progress: OnProgress, on_notice: OnNotice) -> None:
    """Fetch a file; go on from what an earlier transfer left.

    A transfer that breaks off goes on by itself as long as each attempt brings something.

    Args:
      file: What to fetch.
      part: Where its bytes are collected. Beside it, `.etag` keeps the server's name of this
        version, so that a resumed file is not made of two versions.
      on_progress: Called after each block.
      on_notice: Called if a transfer broke off, or if the server makes us start again.

    Raises:
      TransferFailed: The server can't be reached, refuses, stops or has another file, or the disk
        is full.
    """
    while True:
        before = _length(part)
        try:
            _attempt(file, part, on_progress, on_notice)
            return
        except _BrokeOff as error:
            arrived = _length(part)
            if arrived <= before:
                if not arrived:
                    _forget(part)
                raise TransferFailed(
                    f"the transfer of {file.name} broke off after {arrived} bytes ({error}); the"
                    " same command goes on from there"
                ) from error
        on_notice(f"the transfer of {file.name} broke off; going on")
        time.sleep(PAUSE_S)


def check(file: RemoteFile, path: Path, *, on_progress: OnProgress) -> None:
    """Compare the size and the checksum of a fetched file with those of the table.

    A file that fails is deleted.

    Raises:
      TransferFailed: They differ.
    """
    size = _length(path)
    if file.size is not None and size != file.size:
        _refuse(path, f"{file.name} has {size} bytes, but {file.size} are expected")
    for kind, expected in (("sha256", file.sha256), ("md5", file.md5)):
        if expected is None:
            continue
        digest = hashlib.new(kind, usedforsecurity=False)
        with open(path, "rb") as content:
            while block := content.read(BLOCK_BYTES):
                digest.update(block)
                on_progress(content.tell() // MB, size // MB, f"MB of {file.name} checked")
        if digest.hexdigest() != expected:
            _refuse(
                path,
                f"the {kind.upper()} of {file.name} is {digest.hexdigest()}, but {expected} is"
                " expected",
            )


def _refuse(path: Path, why: str) -> None:
    _forget(path)
    raise TransferFailed(
        f"{why}: it was damaged on the way, or its publisher has changed it. It was deleted; try"
        " again"
    )


def _attempt(file: RemoteFile, part: Path, on_progress: OnProgress, on_notice: OnNotice) -> None:
    """Ask once for what is missing, and append it."""
    have = _length(part)
    if have and have == file.size:
        return
    try:
        response = urllib.request.urlopen(_request(file, part, have), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_NOT_SATISFIABLE or not have:
            raise TransferFailed(
                f"{urlsplit(file.url).netloc} answers {error.code} {error.reason} for {file.url}"
            ) from error
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return
        on_notice(f"{file.name} has changed there; starting again")
        _forget(part)
        _attempt(file, part, on_progress, on_notice)
        return
    except _NETWORK_ERRORS as error:
        reason = getattr(error, "reason", None) or error
        raise TransferFailed(
            f"{urlsplit(file.url).netloc} can't be reached ({reason}); check the connection, and"
            " HTTPS_PROXY if there is a proxy"
        ) from error
    with response:
        if have and response.status != http.client.PARTIAL_CONTENT:
            on_notice(
                f"the server can't go on with {file.name} at byte {have}, or it has another"
                " version; starting again"
            )
            _forget(part)
            have = 0
        _receive(response, file, part, have, on_progress)


def _request(file: RemoteFile, part: Path, have: int) -> urllib.request.Request:
    headers = {"User-Agent": f"vipann-tf/{__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
        tag = _tag(part)
        if tag.exists():
            headers["If-Range"] = tag.read_text(encoding="utf-8")
    return urllib.request.Request(file.url, headers=headers)


def _receive(
    response: http.client.HTTPResponse,
    file: RemoteFile,
    part: Path,
    have: int,
    on_progress: OnProgress,
) -> None:
    """Append a body to a part of `have` bytes."""
    length = response.headers.get("Content-Length")
    total = file.size if length is None else have + int(length)
    if None not in (total, file.size) and total != file.size:
        raise TransferFailed(
            f"{file.name} has {total} bytes at {file.url}, but {file.size} are expected; its"
            " publisher has changed it, or something between answers in its place"
        )
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - have > free:
        raise TransferFailed(
            f"{file.name} needs {(total - have) / MB:.0f} MB more, but {free / MB:.0f} MB are free"
            f" at {part.parent}; make room or choose another directory"
        )
    tag = response.headers.get("ETag", "")
    shown = round(file.expected_mb) if total is None else total // MB
    try:
        if tag.startswith('"'):  # a weak one says nothing about bytes
            _tag(part).write_text(tag, encoding="utf-8")
        with open(part, "ab") as out:
            for block in iter(lambda: _read(response), b""):
                out.write(block)
                out.flush()  # a killed process loses nothing
                have += len(block)
                on_progress(have // MB, max(shown, have // MB), f"MB of {file.name}")
    except OSError as error:
        raise TransferFailed(
            f"{part.parent} can't be written: {error.strerror}; make room or choose another"
            " directory"
        ) from error
    if total is not None and have < total:
        raise _BrokeOff(f"of {total}")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK_BYTES)  # `read` would lose what came before a break
    except _NETWORK_ERRORS as error:
        raise _BrokeOff(str(error) or type(error).__name__) from error


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tag(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag(part).unlink(missing_ok=True)
