"""Shards written on this machine, by worker processes."""

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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from multiprocessing.process import BaseProcess

import joblib

from vipann_tf.files import storage
from vipann_tf.records.shards import ShardJob, WorkerDied, write_shard

__all__ = ["write_shards"]

# Below this many clips, worker processes take longer to start than they save, so this process does
# the work unless the user asks for workers.
SINGLE_WORKER_CLIPS = 500
# Python's limit of a pool.
_MAX_WORKERS = 61 if sys.platform == "win32" else sys.maxsize
_PROGRESS_INTERVAL_S = 0.2


class _Counters:
    """What the workers are at, in memory that they share.

    Each place is written by one process at a time, so there is no lock that a dead one could hold.
    """

    def __init__(self, shards: int):
        context = multiprocessing.get_context("spawn")
        self.clips = context.RawArray(ctypes.c_int64, shards)  # done, of each shard
        self.writers = context.RawArray(ctypes.c_int64, shards)  # process id, 0 for nobody


def write_shards(
    workers: int | None, job: ShardJob, clips: int, on_clips: Callable[[int], None]
) -> None:
    """Write the shards of a job, several at a time.

    An interrupt or an error ends the workers at once; shards that are whole stay.

    Args:
      workers: Number of processes; `None` chooses.
      job: Settings and directories.
      clips: Number of clips in all shards.
      on_clips: Called with the number of clips done.

    Raises:
      WorkerDied: A worker process died.
    """
    names = list(job.splits)
    if workers is None:
        workers = 1 if clips < SINGLE_WORKER_CLIPS else joblib.cpu_count()
    workers = min(workers, len(names), _MAX_WORKERS)
    if workers > 1:
        _write_in_processes(job, names, workers, on_clips)
        return
    done = 0

    def on_clip(_: str) -> None:
        nonlocal done
        done += 1
        on_clips(done)

    for name in names:
        write_shard(job, name, on_clip)


def _write_in_processes(
    job: ShardJob, names: Sequence[str], workers: int, on_clips: Callable[[int], None]
) -> None:
    counters = _Counters(len(names))
    context = multiprocessing.get_context("spawn")  # threads do not survive a fork
    others = set(multiprocessing.active_children())
    processes: list[BaseProcess] = []
    executor = ProcessPoolExecutor(workers, context, _start, (job, counters))
    try:
        with _starting(job):
            left = {executor.submit(_write, *pair) for pair in enumerate(names)}
            processes = [p for p in multiprocessing.active_children() if p not in others]
        while left:
            done, left = concurrent.futures.wait(
                left, timeout=_PROGRESS_INTERVAL_S, return_when="FIRST_COMPLETED"
            )
            for future in done:
                future.result()
            on_clips(sum(counters.clips))
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
def _starting(job: ShardJob) -> Iterator[None]:
    """Start workers that ignore Ctrl-C from the beginning, and do not run the user's script.

    A new process imports the script again, which would start a preparation within the preparation
    if the script lacks `if __name__ == "__main__"`. The workers need it only for a `decode` in it.
    """
    main = sys.modules["__main__"]
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    if b"__main__" not in pickle.dumps(job.decode):
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


def _obituary(processes: Sequence[BaseProcess], names: Sequence[str], counters: _Counters) -> str:
    """Say which worker died at which shard; the pool itself has ended the others by SIGTERM."""
    dead = [p for p in processes if p.exitcode not in (0, -signal.SIGTERM)] or list(processes)
    pids = {process.pid for process in dead}
    found = [name for name, pid in zip(names, counters.writers, strict=True) if pid in pids]
    status = ", ".join(str(process.exitcode) for process in dead)
    return (
        f"a worker process died (exit status {status or 'unknown'}) while it wrote"
        f" {' or '.join(found) or 'nothing yet'}"
    )


# Of a worker process.
_job: ShardJob
_counters: _Counters


def _start(job: ShardJob, counters: _Counters) -> None:
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


def _write(number: int, name: str) -> None:
    _counters.writers[number] = os.getpid()

    def on_clip(_: str) -> None:
        _counters.clips[number] += 1

    write_shard(_job, name, on_clip)
    _counters.writers[number] = 0
