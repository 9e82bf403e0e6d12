"""Prepare a dataset directory: plan the shards, have Beam write them, sum up, publish."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence

import vipann_tf
from vipann_tf.datasets.base import Source
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.files.staging import WORK, resumable_directory
from vipann_tf.records import beam_job
from vipann_tf.records.plan import Plan, ShardPlan, plan_shards
from vipann_tf.records.schema import INFO_FILE, DatasetInfo
from vipann_tf.records.shards import ShardResult, dump_clips
from vipann_tf.records.summary import none_usable, summarize, write_summary
from vipann_tf.records.worker_watch import WorkerDied

__all__ = ["prepare"]

Progress = Callable[[int, int], None]

# Part of every manifest, so that shards of an older layout are written again.
MANIFEST_VERSION = 2

_PROGRESS_INTERVAL_S = 0.2
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
      seconds: Clip length; shorter clips are padded with zeros at the end, longer ones cut. `None`
        takes the dataset's own.
      sample_rate_hz: Sample rate of the records.
      shards: Shard files per split; `None` chooses by size.
      workers: Processes of the local runner; `None` uses all cores unless the job is small.
      overwrite: Whether to replace `out` if it is a dataset directory.
      beam_options: Beam's own flags, such as `--runner=FlinkRunner`; every worker must then see the
        source and the parent of `out` under the same paths.
      on_progress: Called with the number of clips done and their total.

    Returns:
      What was written, as in dataset.json.

    Raises:
      UserError: An argument is wrong, `out` exists, or no clip is usable.
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers is {workers}; use 1 or more")
    plan = plan_shards(source, seconds=seconds, sample_rate_hz=sample_rate_hz, shards=shards)
    if not plan.clips:
        raise UserError(none_usable(source, plan.rejected))
    try:
        return _prepare(plan, out, workers, overwrite, beam_options, on_progress)
    except WorkerDied as error:
        raise UserError(
            f"a worker process died ({error}), perhaps for lack of memory; the same command resumes"
            " where this one stopped, and fewer workers need less memory"
        ) from error
    except RuntimeError as error:  # Beam's error, whose text is the worker's traceback
        if _DISK_FULL not in str(error):
            raise
        raise UserError(
            f"{_DISK_FULL}: {out} needs about {plan.size_bytes / 1e9:.1f} GB; make room, and the"
            " same command resumes where this one stopped"
        ) from error


def _prepare(
    plan: Plan,
    out: StrPath,
    workers: int | None,
    overwrite: bool,
    beam_options: Sequence[str],
    on_progress: Progress | None,
) -> DatasetInfo:
    source = plan.source
    with resumable_directory(out, mark=INFO_FILE, overwrite=overwrite) as stage:
        work = storage.join(stage, WORK)
        todo = _write_manifests(plan, stage, work)
        left = sum(len(shard.clips) for shard in todo)
        writer_args = (source.labels, plan.seconds, plan.sample_rate_hz, source.decode)
        local = beam_job.is_local(beam_options)
        with _reported(plan.clips - left, plan.clips, on_progress, local) as progress_file:
            beam_job.write_shards(
                {shard.name: shard.split for shard in todo},
                left,
                stage,
                work,
                writer_args,
                workers=workers,
                beam_options=beam_options,
                progress_file=progress_file,
            )
        results = [_result(stage, work, shard) for shard in plan.shards]
        rejected = [*plan.rejected, *(row for result in results for row in result.rejected)]
        if not any(result.clips for result in results):
            raise UserError(none_usable(source, rejected))
        info = summarize(plan, results, rejected)
        for result in results:
            if result.split not in info.splits:
                storage.remove(storage.join(stage, result.name))
        write_summary(stage, info, results, rejected)
    return info


def _write_manifests(plan: Plan, stage: str, work: str) -> list[ShardPlan]:
    """Write the manifest of each shard, and return the shards that are not done yet."""
    present = set(storage.list_names(stage)) - {WORK}
    earlier = set(storage.list_names(work))
    expected, todo = set(), []
    for shard in plan.shards:
        manifest_file = shard.name + beam_job.CLIPS_SUFFIX
        result_file = shard.name + beam_job.RESULT_SUFFIX
        expected |= {shard.name, manifest_file, result_file}
        manifest = _manifest(plan, shard)
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


def _manifest(plan: Plan, shard: ShardPlan) -> bytes:
    """Return what determines a shard's bytes: settings, clips and the state of their files."""
    source = plan.source
    settings = [
        MANIFEST_VERSION,
        vipann_tf.__version__,
        plan.seconds,
        plan.sample_rate_hz,
        source.labels,
        pickle.dumps(source.decode).hex() if source.decode else None,
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
        storage.read_bytes(storage.join(work, shard.name + beam_job.RESULT_SUFFIX))
    )
    return storage.size(storage.join(stage, shard.name)) == result.size_bytes


def _result(stage: str, work: str, shard: ShardPlan) -> ShardResult:
    path = storage.join(work, shard.name + beam_job.RESULT_SUFFIX)
    try:
        return ShardResult.from_json(storage.read_bytes(path))
    except FileNotFoundError as error:
        raise UserError(
            f"Beam ended without {path}; workers on other machines need OUT in storage that all of"
            " them share"
        ) from error


@contextlib.contextmanager
def _reported(
    done: int, total: int, on_progress: Progress | None, local: bool
) -> Iterator[str | None]:
    """Give a file whose length is the number of clips done, and report its growth."""
    if on_progress is None:
        yield None
        return
    on_progress(done, total)
    if not local:
        yield None
        on_progress(total, total)
        return
    with tempfile.NamedTemporaryFile(prefix="vipann-tf-progress-") as file:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_PROGRESS_INTERVAL_S):
                # Beam may run a shard twice after a failure.
                on_progress(min(done + os.path.getsize(file.name), total), total)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield file.name
        finally:
            ended.set()
            thread.join()
    on_progress(total, total)
