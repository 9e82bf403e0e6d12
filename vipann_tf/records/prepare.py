"""Clips to TFRecord shards: an Apache Beam pipeline whose element is a shard.

A worker decodes a shard's clips in their planned order and writes the file itself. No audio passes
between workers, memory stays at one clip, and the bytes do not depend on who wrote them.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import json
import logging
import os
import shlex
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from vipann_tf.datasets.base import Clip, Rejection, Source
from vipann_tf.errors import UserError
from vipann_tf.records import beam_worker
from vipann_tf.records.plan import Plan, plan_shards
from vipann_tf.records.schema import INFO_FILE, REJECTED_FILE, DatasetInfo, SplitInfo
from vipann_tf.records.shards import ShardResult, ShardWriter
from vipann_tf.records.staging import WORK, staged_directory


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Beam warns on import about Google client libraries that nothing here uses."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


with _quiet():
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

__all__ = ["prepare"]

Progress = Callable[[int, int], None]

# Below this many clips worker processes take longer to start (2 s) than they save, so unless the
# user asks for them this process does the work.
SINGLE_WORKER_CLIPS = 500
_PROGRESS_FILE = "progress"
_PROGRESS_INTERVAL_S = 0.2


def prepare(
    source: Source,
    out: str | os.PathLike,
    *,
    seconds: float | None = None,
    rate_hz: int = 32_000,
    shards: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    beam_options: Sequence[str] = (),
    on_progress: Progress | None = None,
) -> DatasetInfo:
    """Writes a dataset directory.

    The same source gives byte-identical shards, whatever the number of workers. Every item of the
    source becomes a record or a row of rejected.csv.

    Args:
      source: The listed dataset, see `vipann_tf.datasets.load`.
      out: Directory to make. It appears when complete, not before.
      seconds: Clip length; shorter clips are padded with zeros at the end, longer ones cut. `None`
        takes the dataset's own.
      rate_hz: Sample rate of the records.
      shards: Shard files a split; `None` chooses by size.
      workers: Processes of the local runner; `None` takes all cores unless the job is small.
      overwrite: Replace `out` where it is a dataset directory.
      beam_options: Beam's own flags, such as `--runner=FlinkRunner`; every worker must then see the
        source and `out`.
      on_progress: Called with the number of clips done and their total.

    Returns:
      What was written, as in dataset.json.

    Raises:
      UserError: Where an argument is wrong, `out` exists, or no clip is usable.
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers is {workers}; use 1 or more")
    plan = plan_shards(source, seconds=seconds, rate_hz=rate_hz, shards=shards)
    with staged_directory(out, mark=INFO_FILE, overwrite=overwrite) as stage:
        work = os.path.join(stage, WORK)
        for shard in plan.shards:
            _write_text(os.path.join(work, shard.name + ".clips"), _dump_clips(shard.clips))
        with _quiet():
            pipeline = _pipeline(plan, workers, beam_options)
            _build(pipeline, plan, stage, work)
            with _watched(os.path.join(work, _PROGRESS_FILE), plan.clips, on_progress):
                pipeline.run().wait_until_finish()
        results = [_read_result(work, shard.name) for shard in plan.shards]
        rejected = [*plan.rejected, *(row for result in results for row in result.rejected)]
        if not any(result.clips for result in results):
            raise UserError(_none_usable(source, rejected))
        info = _summarize(plan, results, rejected)
        for result in results:
            if result.split not in info.splits:
                os.remove(os.path.join(stage, result.name))
        _write_rejected(os.path.join(stage, REJECTED_FILE), rejected)
        _write_text(os.path.join(stage, INFO_FILE), info.model_dump_json(indent=1) + "\n")
    return info


class _WriteShard(beam.DoFn):
    """Writes the shard whose name comes in, and beside it what came of its clips."""

    def __init__(self, stage: str, work: str, splits: dict[str, str], writer_args: tuple):
        self._stage = stage
        self._work = work
        self._splits = splits
        self._writer_args = writer_args

    def setup(self):
        self._writer = ShardWriter(*self._writer_args)

    def process(self, name: str):
        progress = os.open(
            os.path.join(self._work, _PROGRESS_FILE), os.O_WRONLY | os.O_APPEND | os.O_CREAT
        )

        def on_clip(outcome: str) -> None:
            os.write(progress, b".")  # the file's length is the number of clips done
            beam.metrics.Metrics.counter("vipann_tf", outcome).inc()

        try:
            with open(os.path.join(self._work, name + ".clips"), encoding="utf-8") as file:
                clips = _load_clips(file.read())
            path = os.path.join(self._stage, name)
            result = self._writer.write(name, self._splits[name], clips, path, on_clip)
        finally:
            os.close(progress)
        _write_text(os.path.join(self._work, name + ".result"), result.to_json())


