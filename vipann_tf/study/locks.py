"""Locks by which several processes share one study's directory; they go with their process."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

__all__ = ["locked"]


@contextlib.contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[bool]:
    """Holds a lock file while the block runs.

    Args:
      file: The lock file, made where it is not there, and left there.
      wait: Whether to wait for a process that holds it.

    Yields:
      Whether the lock is held: always with `wait`.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a", encoding="utf-8") as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
