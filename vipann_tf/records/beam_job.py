"""Jobs done on a cluster, by Apache Beam: the extra `beam`.

The pipeline takes the names of tasks and gives nothing back. A worker writes the files of a task
itself, so the bytes are those of `local_pool`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vipann_tf.errors import UserError
from vipann_tf.records.job import Job, OnSteps, WorkerDied

if TYPE_CHECKING:
    import apache_beam as beam

__all__ = ["make_pipeline", "run_job"]

# Our short names of runners; any other name is Beam's own.
_RUNNERS = {"dask": "apache_beam.runners.dask.dask_runner.DaskRunner"}
# Packages that runners need -> what to install.
_PACKAGES = {"apache_beam": "'vipann-tf[beam]'", "distributed": "dask distributed"}
# It may download another runner, and starts workers that nobody watches.
_REFUSED = "directrunner"


def run_job(pipeline: beam.Pipeline, job: Job, steps: int, on_steps: OnSteps) -> None:
    """Do the tasks of a job on the workers of a pipeline's runner.

    Args:
      pipeline: From `make_pipeline`, to be used once.
      job: Its tasks; every worker sees its directories under the same paths.
      steps: Not used: the cluster has as many workers as it has.
      on_steps: Not called: Beam's counters are the progress.

    Raises:
      WorkerDied: Dask gave up, since workers died again and again.
    """
    import apache_beam as beam

    _ = (
        pipeline
        | "Tasks" >> beam.Create(list(job.names), reshuffle=False)
        # Without it, a runner may fuse both steps, and one worker gets every task.
        | "Spread" >> beam.Reshuffle()
        | "Run" >> beam.Map(functools.partial(_run, job))
    )
    with _quiet():
        result = pipeline.run()
        try:
            result.wait_until_finish()
        except Exception as error:
            if type(error).__name__ != "KilledWorker":  # Dask's
                raise
            raise WorkerDied(str(error).split(". ")[0]) from error
        finally:
            if client := getattr(result, "client", None):  # Dask's, which Beam leaves open
                client.close()


def _run(job: Job, name: str) -> None:
    from apache_beam.metrics import Metrics

    job.run(name, lambda outcome: Metrics.counter("vipann_tf", outcome).inc())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Beam's logs of errors that it also raises, and its warnings about unused features."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _in_beams_terms(flag: str) -> str:
    """Return a flag as Beam spells it: `--dask-client-address` has underscores."""
    name, equals, value = flag.partition("=")
    if name.startswith("--dask-"):
        name = "--" + name.removeprefix("--").replace("-", "_")
    return name + equals + value


def make_pipeline(runner: str, flags: Sequence[str]) -> beam.Pipeline:
    """Make an empty pipeline.

    Args:
      runner: `dask`, or a name that Beam knows.
      flags: Beam's own flags, such as `--dask_client_address=tcp://scheduler:8786`.

    Raises:
      UserError: Beam is not installed, or refuses the runner or the flags, or would ignore one.
    """
    if runner.lower() == _REFUSED:
        raise UserError(
            f"runner {runner!r} is for tests of Beam; leave --runner out to work on this machine"
        )
    for package in _PACKAGES if runner in _RUNNERS else ["apache_beam"]:
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"runner {runner!r} needs {package}, which is not installed: pip install "
                + _PACKAGES[package]
            )
    flags = [_in_beams_terms(flag) for flag in flags]
    if runner in _RUNNERS and not any("partition" in flag for flag in flags):
        # By default a worker takes 128 elements at once, which may be all shards.
        flags.append("--dask_partition_size=1")
    complaint = io.StringIO()
    try:
        with _quiet(), contextlib.redirect_stderr(complaint):
            import apache_beam as beam
            from apache_beam.options.pipeline_options import PipelineOptions

            options = PipelineOptions([f"--runner={_RUNNERS.get(runner, runner)}", *flags])
            pipeline = beam.Pipeline(options=options)
            given = options.get_all_options(retain_unknown_options=True)
            known = PipelineOptions([]).get_all_options()
    except SystemExit as error:  # argparse, with its reason on stderr
        reason = (complaint.getvalue().strip().splitlines() or ["wrong value"])[-1]
        raise UserError(f"Beam refuses its options {' '.join(flags)}: {reason}") from error
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(f"Beam can't use runner {runner!r}: {error}") from error
    unknown = sorted(set(given) - set(known))
    if unknown and runner in _RUNNERS:
        raise UserError(
            f"Beam has no option --{unknown[0]} for the runner {runner}; check the spelling of"
            f" {' '.join(flags)}"
        )
    return pipeline
