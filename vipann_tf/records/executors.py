"""Who does a job: processes of this machine, or a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from vipann_tf.errors import UserError
from vipann_tf.records import beam_job, local_pool
from vipann_tf.records.job import Job, OnSteps

__all__ = ["Executor", "choose_executor"]

# Does a job, which has so many steps; may call a function with the number of steps done.
Executor = Callable[[Job, int, OnSteps], None]


def choose_executor(
    workers: int | None, runner: str | None, beam_options: Sequence[str]
) -> Executor:
    """Return what does a job.

    Args:
      workers: Processes of this machine; `None` chooses.
      runner: `None` for this machine; else a runner of Apache Beam, see `beam_job.make_pipeline`.
      beam_options: Beam's own flags.

    Raises:
      UserError: The arguments do not go together, or Beam refuses them.
    """
    if runner is None:
        if beam_options:
            raise UserError(
                f"option {beam_options[0]} is unknown; other options than this command's own go to"
                " Apache Beam, which needs --runner, such as --runner dask"
            )
        return functools.partial(local_pool.run_job, workers)
    if workers is not None:
        raise UserError(
            f"workers is {workers}, but the cluster of runner {runner!r} determines its workers;"
            " leave one of them out"
        )
    return functools.partial(beam_job.run_job, beam_job.make_pipeline(runner, beam_options))