def _build(pipeline: beam.Pipeline, plan: Plan, stage: str, work: str) -> None:
    source = plan.source
    writer_args = (source.labels, plan.seconds, plan.rate_hz, source.decode)
    splits = {shard.name: shard.split for shard in plan.shards}
    _ = (
        pipeline
        | "Shards" >> beam.Create([shard.name for shard in plan.shards], reshuffle=False)
        # Without it the runner fuses both steps and one worker gets every shard.
        | "Spread" >> beam.Reshuffle()
        | "Write" >> beam.ParDo(_WriteShard(stage, work, splits, writer_args))
    )


def _pipeline(plan: Plan, workers: int | None, flags: Sequence[str]) -> beam.Pipeline:
    """A pipeline on the runner that the flags name, or else on this machine's cores."""
    if any(flag.split("=")[0] == "--runner" for flag in flags):
        return beam.Pipeline(options=PipelineOptions(list(flags)))
    if workers is None:
        workers = 1 if plan.clips < SINGLE_WORKER_CLIPS else _cores()
    workers = min(workers, len(plan.shards))
    environment = None
    if workers > 1:
        command = f"exec {shlex.quote(sys.executable)} -m {beam_worker.__name__}"
        environment = SubprocessSDKEnvironment.from_command_string(command)
    # Beam's name "DirectRunner" may hand the job to a runner that it first downloads, and knows
    # nothing of our worker; this is the runner it stands for otherwise.
    runner = FnApiRunner(default_environment=environment)
    return beam.Pipeline(runner, PipelineOptions([*flags, f"--direct_num_workers={workers}"]))


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextlib.contextmanager
def _watched(path: str, total: int, on_progress: Progress | None) -> Iterator[None]:
    """Reports the length of the progress file until the block ends."""
    if on_progress is None:
        yield
        return
    done = threading.Event()

    def watch():
        while not done.wait(_PROGRESS_INTERVAL_S):
            # Beam may run a shard twice after a failure.
            size = os.path.getsize(path) if os.path.exists(path) else 0
            on_progress(min(size, total), total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    on_progress(total, total)


def _summarize(plan: Plan, results: list[ShardResult], rejected: list[Rejection]) -> DatasetInfo:
    splits: dict[str, list[ShardResult]] = {}
    for result in results:
        splits.setdefault(result.split, []).append(result)
    return DatasetInfo(
        name=plan.source.name,
        task=plan.source.task,
        labels=list(plan.source.labels),
        sample_rate_hz=plan.rate_hz,
        clip_seconds=plan.seconds,
        splits={
            split: _split_info(shards)
            for split, shards in splits.items()
            if any(shard.clips for shard in shards)
        },
        rejected=dict(sorted(Counter(row.reason for row in rejected).items())),
    )


def _split_info(shards: list[ShardResult]) -> SplitInfo:
    return SplitInfo(
        clips=sum(shard.clips for shard in shards),
        shards=len(shards),
        label_counts=[sum(counts) for counts in zip(*(shard.label_counts for shard in shards))],
        shard_clips=[shard.clips for shard in shards],
        shard_bytes=[shard.bytes for shard in shards],
        silent=sum(shard.silent for shard in shards),
        clipped=sum(shard.clipped for shard in shards),
        digest=_digest(shard.digest for shard in shards),
    )


def _digest(parts) -> str:
    return hashlib.blake2b("".join(parts).encode(), digest_size=16).hexdigest()


def _none_usable(source: Source, rejected: list[Rejection]) -> str:
    if not rejected:
        return f"dataset {source.name} lists no clips; check the source directory"
    reasons = Counter(row.reason for row in rejected)
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    first = rejected[0]
    return (
        f"none of {len(rejected)} clips of dataset {source.name} is usable ({counts}), for example"
        f" {first.path}: {first.reason} {first.detail}".rstrip()
    )


def _write_rejected(path: str, rejected: list[Rejection]) -> None:
    # File names need not be valid UTF-8.
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(Rejection)])
        for row in sorted(rejected, key=lambda row: (row.path, row.clip_id, row.reason)):
            writer.writerow(dataclasses.astuple(row))


def _dump_clips(clips: Sequence[Clip]) -> str:
    return "\n".join(json.dumps(dataclasses.astuple(clip)) for clip in clips)


def _load_clips(text: str) -> list[Clip]:
    rows = (json.loads(line) for line in text.splitlines())
    return [Clip(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows]


def _write_text(path: str, text: str) -> None:
    """Writes a file that is whole or absent, whatever kills the worker."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".part", path)


def _read_result(work: str, name: str) -> ShardResult:
    with open(os.path.join(work, name + ".result"), encoding="utf-8") as file:
        return ShardResult.from_json(file.read())
