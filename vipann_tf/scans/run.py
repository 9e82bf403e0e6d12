"""A scan from its recordings to its files."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import joblib

import vipann_tf
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.atomic import write_text
from vipann_tf.files.locking import locked
from vipann_tf.files.paths import StrPath
from vipann_tf.records.executors import choose_executor
from vipann_tf.records.job import WorkerDied
from vipann_tf.saved_model.metadata import version_directory
from vipann_tf.scans import store
from vipann_tf.scans.engine import ScanJob
from vipann_tf.scans.plan import fingerprint
from vipann_tf.scans.planning import Scan
from vipann_tf.scans.recordings import Recording
from vipann_tf.scans.summary import ScanResult, write_results

__all__ = ["scan"]

_LOCK = ".lock"


def scan(
    model: StrPath,
    planned: Scan,
    out: StrPath,
    *,
    workers: int | None = None,
    runner: str | None = None,
    beam_options: Sequence[str] = (),
    server: str | None = None,
    deadline_s: float = 60.0,
    trust: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[int, int, int], None] | None = None,
) -> ScanResult:
    """Answer the windows of recordings, and write them; the same call goes on after a stop.

    Args:
      model: Model directory.
      planned: From `plan_scan`.
      out: Directory to make, or to go on with.
      workers: Processes, each of which loads the model; `None` is one.
      runner: `None` scans on this machine; else a runner of Apache Beam, such as `dask`, whose
        workers must see model, recordings and `out` under the same paths.
      beam_options: Beam's own flags.
      server: Address of a TensorFlow Serving to ask instead of loading the model.
      deadline_s: Longest time for a request to it.
      trust: Whether the model may do more than compute.
      overwrite: Whether to replace an earlier scan.
      on_progress: Called with the number of windows done, their total, and the number of those
        done in this run in which a label reaches its threshold.

    Raises:
      UserError: An argument is wrong, `out` holds another scan, or a worker died.
    """
    store.import_pyarrow()
    if workers is not None and workers < 1:
        raise UserError(f"workers is {workers}; use 1 or more")
    executor = choose_executor(
        1 if workers is None and runner is None else workers, runner, beam_options
    )
    if not planned.units:
        raise UserError(_none_usable(planned.recordings))
    if storage.is_remote(out):
        raise UserError(f"out is {out}; scans are written into a directory of a file system")
    out = os.path.abspath(out)
    _check_place(out)
    try:
        with locked(out, name=_LOCK):
            if overwrite:
                _empty(out)
            _begin(out, model, planned)
            store.remove_drafts(out)
            todo = [unit for unit in planned.units if not store.is_done(out, unit.name)]
            left = sum(piece.last - piece.first for unit in todo for piece in unit.pieces)

            def on_steps(done: int, detected: int) -> None:
                if on_progress is not None:
                    on_progress(planned.windows - left + done, planned.windows, detected)

            on_steps(0, 0)
            job = ScanJob(
                model=str(version_directory(model)),
                out=out,
                settings=planned.settings,
                keep=tuple(planned.keep),
                begins=planned.begins,
                units={unit.name: unit for unit in todo},
                thresholds=planned.thresholds,
                server=server,
                deadline_s=deadline_s,
                threads=max(1, joblib.cpu_count() // workers) if (workers or 1) > 1 else None,
                trust=trust,
            )
            if todo:
                executor(job, left, on_steps)
            result = write_results(out, planned)
            _write_state(out, model, planned, complete=True)
            return result
    except BlockingIOError as error:
        raise UserError(
            f"another run is making {out} right now; wait for it or choose another directory"
        ) from error
    except WorkerDied as error:
        raise UserError(
            f"{error}, perhaps for lack of memory; the same command goes on where this one stopped,"
            " and fewer workers need less memory"
        ) from error


def _none_usable(recordings: Sequence[Recording]) -> str:
    first = next(recording for recording in recordings if recording.error)
    return (
        f"none of {len(recordings)} recordings is usable, for example {first.path}: {first.error}"
    )


def _check_place(out: str) -> None:
    """Make the directory, unless it is somebody else's."""
    if not os.path.lexists(out):
        os.makedirs(out)
    if not os.path.isdir(out) or (
        set(os.listdir(out)) - {_LOCK} and not os.path.isfile(os.path.join(out, store.SCAN_FILE))
    ):
        raise UserError(
            f"{out} exists and is no scan's directory (it has no {store.SCAN_FILE}); choose another"
        )


def _empty(out: str) -> None:
    """Remove an earlier scan; the lock is ours."""
    for name in os.listdir(out):
        path = os.path.join(out, name)
        if name == _LOCK:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def _begin(out: str, model: StrPath, planned: Scan) -> None:
    """Write the state of a new scan; refuse to go on with another one."""
    path = os.path.join(out, store.SCAN_FILE)
    if not os.path.isfile(path):
        _write_state(out, model, planned, complete=False)
        return
    try:
        with open(path, encoding="utf-8") as file:
            earlier = json.load(file)
        difference = planned.settings.difference(earlier["settings"])
        if not difference and earlier["plan"] != fingerprint(planned.units):
            difference = _changed(earlier["recordings"], planned.recordings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}); choose another directory, or add"
            " --overwrite to start anew"
        ) from error
    if difference:
        raise UserError(
            f"{out} holds a scan that differs: {difference}; choose another directory, or add"
            " --overwrite to start anew"
        )


def _changed(earlier: Sequence[Sequence[Any]], recordings: Sequence[Recording]) -> str:
    before = {row[0]: row[1:] for row in earlier}
    now = {x.path: [x.length_s, list(x.state)] for x in recordings}
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            return f"the recording {path} is missing"
        if path not in before:
            return f"the recording {path} is new"
        if before[path] != now[path]:
            return f"the recording {path} has changed"
    return "it was planned by another version"


def _write_state(out: str, model: StrPath, planned: Scan, *, complete: bool) -> None:
    state = {
        "complete": complete,
        "created_by": f"vipann-tf {vipann_tf.__version__}",
        "model": os.path.abspath(version_directory(model)),
        "settings": dataclasses.asdict(planned.settings),
        "time_expansion": planned.info.time_expansion,
        # Of each label in the settings; null never detects.
        "thresholds": [None if x != x else x for x in planned.thresholds.tolist()],
        "plan": fingerprint(planned.units),
        "units": len(planned.units),
        "recordings": [[x.path, x.length_s, list(x.state)] for x in planned.recordings],
    }
    write_text(Path(out) / store.SCAN_FILE, json.dumps(state, indent=1) + "\n")
