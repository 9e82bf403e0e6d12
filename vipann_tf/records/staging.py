"""A directory that is complete or absent: written beside its place, renamed into it at the end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator

from vipann_tf.errors import UserError

__all__ = ["WORK", "staged_directory"]

# What only the run needs lies in this folder of the staging directory.
WORK = "_work"
_LOCK = "lock"


@contextlib.contextmanager
def staged_directory(out: str | os.PathLike, *, mark: str, overwrite: bool) -> Iterator[str]:
    """Gives a temporary sibling of `out`, which becomes `out` when the block ends without error.

    The temporary name is new in every run, so that a worker that outlives a killed run cannot write
    into the next one's. What a killed run left is deleted when the next one begins; a lock, which
    the system drops with the process, tells it from a run that is alive.

    Args:
      out: The directory to make.
      mark: A file name that a directory of the same kind holds. `overwrite` deletes no other.
      overwrite: Replace an existing `out`.

    Yields:
      The staging directory's path, holding an empty folder `WORK`, which is dropped at the end.

    Raises:
      UserError: Where `out` exists and may not be replaced, its parent is not there, or another run
        is making it.
    """
    out = os.path.abspath(os.fspath(out))
    _check_replaceable(out, mark, overwrite)
    parent, name = os.path.split(out)
    prefix = f".{name}.preparing-"
    try:
        os.makedirs(parent, exist_ok=True)
        _clean(parent, prefix, out)
        stage = tempfile.mkdtemp(prefix=prefix, dir=parent)
    except OSError as error:
        raise UserError(f"can't write beside {out}: {error.strerror}; choose another place") from error
    try:
        os.chmod(stage, 0o777 & ~_umask())
        os.mkdir(os.path.join(stage, WORK))
        with _held_lock(os.path.join(stage, _LOCK)):
            yield stage
            shutil.rmtree(os.path.join(stage, WORK))
            os.remove(os.path.join(stage, _LOCK))
            _check_replaceable(out, mark, overwrite)
            _move_into_place(stage, out, parent, prefix)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _move_into_place(stage: str, out: str, parent: str, prefix: str) -> None:
    if not os.path.lexists(out):
        os.rename(stage, out)
        return
    # Killed between the two renames, `out` is absent and the next run deletes the old one.
    old = tempfile.mkdtemp(prefix=prefix, dir=parent)
    os.rename(out, old)
    os.rename(stage, out)
    shutil.rmtree(old, ignore_errors=True)


def _check_replaceable(out: str, mark: str, overwrite: bool) -> None:
    if not os.path.lexists(out) or (os.path.isdir(out) and not os.listdir(out)):
        return
    if not os.path.isfile(os.path.join(out, mark)):
        raise UserError(
            f"{out} exists and is not a directory that this command made (no {mark}); choose another"
        )
    if not overwrite:
        raise UserError(f"{out} exists; choose another output directory or add --overwrite")


def _clean(parent: str, prefix: str, out: str) -> None:
    for entry in os.listdir(parent):
        if not entry.startswith(prefix):
            continue
        stale = os.path.join(parent, entry)
        try:
            with _held_lock(os.path.join(stale, _LOCK)):
                shutil.rmtree(stale, ignore_errors=True)
        except BlockingIOError as error:
            raise UserError(
                f"another run is making {out} right now; wait for it or choose another directory"
            ) from error
        except (FileNotFoundError, NotADirectoryError):
            shutil.rmtree(stale, ignore_errors=True)


@contextlib.contextmanager
def _held_lock(path: str) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
