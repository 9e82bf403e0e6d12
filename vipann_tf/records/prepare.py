"""Prepare a dataset directory: plan the shards, have them written, sum up, publish."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pickle
from collections.abc import Callable, Sequence

import vipann_tf
from vipann_tf.datasets.base import Source
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.files.staging import WORK, resumable_directory
from vipann_tf.notices import Notice
from vipann_tf.records.clip_reading import AS_RECORDED, ClipReading
from vipann_tf.records.empty_labels import empty_label_notices
from vipann_tf.records.executors import Executor, choose_executor
from vipann_tf.records.job import WorkerDied
from vipann_tf.records.plan import Plan, ShardPlan, plan_shards
from vipann_tf.records.schema import INFO_FILE, NOTICES_FILE, DatasetInfo
from vipann_tf.records.shards import (
    CLIPS_SUFFIX,
    RESULT_SUFFIX,
    ShardJob,
    ShardResult,
    dump_clips,
)
from vipann_tf.records.summary import none_usable, summarize, write_summary

__all__ = ["prepare"]

Progress = Callable[[int, int], None]

# Part of every manifest, so that shards of an older layout are written again.
MANIFEST_VERSION = 4

_DISK_FULL = os.strerror(errno.ENOSPC)


def prepare(
    source: Source,
    out: StrPath,
    *,
    seconds: float | None = None,
    sample_rate_hz: int = 32_000,
    shards: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    strict: bool = False,
    reading: ClipReading = AS_RECORDED,
    runner: str | None = None,
    beam_options: Sequence[str] = (),
    on_progress: Progress | None = None,
) -> DatasetInfo:
    """Write a dataset directory.

    The same source gives byte-identical shards for any number of workers. Every item of the source
    becomes a record or a row of rejected.csv. An interrupted run resumes: finished shards of the
    same clips from unchanged files are kept.

    Args:
      source: The listed dataset, see `vipann_tf.datasets.load`.
      out: Directory to make, local or in an object store. It is complete or absent; in an object
        store, where nothing can be renamed, "complete" means that it has a dataset.json.
      seconds: Clip length in seconds of the recording; shorter clips are padded with zeros at the
        end, longer ones cut. `None` takes the dataset's own.
      sample_rate_hz: Sample rate of the records.
      shards: Shard files per split; `None` chooses by size.
      workers: Processes on this machine; `None` uses all cores unless the job is small.
      overwrite: Whether to replace `out` if it is a dataset directory.
      strict: Whether a notice is an error.
      reading: How audio files are read: channel, time expansion, part of a longer file.
      runner: `None` prepares on this machine. `dask`, or the name of another runner of Apache Beam,
        prepares on its cluster, whose workers must see the source and the parent of `out` under the
        same paths.
      beam_options: Beam's own flags, such as `--dask_client_address=tcp://scheduler:8786`.
      on_progress: Called with the number of clips done and their total.

    Returns:
      What was written, as in dataset.json.

    Raises:
      UserError: An argument is wrong, `out` exists, no clip is usable, or there are notices and
        `strict` is given.
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers is {workers}; use 1 or more")
    executor = choose_executor(workers, runner, beam_options)
    # A recording that is slowed down gives clips that last longer.
    slow = reading.time_expansion
    recorded_s = source.clip_seconds if seconds is None else seconds
    plan = plan_shards(
        source, seconds=recorded_s * slow, sample_rate_hz=sample_rate_hz, shards=shards
    )
    if source.decode is not None and reading != AS_RECORDED:
        raise UserError(f"dataset {source.name} is not read from files; leave options of files out")
    if not plan.clips:
        raise UserError(none_usable(source, plan.rejected))
    try:
        return _prepare(plan, out, overwrite, strict, reading, executor, on_progress)
    except WorkerDied as error:
        raise UserError(
            f"{error}, perhaps for lack of memory; the same command resumes where this one stopped,"
            " and fewer workers need less memory"
        ) from error
    except (OSError, RuntimeError) as error:  # Beam's error has the worker's traceback as its text
        if _DISK_FULL not in str(error):
            raise
        raise UserError(
            f"{_DISK_FULL}: {out} needs about {plan.size_bytes / 1e9:.1f} GB; make room, and the"
            " same command resumes where this one stopped"
        ) from error


