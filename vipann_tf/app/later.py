"""Work of minutes that a page needs later: done beside other work, or when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Later"]

T = TypeVar("T")


class Later(Generic[T]):
    """A result that is computed once, in whichever thread asks first. Safe for threads.

    Args:
      work: Computes the result; it is given what to call with the number of steps done and their
        total.
    """

    def __init__(self, work: Callable[[Callable[[int, int], None]], T]):
        self._work, self._lock = work, threading.Lock()
        self._found: list[T] = []
        self._steps: tuple[int, int] | None = None
        self._is_stopped = False

    @property
    def is_ready(self) -> bool:
        """Whether the result is there."""
        return bool(self._found)

    @property
    def steps(self) -> tuple[int, int] | None:
        """Steps done and their total while it is computed."""
        return self._steps

    def get(self) -> T:
        """Return the result; compute it, or wait while another thread does.

        Raises:
          Exception: That of the work. Who asks again tries again.
        """
        with self._lock:
            if not self._found:
                try:
                    self._steps = 0, 0
                    self._found.append(self._work(self._show))
                finally:
                    self._steps = None
            return self._found[0]

    def stop(self) -> None:
        """Let a computation end at its next step, in its thread, by an error."""
        self._is_stopped = True

    def _show(self, done: int, total: int) -> None:
        if self._is_stopped:
            raise InterruptedError("the page was closed")
        self._steps = done, total
