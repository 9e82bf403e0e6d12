"""Trainings at the same time, each in its own process that sees one device."""

import contextlib
import functools
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Any

import joblib

from vipann_tf.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

# Called with a function that takes progress reports. Tasks and reports must be picklable.
Task = Callable[[Callable[[Any], None]], None]
# A task that in this process also takes the devices to train on, and need not report.
Training = Callable[..., None]
# Longest time for a stopped process to write its checkpoint, in seconds.
_STOP_S = 120


@dataclass(frozen=True)
class _Worker:
    """A process that runs a task.

    Attributes:
      name: Name of the task.
      process: The process.
      reports: Connection with its reports.
      environment: Environment variables that select its devices.
    """

    name: str
    process: SpawnProcess
    reports: Connection
    environment: dict[str, str]


def run_trainings(
    trainings: Mapping[str, Training],
    *,
    parallel: int,
    distribution: "tf.distribute.Strategy | None",
    on_progress: Callable[[str, Any], None] | None,
) -> None:
    """Run trainings one after another in this process, or several at the same time in others.

    Args:
      trainings: Trainings by name.
      parallel: Number of trainings at the same time.
      distribution: Devices of each training in this process; `None` for one.
      on_progress: Called with the name of a training and its report.

    Raises:
      UserError: See `run_in_processes`.
    """
    if parallel > 1:
        import tensorflow as tf  # not for a worker before its environment is set

        run_in_processes(
            trainings,
            parallel,
            gpus=len(tf.config.list_physical_devices("GPU")),
            on_progress=on_progress,
        )
        return
    for name, training in trainings.items():
        training(functools.partial(on_progress, name) if on_progress else None, distribution)


def run_in_processes(
    tasks: Mapping[str, Task],
    count: int,
    *,
    gpus: int,
    on_progress: Callable[[str, Any], None] | None = None,
) -> None:
    """Run several tasks at the same time; each sees one GPU or its share of the cores.

    If one fails, SIGTERM stops the others, and trainings write a checkpoint. If this process is
    killed, they stop at their next report.

    Args:
      tasks: Tasks by name.
      count: Number of tasks at the same time.
      gpus: Number of GPUs of the machine.
      on_progress: Called with the name of a task and its report.

    Raises:
      UserError: A task raised it, a process was killed, or there are fewer GPUs than `count`.
    """
    free = _environments(count, gpus)
    waiting = list(tasks.items())
    running: list[_Worker] = []
    try:
        while waiting or running:
            while waiting and free:
                name, task = waiting.pop(0)
                running.append(_start(name, task, free.pop()))
            ready = wait([worker.reports for worker in running])
            for worker in [worker for worker in running if worker.reports in ready]:
                if _finished(worker, on_progress):
                    running.remove(worker)
                    free.append(worker.environment)
    finally:
        _stop(running)


def _environments(count: int, gpus: int) -> list[dict[str, str]]:
    """Return the environment variables that select the devices of each process."""
    if count < 1:
        raise UserError(f"{count} folds at the same time; use 1 or more")
    if not gpus:
        threads = max(1, joblib.cpu_count() // count)
        return [{"TF_NUM_INTRAOP_THREADS": str(threads)} for _ in range(count)]
    if count > gpus:
        raise UserError(
            f"{count} folds at the same time need one GPU each, but there are {gpus}; use {gpus} "
            "or fewer"
        )
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",") if named else [str(number) for number in range(gpus)]
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names[:count]]


def _start(name: str, task: Task, environment: dict[str, str]) -> _Worker:
    # TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    reports, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task, sender))
    with _environment(environment):
        process.start()
    sender.close()
    return _Worker(name=name, process=process, reports=reports, environment=environment)


def _work(task: Task, sender: Connection) -> None:
    """Run a task in its process, and send its reports and its outcome."""

    def report(progress: Any) -> None:
        try:
            sender.send(("progress", progress))
        except BrokenPipeError:
            # The parent process has ended.
            signal.raise_signal(signal.SIGTERM)

    last: tuple[str, str | None] = ("done", None)
    try:
        task(report)
    except UserError as error:
        last = ("error", str(error))
    except KeyboardInterrupt:
        last = ("error", "interrupted")
    except Exception:
        last = ("crash", traceback.format_exc())
    with contextlib.suppress(BrokenPipeError):
        sender.send(last)


def _finished(worker: _Worker, on_progress: Callable[[str, Any], None] | None) -> bool:
    """Take one report, and return whether it is the last one."""
    name, process = worker.name, worker.process
    try:
        kind, content = worker.reports.recv()
    except EOFError:
        process.join()
        raise UserError(
            f"{name}: its process ended with status {process.exitcode}, perhaps out of memory; the "
            "same command resumes"
        ) from None
    if kind == "progress":
        if on_progress is not None:
            on_progress(name, content)
        return False
    process.join()
    worker.reports.close()
    if kind == "error":
        raise UserError(f"{name}: {content}")
    if kind == "crash":
        raise RuntimeError(f"{name}:\n{content}")
    return True


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        # If it stayed open and full, the process would wait for ever to report.
        worker.reports.close()
        worker.process.join(_STOP_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
