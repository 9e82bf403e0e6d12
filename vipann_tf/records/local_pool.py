"""Jobs done on this machine, by worker processes: a job is tasks that write files."""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from multiprocessing.process import BaseProcess

import joblib

from vipann_tf.files import storage
from vipann_tf.records.job import Job, OnSteps, WorkerDied

__all__ = ["run_job"]

# Below this many steps (clips of a preparation), worker processes take longer to start than they
# save, so this process does the work unless the user asks for workers.
SINGLE_WORKER_STEPS = 500
# Python's limit of a pool.
_MAX_WORKERS = 61 if sys.platform == "win32" else sys.maxsize
_PROGRESS_INTERVAL_S = 0.2


class _Counters:
    """What the workers are at, in memory that they share.

    Each place is written by one process at a time, so there is no lock that a dead one could hold.
    """

    def __init__(self, tasks: int):
        context = multiprocessing.get_context("spawn")
        self.steps = context.RawArray(ctypes.c_int64, tasks)  # done, of each task
        self.counted = context.RawArray(ctypes.c_int64, tasks)  # and with the counted outcome
        self.doers = context.RawArray(ctypes.c_int64, tasks)  # process id, 0 for nobody


def run_job(workers: int | None, job: Job, steps: int, on_steps: OnSteps) -> None:
    """Do the tasks of a job, several at a time.

    An interrupt or an error ends the workers at once; what finished tasks wrote stays.

    Args:
      workers: Number of processes; `None` chooses.
      job: Its tasks.
      steps: Number of steps in all tasks.
      on_steps: Called with the steps done, and those of them with the counted outcome.

    Raises:
      WorkerDied: A worker process died.
    """
    names = list(job.names)
    if workers is None:
        workers = 1 if steps < SINGLE_WORKER_STEPS else joblib.cpu_count()
    workers = min(workers, len(names), _MAX_WORKERS)
    if workers > 1:
        _run_in_processes(job, names, workers, on_steps)
        return
    done = counted = 0

    def on_step(outcome: str) -> None:
        nonlocal done, counted
        done += 1
        counted += outcome == job.counted
        on_steps(done, counted)

    for name in names:
        job.run(name, on_step)


def _run_in_processes(job: Job, names: Sequence[str], workers: int, on_steps: OnSteps) -> None:
    counters = _Counters(len(names))
    context = multiprocessing.get_context("spawn")  # threads do not survive a fork
    others = set(multiprocessing.active_children())
    processes: list[BaseProcess] = []
    executor = ProcessPoolExecutor(workers, context, _start, (job, counters))
    try:
        with _starting(job):
            left = {executor.submit(_run, *pair) for pair in enumerate(names)}
            processes = [p for p in multiprocessing.active_children() if p not in others]
        while left:
            done, left = concurrent.futures.wait(
                left, timeout=_PROGRESS_INTERVAL_S, return_when="FIRST_COMPLETED"
            )
            for future in done:
                future.result()
            on_steps(sum(counters.steps), sum(counters.counted))
    except BrokenProcessPool as error:
        executor.shutdown()  # waits for the exit statuses
        raise WorkerDied(_obituary(processes, names, counters)) from error
    except BaseException:
        for process in processes:
            process.kill()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _starting(job: Job) -> Iterator[None]:
    """Start workers that ignore Ctrl-C from the beginning, and do not run the user's script.

    A new process imports the script again, which would start a preparation within the preparation
    if the script lacks `if __name__ == "__main__"`. The workers need it only for a function in it.
    """
    main = sys.modules["__main__"]
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    if b"__main__" not in pickle.dumps(job):
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


def _obituary(processes: Sequence[BaseProcess], names: Sequence[str], counters: _Counters) -> str:
    """Say which worker died at which task; the pool itself has ended the others by SIGTERM."""
    dead = [p for p in processes if p.exitcode not in (0, -signal.SIGTERM)] or list(processes)
    pids = {process.pid for process in dead}
    found = [name for name, pid in zip(names, counters.doers, strict=True) if pid in pids]
    status = ", ".join(str(process.exitcode) for process in dead)
    return (
        f"a worker process died (exit status {status or 'unknown'}) while it wrote"
        f" {' or '.join(found) or 'nothing yet'}"
    )


# Of a worker process.
_job: Job
_counters: _Counters


def _start(job: Job, counters: _Counters) -> None:
    """Prepare a worker process: the pool's owner alone ends it, by Ctrl-C or by its own end."""
    global _job, _counters
    _job, _counters = job, counters
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    atexit.register(_end)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _end() -> None:
    if storage.aborts_at_exit():
        os._exit(0)


def _run(number: int, name: str) -> None:
    _counters.doers[number] = os.getpid()

    def on_step(outcome: str) -> None:
        _counters.steps[number] += 1
        _counters.counted[number] += outcome == _job.counted

    _job.run(name, on_step)
    _counters.doers[number] = 0