def _prepare(
    plan: Plan,
    out: StrPath,
    overwrite: bool,
    strict: bool,
    reading: ClipReading,
    executor: Executor,
    on_progress: Progress | None,
) -> DatasetInfo:
    source = plan.source
    if strict:
        _refuse_notices(source.notices)
    with resumable_directory(out, mark=INFO_FILE, overwrite=overwrite) as stage:
        work = storage.join(stage, WORK)
        todo = _write_manifests(plan, reading, stage, work)
        left = sum(len(shard.clips) for shard in todo)
        job = ShardJob(
            {shard.name: shard.split for shard in todo},
            *(
                stage,
                work,
                source.labels,
                plan.seconds,
                plan.sample_rate_hz,
                source.decode,
                reading,
            ),
        )

        def on_clips(done: int, _: int = 0) -> None:
            if on_progress is not None:
                on_progress(plan.clips - left + done, plan.clips)

        on_clips(0)
        if todo:
            executor(job, left, on_clips)
        on_clips(left)
        results = [_result(stage, work, shard) for shard in plan.shards]
        rejected = [*plan.rejected, *(row for result in results for row in result.rejected)]
        if not any(result.clips for result in results):
            raise UserError(none_usable(source, rejected))
        counts = [sum(found) for found in zip(*(x.label_counts for x in results), strict=True)]
        notices = [
            *source.notices,
            *(row for result in results for row in result.notices),
            *empty_label_notices(plan, counts, rejected),
        ]
        if strict:
            _refuse_notices(notices)
        info = summarize(plan, reading.time_expansion, results, rejected, notices)
        for result in results:
            if result.split not in info.splits:
                storage.remove(storage.join(stage, result.name))
        write_summary(stage, info, results, rejected, notices)
    return info


def _refuse_notices(notices: Sequence[Notice]) -> None:
    if notices:
        first = min(notices)
        raise UserError(
            f"{len(notices)} notices, which --strict makes errors, for example {first.path}:"
            f" {first.kind}: {first.detail}; mend them, or leave --strict out to read them all in"
            f" {NOTICES_FILE}"
        )


def _write_manifests(plan: Plan, reading: ClipReading, stage: str, work: str) -> list[ShardPlan]:
    """Write the manifest of each shard, and return the shards that are not done yet."""
    present = set(storage.list_names(stage)) - {WORK}
    earlier = set(storage.list_names(work))
    expected, todo = set(), []
    for shard in plan.shards:
        manifest_file = shard.name + CLIPS_SUFFIX
        result_file = shard.name + RESULT_SUFFIX
        expected |= {shard.name, manifest_file, result_file}
        manifest = _manifest(plan, reading, shard)
        if {shard.name} <= present and {manifest_file, result_file} <= earlier:
            same = storage.read_bytes(storage.join(work, manifest_file)) == manifest
            if same and _is_whole(stage, work, shard):
                continue
        todo.append(shard)
        if result_file in earlier:
            storage.remove(storage.join(work, result_file))
        with storage.open_write(storage.join(work, manifest_file)) as file:
            file.write(manifest)
    for name in present - expected:
        storage.remove(storage.join(stage, name))
    for name in earlier - expected:
        storage.remove(storage.join(work, name))
    return todo


def _manifest(plan: Plan, reading: ClipReading, shard: ShardPlan) -> bytes:
    """Return what determines a shard's bytes: settings, clips and the state of their files."""
    source = plan.source
    settings = [
        MANIFEST_VERSION,
        vipann_tf.__version__,
        plan.seconds,
        plan.sample_rate_hz,
        source.labels,
        pickle.dumps(source.decode).hex() if source.decode else None,
        dataclasses.asdict(reading),
    ]
    states = None if source.decode else [_state(path) for path in _paths(shard)]
    return dump_clips(shard.clips, json.dumps([settings, states]))


def _paths(shard: ShardPlan) -> list[str]:
    return list(dict.fromkeys(clip.path for clip in shard.clips))


def _state(path: str) -> list[int] | None:
    """Return size and modification time of a source file, if they are cheap to read."""
    if storage.is_remote(path):
        return None
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


def _is_whole(stage: str, work: str, shard: ShardPlan) -> bool:
    result = ShardResult.from_json(
        storage.read_bytes(storage.join(work, shard.name + RESULT_SUFFIX))
    )
    return storage.size(storage.join(stage, shard.name)) == result.size_bytes


def _result(stage: str, work: str, shard: ShardPlan) -> ShardResult:
    path = storage.join(work, shard.name + RESULT_SUFFIX)
    try:
        return ShardResult.from_json(storage.read_bytes(path))
    except FileNotFoundError as error:
        raise UserError(
            f"Beam ended without {path}; workers on other machines need OUT in storage that all of"
            " them share"
        ) from error
