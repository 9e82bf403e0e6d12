"""Independent trainings at the same time, each in a process of its own that sees one device."""

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait

from vipann_tf.errors import UserError

# Called with a function to report progress to; it and what it reports can be pickled.
Task = Callable[[Callable[[object], None]], None]
# How long a process that is told to stop may take to write its checkpoint.
_STOP_S = 120


def run_in_processes(
    tasks: Mapping[str, Task],
    count: int,
    *,
    gpus: int,
    on_progress: Callable[[str, object], None] | None = None,
) -> None:
    """Runs tasks, so many at once, each seeing one GPU, or its share of the cores.

    Where one fails the others are stopped by SIGTERM, which trainings answer with a checkpoint. Where
    this process is killed they stop by themselves at their next report.

    Args:
      tasks: By name.
      count: How many at once.
      gpus: How many there are.
      on_progress: Called with the name of a task and what it reported.

    Raises:
      UserError: A task raised it, or its process was killed; or there are fewer GPUs than `count`.
    """
    places = _places(count, gpus)
    waiting, running = list(tasks.items()), {}
    try:
        while waiting or running:
            while waiting and places:
                name, task = waiting.pop(0)
                place = places.pop()
                process, reports = _start(task, place)
                running[reports] = name, process, place
            for reports in wait(list(running)):
                name, process, place = running[reports]
                if _finished(name, process, reports, on_progress):
                    del running[reports]
                    places.append(place)
    finally:
        _stop([(process, reports) for reports, (_, process, _) in running.items()])


def _places(count: int, gpus: int) -> list[dict[str, str]]:
    """Environment variables of each process: what it sees of the machine."""
    if count < 1:
        raise UserError(f"{count} folds at once; use 1 or more")
    if not gpus:
        threads = max(1, len(os.sched_getaffinity(0)) // count)
        return [{"TF_NUM_INTRAOP_THREADS": str(threads)} for _ in range(count)]
    if count > gpus:
        raise UserError(
            f"{count} folds at once, one a GPU, but there are {gpus}; use {gpus} or fewer"
        )
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",") if named else [str(number) for number in range(gpus)]
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names[:count]]


def _start(task: Task, place: dict[str, str]):
    # A forked process would inherit TensorFlow's threads, which do not survive it.
    context = multiprocessing.get_context("spawn")
    reports, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task, sender))
    with _environment(place):
        process.start()
    sender.close()
    return process, reports


def _work(task: Task, sender: Connection) -> None:
    """What such a process does."""

    def report(progress) -> None:
        try:
            sender.send(("progress", progress))
        except BrokenPipeError:
            # Nobody waits for this process any more.
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        task(report)
        last = ("done", None)
    except UserError as error:
        last = ("error", str(error))
    except KeyboardInterrupt:
        last = ("error", "interrupted")
    except Exception:
        last = ("crash", traceback.format_exc())
    with contextlib.suppress(BrokenPipeError):
        sender.send(last)


def _finished(name: str, process, reports: Connection, on_progress) -> bool:
    """Takes one report; whether it is the last one."""
    try:
        kind, content = reports.recv()
    except EOFError:
        process.join()
        raise UserError(
            f"{name}: its process ended with status {process.exitcode}, out of memory perhaps; the same "
            "command goes on"
        ) from None
    if kind == "progress":
        if on_progress is not None:
            on_progress(name, content)
        return False
    process.join()
    reports.close()
    if kind == "error":
        raise UserError(f"{name}: {content}")
    if kind == "crash":
        raise RuntimeError(f"{name}:\n{content}")
    return True


def _stop(running: list) -> None:
    for process, _ in running:
        process.terminate()
    for process, reports in running:
        # Emptied or closed, else it may wait for ever to report.
        reports.close()
        process.join(_STOP_S)
        if process.is_alive():
            process.kill()
            process.join()


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
