"""Doing what of a study is not done: task by task, each on its own.

What a cell gives depends on its recipe, its base and its data alone, so the order and the rest of
the grid do not matter. Several processes may run one study in one directory: each takes what no
other has begun.
"""

import gc
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import tensorflow as tf
import tf_keras

from vipann_tf.errors import Stopped, UserError
from vipann_tf.files import atomic
from vipann_tf.files.locking import locked
from vipann_tf.study.grid import Cell
from vipann_tf.study.places import (
    STUDY_JSON,
    Places,
    Record,
    open_study,
    read_record,
    write_record,
)
from vipann_tf.study.plan import Task, plan
from vipann_tf.study.recipe import StudyRecipe
from vipann_tf.study.stages import prepare_dataset, run_cell, train_upstream

__all__ = ["Outcome", "run_study"]

# Called before and after each task: its place among all, their number, the task (`running` before),
# and why it failed, where it did.
OnTask = Callable[[int, int, Task, str], None]


@dataclass(frozen=True)
class Outcome:
    """What became of the tasks.

    Attributes:
      finished: Those that are finished, now or before.
      failed: Name and reason of those that are not.
      elsewhere: Those that another process is at.
    """

    finished: list[Task]
    failed: dict[str, str]
    elsewhere: list[Task]


def run_study(
    recipe: StudyRecipe,
    out: str | Path,
    chosen: Sequence[Cell],
    *,
    everything: bool = False,
    strategy: tf.distribute.Strategy | None = None,
    on_task: OnTask | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Outcome:
    """Does every task behind some cells that is not finished.

    Args:
      recipe: The study.
      out: Its directory; what is there is kept.
      chosen: Cells to do.
      everything: Whether to train and evaluate upstream networks that none of them needs, too.
      strategy: Devices; by default one.
      on_task: Called before and after each task.
      on_progress: Called within tasks: done, total, what.

    Returns:
      What became of every task. One that fails takes those with it that need it, and no others.

    Raises:
      UserError: `out` holds another study's data sets.
      Stopped: The process was told to stop; what was being trained goes on with the next call.
    """
    places = open_study(recipe, out)
    atomic.write_text(places.out / STUDY_JSON, recipe.model_dump_json(indent=1) + "\n")
    tasks = plan(places, chosen, everything=everything)
    runner = _Runner(places, strategy, on_progress or (lambda done, total, what: None))
    outcome = Outcome([], {}, [])
    for number, task in enumerate(tasks, start=1):
        if task.state == "finished" and task.stage == "prepare":
            outcome.finished.append(task)
            continue
        if on_task is not None:
            on_task(number, len(tasks), replace(task, state="running"), "")
        task, reason = runner.run(task)
        if task.state == "failed":
            outcome.failed[task.name] = reason
        else:
            (outcome.finished if task.state == "finished" else outcome.elsewhere).append(task)
        if on_task is not None:
            on_task(number, len(tasks), task, reason)
    return outcome


class _Runner:
    """Runs tasks, and remembers which have failed for the sake of those that need them."""

    def __init__(self, places: Places, strategy, on_progress):
        self._places = places
        self._strategy = strategy
        self._on_progress = on_progress
        self._failed: dict[tuple[str, str], str] = {}

    def run(self, task: Task) -> tuple[Task, str]:
        """The task with its new state, and why it failed."""
        file = self._places.record(task.stage, task.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                # Cells need data and bases, so those are waited for; a cell that another process
                # has is not this one's to do.
                stack.enter_context(locked(file.parent, wait=task.stage != "cell"))
            except BlockingIOError:
                return replace(task, state="elsewhere"), ""
            before = read_record(file)
            if task.state != "finished" and self._is_finished(task):
                seconds = before.seconds if before is not None else None
                return replace(task, state="finished", seconds=seconds), ""
            record = self._attempt(task, file, before)
        if record.status == "failed":
            self._failed[task.stage, task.name] = record.reason
        return replace(task, state=record.status, seconds=record.seconds), record.reason

    def _attempt(self, task: Task, file: Path, before: Record | None) -> Record:
        spent = before.seconds if before is not None and before.status == "stopped" else 0.0
        started = time.monotonic()

        def record(status, *texts):
            return Record(status, round(spent + time.monotonic() - started, 1), *texts)

        try:
            self._check_needs(task)
            self._do(task)
        except (Stopped, KeyboardInterrupt):
            write_record(file, record("stopped"))
            raise
        except UserError as error:
            found = record("failed", str(error))
        except Exception as error:  # a study of days must not end because of one cell
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]
            found = record("failed", reason, traceback.format_exc())
        else:
            found = record("finished")
        finally:
            if task.state != "finished" and task.stage != "prepare":
                # Layers, graphs and their memory; and names that count on from one to the next.
                tf_keras.backend.clear_session()
                gc.collect()
        if task.state == "finished" and before is not None:
            found = replace(found, seconds=before.seconds)  # it was only looked at
        write_record(file, found)
        return found

    def _do(self, task: Task) -> None:
        if task.stage == "prepare":
            prepare_dataset(self._places, task.name, self._on_progress)
        elif task.stage == "upstream":
            train_upstream(self._places, task.name, self._strategy, self._on_progress)
        else:
            run_cell(self._places, task.cell, self._strategy, self._on_progress)

    def _is_finished(self, task: Task) -> bool:
        if task.stage == "prepare":
            return self._places.dataset_there(task.name)
        if task.stage == "upstream":
            return self._places.upstream_finished(task.name)
        return self._places.finished(task.cell)

    def _check_needs(self, task: Task) -> None:
        """Raises a `UserError` where something that the task needs has failed."""
        recipe = self._places.recipe
        if task.stage == "upstream":
            needs = [("prepare", recipe.upstream[task.name].data)]
        elif task.stage == "cell":
            downstream = recipe.downstream[task.cell.downstream]
            needs = [("prepare", name) for name in (downstream.data, *downstream.ood)]
            needs.append(("upstream", task.cell.upstream))
        else:
            needs = []
        for stage, name in needs:
            if (stage, name) in self._failed:
                what = "data set" if stage == "prepare" else "upstream network"
                raise UserError(f"{what} {name} failed: {self._failed[stage, name]}")
