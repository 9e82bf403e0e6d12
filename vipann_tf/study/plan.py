"""The state of a study's jobs, and the cost of the rest. No TensorFlow in here."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vipann_tf.study.active_jobs import ActiveJob, FeaturesJob
from vipann_tf.study.derived import sources
from vipann_tf.study.directory import Record, StudyDirectory, read_record
from vipann_tf.study.grid import ACTIVE, Cell
from vipann_tf.study.jobs import CellJob, Job, PrepareJob, UpstreamJob
from vipann_tf.study.recipe import StudyRecipe

__all__ = ["JobStatus", "State", "plan", "seconds_left"]

# An unfinished job is resumed and a failed one is tried again. While a study runs, a job may also
# be running, here or `elsewhere`, in another process.
State = Literal["finished", "unfinished", "failed", "to do", "running", "elsewhere"]


@dataclass(frozen=True)
class JobStatus:
    """State of a job.

    Attributes:
      job: The job.
      state: See `State`.
      seconds: Time that a finished job took, or an estimate from the recipe's `costs` and the times
        of finished jobs of the same cost; `None` if nothing is known.
      reason: Why it failed.
    """

    job: Job
    state: State
    seconds: float | None
    reason: str = ""


def plan(
    study: StudyDirectory, chosen: Sequence[Cell], *, everything: bool = False
) -> list[JobStatus]:
    """List the jobs that some cells need, in the order in which they run.

    Args:
      study: The study.
      chosen: The chosen cells.
      everything: Whether to include upstream networks that none of these cells needs.
    """
    recipe = study.recipe
    needed = {cell.upstream for cell in chosen}
    for name in reversed(recipe.upstream):  # a base comes before what starts from it
        if name in needed and (base := recipe.upstream[name].base) is not None:
            needed.add(base)
    jobs: list[Job] = [UpstreamJob(x) for x in recipe.upstream if everything or x in needed]
    made = dict.fromkeys(x for cell in chosen for x in _with_sources(recipe, cell))
    cells = [ActiveJob(x) if x.mode == ACTIVE else CellJob(x) for x in made]
    features = dict.fromkeys(
        x for job in cells for x in job.needs(study) if isinstance(x, FeaturesJob)
    )
    jobs += [*features, *cells]
    first = dict.fromkeys(x for job in jobs for x in job.needs(study) if isinstance(x, PrepareJob))
    return _with_times(study, [*first, *jobs])


def _with_sources(recipe: StudyRecipe, cell: Cell) -> Iterator[Cell]:
    """Yield the cells that a cell is made from, and then the cell."""
    for source in sources(recipe, cell):
        yield from _with_sources(recipe, source)
    yield cell


def seconds_left(statuses: Sequence[JobStatus]) -> tuple[float, int]:
    """Return the estimated seconds of unfinished jobs, and the number of jobs of unknown cost."""
    left = [status.seconds for status in statuses if status.state != "finished"]
    return sum(x for x in left if x is not None), left.count(None)


def _with_times(study: StudyDirectory, jobs: Sequence[Job]) -> list[JobStatus]:
    """Use measured times if there are any, and scale estimates by times of the same cost."""
    statuses = []
    took: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for job in jobs:
        record = read_record(study.record(job.stage, job.name))
        status = JobStatus(job, _state(study, job, record), _estimate(study, job))
        if status.state == "finished" and record is not None and record.status == "finished":
            if status.seconds:
                took[job.cost_key(study)].append((record.seconds, status.seconds))
            status = replace(status, seconds=record.seconds)
        statuses.append(status)
    scale = {
        key: sum(seconds for seconds, _ in pairs) / sum(estimate for _, estimate in pairs)
        for key, pairs in took.items()
    }
    return [
        status
        if status.seconds is None or status.state == "finished"
        else replace(status, seconds=status.seconds * scale.get(status.job.cost_key(study), 1.0))
        for status in statuses
    ]


def _state(study: StudyDirectory, job: Job, record: Record | None) -> State:
    if job.is_finished(study):
        return "finished"
    if record is not None and record.status == "failed":
        return "failed"
    return "unfinished" if record is not None or job.is_begun(study) else "to do"


def _estimate(study: StudyDirectory, job: Job) -> float | None:
    cost, clips = study.recipe.costs.get(job.cost_key(study)), job.clips_processed(study)
    if cost is None or clips is None:
        return None
    return cost.start_s + cost.clip_ms / 1000 * clips
