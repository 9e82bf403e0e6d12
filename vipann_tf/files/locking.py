"""Locks on files, which the system releases when the process ends for any reason."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterator

from filelock import FileLock, Timeout

from vipann_tf.files.paths import StrPath

__all__ = ["is_locked", "locked"]

_LOCK_FILE = ".lock"
# Errors of network file systems without locks.
_NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(directory: StrPath, *, name: str = _LOCK_FILE, wait: bool = False) -> Iterator[None]:
    """Hold a lock file in a directory; it is removed at the end.

    A killed process leaves its file, but not its lock. Where the file system has no locks, a
    warning is logged and nothing is locked.

    Args:
      directory: An existing directory.
      name: Name of the lock file in it.
      wait: Whether to wait until it is free.

    Raises:
      BlockingIOError: Without `wait`, another process or this one already holds the lock.
      OSError: The file can't be written.
    """
    file = os.path.join(directory, name)
    lock = FileLock(file)
    try:
        lock.acquire(blocking=wait)
    except Timeout as error:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), file) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _log.warning(
            "%s can't be locked (%s); use it for one run at a time", directory, error.strerror
        )
    try:
        yield
    finally:
        # While the lock is held: whoever waits for this file then makes a new one. Windows refuses
        # to remove an open file; there, the release removes it.
        with contextlib.suppress(OSError):
            os.remove(file)
        lock.release()


def is_locked(directory: StrPath) -> bool:
    """Return whether a process holds the lock of a directory; write nothing if there is none."""
    if not os.path.exists(os.path.join(directory, _LOCK_FILE)):
        return False
    try:
        with locked(directory):
            return False
    except (BlockingIOError, PermissionError):
        return True
