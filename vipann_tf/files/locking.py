"""Locks of directories, which the system releases when the process ends for any reason."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator

from vipann_tf.files.paths import StrPath

__all__ = ["locked"]

# Errors of network file systems that can't lock a directory.
_NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(directory: StrPath, *, wait: bool = False) -> Iterator[None]:
    """Hold a directory's lock, which leaves no file behind and survives renaming the directory.

    Where the file system has no such locks, a warning is logged and nothing is locked.

    Args:
      directory: An existing directory.
      wait: Whether to wait until it is free.

    Raises:
      BlockingIOError: Without `wait`, another process or this one already holds the lock.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _log.warning(
                "%s can't be locked (%s); use it for one run at a time", directory, error.strerror
            )
        yield
    finally:
        os.close(descriptor)
