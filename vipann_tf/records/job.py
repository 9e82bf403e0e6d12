"""A job: tasks that write files, in any order and anywhere; `local_pool` and `beam_job` do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

__all__ = ["Job", "OnSteps", "WorkerDied"]

# Called with the number of steps that are done, and of those with the job's `counted` outcome.
OnSteps = Callable[[int, int], None]


class WorkerDied(RuntimeError):
    """A worker process ended before its work did."""


class Job(Protocol):
    """What a worker needs to do any of its tasks; it is pickled."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the tasks."""

    @property
    def counted(self) -> str:
        """The outcome whose steps are counted apart."""

    def run(self, name: str, on_step: Callable[[str], None]) -> None:
        """Do a task. It reads and writes files alone.

        Args:
          name: Its name.
          on_step: Called after each step with its outcome in a word, such as "ok".
        """
