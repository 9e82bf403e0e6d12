"""Run the unfinished jobs of a study, each on its own.

The result of a cell depends only on its recipe, its base and its data, so the order and the rest of
the grid do not matter. Several processes may run one study in one directory: each takes the jobs
that no other has begun.
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
from vipann_tf.files.paths import StrPath
from vipann_tf.study.directory import (
    STUDY_JSON,
    Record,
    StudyDirectory,
    open_study,
    read_record,
    write_record,
)
from vipann_tf.study.grid import Cell
from vipann_tf.study.jobs import Job, OnProgress
from vipann_tf.study.plan import JobStatus, plan
from vipann_tf.study.recipe import StudyRecipe

__all__ = ["Outcome", "run_study"]

# Called before and after each job: its number, the number of jobs, its status (first `running`).
OnJob = Callable[[int, int, JobStatus], None]


@dataclass(frozen=True)
class Outcome:
    """Results of the jobs.

    Attributes:
      statuses: The final status of every job.
    """

    statuses: list[JobStatus]

    @property
    def finished(self) -> list[Job]:
        """The finished jobs, including earlier ones."""
        return [status.job for status in self.statuses if status.state == "finished"]

    @property
    def elsewhere(self) -> list[Job]:
        """The jobs that another process runs."""
        return [status.job for status in self.statuses if status.state == "elsewhere"]

    @property
    def failed(self) -> dict[str, str]:
        """The names of failed jobs, with the reasons."""
        return {x.job.name: x.reason for x in self.statuses if x.state == "failed"}


def run_study(
    recipe: StudyRecipe,
    out: StrPath,
    chosen: Sequence[Cell],
    *,
    everything: bool = False,
    distribution: tf.distribute.Strategy | None = None,
    on_job: OnJob | None = None,
    on_progress: OnProgress | None = None,
) -> Outcome:
    """Run every unfinished job that some cells need.

    Args:
      recipe: The study.
      out: Its directory; existing results are kept.
      chosen: The cells to do.
      everything: Whether to include upstream networks that none of the cells needs.
      distribution: The devices; `None` for one.
      on_job: Called before and after each job, see `OnJob`.
      on_progress: Called within jobs, see `OnProgress`.

    Returns:
      The status of every job. If a job fails, so do the jobs that need it, and no others.

    Raises:
      UserError: `out` holds another study's data sets.
      Stopped: The process received a signal to stop; the next call resumes the training.
    """
    study = open_study(recipe, out)
    atomic.write_text(study.out / STUDY_JSON, recipe.model_dump_json(indent=1) + "\n")
    statuses = plan(study, chosen, everything=everything)
    runner = _Runner(study, distribution, on_progress or (lambda done, total, what: None))
    for number, status in enumerate(statuses, start=1):
        if status.state == "finished" and not status.job.is_checked_again:
            continue
        if on_job is not None:
            on_job(number, len(statuses), replace(status, state="running"))
        statuses[number - 1] = runner.run(status)
        if on_job is not None:
            on_job(number, len(statuses), statuses[number - 1])
    return Outcome(statuses)


class _Runner:
    """Runs jobs, and remembers the failed ones for the jobs that need them."""

    def __init__(
        self,
        study: StudyDirectory,
        distribution: tf.distribute.Strategy | None,
        on_progress: OnProgress,
    ):
        self._study = study
        self._distribution = distribution
        self._on_progress = on_progress
        self._failed: dict[Job, str] = {}

    def run(self, status: JobStatus) -> JobStatus:
        """Run a job unless another process runs it, and return its new status."""
        job = status.job
        for need in job.needs(self._study):
            self._wait_for(need)
        file = self._study.record(job.stage, job.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(file.parent, wait=job.is_shared))
            except BlockingIOError:
                return replace(status, state="elsewhere")
            before = read_record(file)
            if status.state != "finished" and job.is_finished(self._study):
                # Another process finished it since the plan was made.
                seconds = before.seconds if before is not None else None
                return replace(status, state="finished", seconds=seconds)
            record = self._attempt(status, file, before)
        if record.status == "failed":
            self._failed[job] = record.reason
            return JobStatus(job, "failed", record.seconds, record.reason)
        return JobStatus(job, "finished", record.seconds)

    def _wait_for(self, job: Job) -> None:
        """Wait while another process runs a job."""
        file = self._study.record(job.stage, job.name)
        if file.parent.is_dir() and not job.is_finished(self._study):
            with locked(file.parent, wait=True):
                pass

    def _attempt(self, status: JobStatus, file: Path, before: Record | None) -> Record:
        spent = before.seconds if before is not None and before.status == "stopped" else 0.0
        started = time.monotonic()

        def record(outcome: str, *texts: str) -> Record:
            return Record(outcome, round(spent + time.monotonic() - started, 1), *texts)

        try:
            self._check_needs(status.job)
            status.job.run(self._study, self._distribution, self._on_progress)
        except (Stopped, KeyboardInterrupt):
            write_record(file, record("stopped"))
            raise
        except UserError as error:
            result = record("failed", str(error))
        except Exception as error:  # a study of days must not end because of one cell
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]
            result = record("failed", reason, traceback.format_exc())
        else:
            result = record("finished")
        finally:
            if status.state != "finished":
                # Free layers, graphs and their memory, and reset the numbering of names.
                tf_keras.backend.clear_session()
                gc.collect()
        if status.state == "finished" and before is not None:
            result = replace(result, seconds=before.seconds)  # the job was only checked
        write_record(file, result)
        return result

    def _check_needs(self, job: Job) -> None:
        """Raise a `UserError` if something that the job needs has failed."""
        for need in job.needs(self._study):
            if need in self._failed:
                raise UserError(f"{need.noun} {need.name} failed: {self._failed[need]}")
