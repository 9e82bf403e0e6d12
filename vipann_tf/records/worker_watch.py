"""Run a pipeline on worker processes without waiting for ever when one of them dies.

Beam's local runner does not notice that a worker was killed (no memory, a crash in a C library).
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator

__all__ = ["WorkerDied", "run_watched"]

_POLL_S = 0.2
# Threads of Beam that raise when a worker is gone.
_WORKER_THREAD = "run_worker"
_BEAM_THREADS = (_WORKER_THREAD, "beam_control_read", "read_grpc_client_inputs")
_LAST_WORDS_S = 5


class WorkerDied(RuntimeError):
    """A worker process ended before its work did."""


def run_watched(start: Callable[[str], Callable[[], None]]) -> None:
    """Run a pipeline to its end, until a worker dies or until this thread is interrupted.

    Args:
      start: Takes a directory and returns a function that runs the pipeline. Every worker writes
        a file, named by its process id, into the directory.

    Raises:
      WorkerDied: A worker ended early.
      BaseException: The error of the pipeline.
    """
    with tempfile.TemporaryDirectory(prefix="vipann-tf-workers-") as pids, _deaths() as died:
        run = start(pids)
        outcome: list[BaseException] = []

        def target() -> None:
            try:
                run()
            except BaseException as error:  # handed to the caller below
                outcome.append(error)

        # If a worker died, this thread is left behind, blocked in Beam.
        thread = threading.Thread(target=target, daemon=True, name="beam_pipeline")
        thread.start()
        try:
            while thread.is_alive() and not died:
                thread.join(_POLL_S)
        finally:
            if thread.is_alive():
                _kill(pids)
    if died:
        raise WorkerDied(died[0])
    if outcome:
        raise outcome[0]


@contextlib.contextmanager
def _deaths() -> Iterator[list[str]]:
    """Collect the reports of Beam's threads about dead workers, instead of printing them."""
    died: list[str] = []
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else ""
        if not name.startswith(_BEAM_THREADS):
            before(args)
        elif name.startswith(_WORKER_THREAD):
            died.append(str(args.exc_value))

    threading.excepthook = hook
    try:
        yield died
    finally:
        threading.excepthook = before


def _kill(pids: str) -> None:
    for pid in os.listdir(pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), getattr(signal, "SIGKILL", signal.SIGTERM))  # noqa: TID251
    for thread in threading.enumerate():
        if thread.name.startswith(_BEAM_THREADS):
            thread.join(_LAST_WORDS_S)
