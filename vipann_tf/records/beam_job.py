"""The Beam pipeline of a preparation: shard names in, shard files written.

A worker decodes a shard's clips in their planned order and writes the file itself. No audio passes
between workers, memory holds one clip at a time, and the bytes do not depend on the worker.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import joblib

from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.records import beam_worker
from vipann_tf.records.shards import ShardWriter, load_clips
from vipann_tf.records.worker_watch import run_watched


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Beam's logs of errors that it also raises, and its warnings about unused features."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


with _quiet():
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

__all__ = ["CLIPS_SUFFIX", "RESULT_SUFFIX", "is_local", "write_shards"]

# Suffixes of a shard's files in the work folder: its planned clips, and its outcome.
CLIPS_SUFFIX = ".clips"
RESULT_SUFFIX = ".result"
# Below this many clips, worker processes take longer to start (2 s) than they save, so this process
# does the work unless the user asks for workers.
SINGLE_WORKER_CLIPS = 500
# Under the name "DirectRunner" Beam may download a runner that starts its own workers; this package
# takes the local runner instead.
LOCAL_RUNNER = "DirectRunner"


def write_shards(
    shards: Mapping[str, str],
    clips: int,
    stage: str,
    work: str,
    writer_args: tuple,
    *,
    workers: int | None,
    beam_options: Sequence[str],
    progress_file: str | None,
) -> None:
    """Run the pipeline to its end.

    Args:
      shards: File name -> split of each shard to write.
      clips: Number of clips in them.
      stage: Directory to write the shards into.
      work: Directory with their `.clips`; their `.result` is written there last.
      writer_args: Arguments of `ShardWriter`.
      workers: Processes of the local runner; `None` chooses.
      beam_options: Beam's own flags.
      progress_file: A file that grows by one byte per clip.

    Raises:
      UserError: Beam refuses the flags.
      WorkerDied: A worker process was killed.
    """
    if not shards:
        return
    flags = list(beam_options)
    job = _Job(dict(shards), stage, work, writer_args, progress_file)
    with _quiet():
        if not is_local(flags):
            _start(_pipeline(flags), job)()
            return
        workers = _workers(workers, len(shards), clips)
        flags = [f"--direct_num_workers={workers}", *flags]
        if workers == 1:
            _start(beam.Pipeline(FnApiRunner(), _options(flags)), job)()
            return

        def start(pids: str) -> Callable[[], None]:
            command = shlex.join([sys.executable, "-m", beam_worker.__name__, pids])
            environment = SubprocessSDKEnvironment.from_command_string("exec " + command)
            runner = FnApiRunner(default_environment=environment)
            return _start(beam.Pipeline(runner, _options(flags)), job)

        run_watched(start)


@dataclasses.dataclass(frozen=True)
class _Job:
    """The values that every worker needs."""

    splits: dict[str, str]
    stage: str
    work: str
    writer_args: tuple
    progress_file: str | None


def _start(pipeline: beam.Pipeline, job: _Job) -> Callable[[], None]:
    """Build the pipeline and return a function that runs it."""
    _ = (
        pipeline
        | "Shards" >> beam.Create(list(job.splits), reshuffle=False)
        # Without it, the runner fuses both steps and one worker gets every shard.
        | "Spread" >> beam.Reshuffle()
        | "Write" >> beam.ParDo(_WriteShard(job))
    )

    def run() -> None:
        try:
            pipeline.run().wait_until_finish()
        except RuntimeError as error:
            if str(error).startswith(KeyboardInterrupt.__name__):  # Beam wraps even that
                raise KeyboardInterrupt from error
            raise

    return run


class _WriteShard(beam.DoFn):
    """The step that writes the shard of a name, and the outcome of its clips to a second file."""

    def __init__(self, job: _Job):
        self._job = job

    def setup(self) -> None:
        self._writer = ShardWriter(*self._job.writer_args)

    def process(self, name: str) -> None:
        with contextlib.ExitStack() as stack:
            progress = None
            if self._job.progress_file is not None:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                progress = os.open(self._job.progress_file, flags, 0o600)
                stack.callback(os.close, progress)

            def on_clip(outcome: str) -> None:
                beam.metrics.Metrics.counter("vipann_tf", outcome).inc()
                if progress is not None:
                    os.write(progress, b".")

            manifest = storage.join(self._job.work, name + CLIPS_SUFFIX)
            clips = load_clips(storage.read_bytes(manifest))
            path = storage.join(self._job.stage, name)
            result = self._writer.write(name, self._job.splits[name], clips, path, on_clip)
        with storage.open_write(storage.join(self._job.work, name + RESULT_SUFFIX)) as file:
            file.write(result.to_json().encode())


def is_local(beam_options: Sequence[str]) -> bool:
    """Return whether Beam's flags leave the job on this machine's own runner."""
    return (_runner(list(beam_options)) or LOCAL_RUNNER) == LOCAL_RUNNER


def _pipeline(flags: list[str]) -> beam.Pipeline:
    """Return a pipeline on the runner that the flags name."""
    try:
        return beam.Pipeline(options=_options(flags))
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(f"Beam can't use runner {_runner(flags)!r}: {error}") from error


def _workers(wanted: int | None, shards: int, clips: int) -> int:
    if wanted is None:
        wanted = 1 if clips < SINGLE_WORKER_CLIPS else joblib.cpu_count()
    return min(wanted, shards)


def _options(flags: list[str]) -> PipelineOptions:
    """Return Beam's options; raise an error for a misspelt flag, which Beam would ignore."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            options = PipelineOptions(flags)
            given = options.get_all_options(retain_unknown_options=True)
            known = PipelineOptions([]).get_all_options()
    except SystemExit as error:  # argparse, with its reason on stderr
        reason = (complaint.getvalue().strip().splitlines() or ["wrong value"])[-1]
        raise UserError(f"Beam refuses its options {' '.join(flags)}: {reason}") from error
    unknown = sorted(set(given) - set(known))
    if unknown and is_local(flags):
        raise UserError(
            f"Beam has no option --{unknown[0]} for the local runner; check the spelling of"
            f" {' '.join(flags)}"
        )
    return options


def _runner(flags: list[str]) -> str | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner")
    return parser.parse_known_args(flags)[0].runner
