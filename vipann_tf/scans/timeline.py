"""The timeline of one recording of a finished scan, as a picture or a page."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.errors import DecodeError
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import Notice
from vipann_tf.saved_model.timeline import BAND, Listener, Window
from vipann_tf.scans import store
from vipann_tf.scans.clock import Clock
from vipann_tf.scans.finished import list_rows, read_batches, read_recordings, read_state
from vipann_tf.scans.recordings import Recording, opened
from vipann_tf.timelines.file import TimelineFile, check_place
from vipann_tf.timelines.picture import Heard

__all__ = ["heard_by", "write_timeline"]

# Recordings that an error names.
_NAMED = 3


def write_timeline(scan: StrPath, recording: StrPath, out: StrPath) -> int:
    """Draw what a finished scan heard in a recording.

    Args:
      scan: Directory of the scan.
      recording: Path of the recording, or the end of its path if no other one has it.
      out: File to write, which ends in .png or .html.

    Returns:
      Number of detections.

    Raises:
      UserError: An argument is wrong, the scan is not finished, or the recording can't be read or
        has changed since.
    """
    scan = os.fspath(scan)
    check_place(out, "out")
    state = read_state(scan)
    path = _find(scan, state["recordings"], os.fspath(recording))
    name = Recording(path, 0, 0.0, ()).name
    (row,) = (x for x in read_recordings(scan).to_pylist() if x["recording"] == name)
    if not row["windows"]:
        raise UserError(f"{path} was not heard: {row['error']}; there is nothing to draw")
    _check_unchanged(path, next(x[2] for x in state["recordings"] if x[0] == path))
    drawn = TimelineFile(out, _heard(scan, state, path, row))
    for window in _windows(scan, name, state["settings"]):
        drawn.add(window)
    try:
        with opened(path) as file:
            return drawn.write(file)
    except DecodeError as error:
        raise UserError(
            f"{path}: {error}; the picture needs the sound as it was scanned"
        ) from error


def heard_by(
    listener: Listener,
    labels: Sequence[str],
    path: str,
    seconds: float,
    thresholds: NDArray[np.float32],
) -> tuple[Heard, list[Notice]]:
    """Return what a picture of a recording needs to know, and how its clock was guessed.

    Args:
      listener: Who answers for its windows.
      labels: Label names in the order of the outputs.
      path: The recording.
      seconds: Its length.
      thresholds: Least probability of a detection of each label, float32 [labels].
    """
    started, notices = Clock().start_of(path)
    begin, zone = (None, None) if started is None else started.shown
    heard = Heard(
        path=path,
        seconds=seconds,
        window_s=listener.window_s,
        hop_s=listener.hop_s,
        labels=labels,
        thresholds=thresholds,
        channel=listener.channel,
        time_expansion=listener.time_expansion,
        begin=begin,
        zone=zone,
    )
    # That no time of day is known, the picture says.
    return heard, [notice for notice in notices if notice.kind != "no-time"]


def _find(scan: str, recordings: Sequence[Sequence[Any]], wanted: str) -> str:
    """Return the path of a recording in the scan."""
    paths = [str(x[0]) for x in recordings]
    if wanted in paths:
        return wanted
    absolute = os.path.abspath(wanted)
    if absolute in paths:
        return absolute
    end = "/" + wanted.replace("\\", "/").removeprefix("./")
    found = [path for path in paths if path.replace("\\", "/").endswith(end)]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(found[:_NAMED]) + (" and more" if len(found) > _NAMED else "")
        raise UserError(
            f"{len(found)} recordings of {scan} end in {wanted}: {some}; give more of it"
        )
    names = {os.path.basename(path.replace("\\", "/")): path for path in paths}
    near = difflib.get_close_matches(os.path.basename(end), names, n=_NAMED)
    some = ", ".join(names[x] for x in near) or ", ".join(paths[:_NAMED])
    raise UserError(f"{scan} has no recording {wanted}; it has {some}")


def _check_unchanged(path: str, before: Sequence[int]) -> None:
    """Refuse the sound of another recording under an old name."""
    if storage.is_remote(path):
        return  # nothing is known of its state
    try:
        found = os.stat(path)
    except OSError as error:
        raise UserError(
            f"{path} can't be read ({error.strerror}); the picture needs the sound: put it back"
        ) from error
    if [found.st_size, found.st_mtime_ns] != list(before):
        raise UserError(f"{path} has changed since it was scanned; scan it again")


def _heard(scan: str, state: dict[str, Any], path: str, row: dict[str, Any]) -> Heard:
    settings = state["settings"]
    if "thresholds" not in state:
        raise UserError(
            f"{scan} was made by an earlier version, which did not keep its thresholds; give the"
            " same scan command again, which writes them and scans nothing twice"
        )
    remarks = []
    if not settings.get("draws"):
        remarks.append("There are no bands over draws, which scan --keep-draws keeps.")
    if row["error"]:
        remarks.append(f"It could not be heard to its end: {row['error']}.")
    local, utc = row["begin_local"], row["begin_utc"]
    utc = None if utc is None else utc.replace(tzinfo=None)
    return Heard(
        path=path,
        seconds=row["length_s"],
        window_s=settings["window_s"],
        hop_s=settings["hop_s"],
        labels=settings["labels"],
        thresholds=np.array([np.nan if x is None else x for x in state["thresholds"]], np.float32),
        channel=settings["channel"],
        time_expansion=state["time_expansion"],
        begin=local or utc,
        zone=None if not (local or utc) else "UTC" if local in (None, utc) else "local",
        remarks=tuple(remarks),
    )


def _windows(scan: str, name: str, settings: dict[str, Any]) -> Iterator[Window]:
    """Read the windows of a recording, in order of time."""
    labels = settings["labels"]
    columns = ["recording", "start_s", "end_s", "total", "aleatoric", "epistemic"]
    columns += [store.column(measure, x) for measure in store.MEASURES for x in labels]
    if settings.get("draws"):
        columns += [store.column(store.DRAWS, x) for x in labels]
    for table in read_batches(scan, store.WINDOWS, columns, recording=name):
        start_s, end_s, *clip = (table[x].to_numpy() for x in columns[1:6])
        # [rows, labels] each
        probabilities, aleatoric, epistemic = (
            np.stack([table[store.column(measure, x)].to_numpy() for x in labels], axis=1)
            for measure in store.MEASURES
        )
        low = high = np.full_like(probabilities, np.nan)
        if settings.get("draws") and table.num_rows:
            low, high = _bands([list_rows(table, store.column(store.DRAWS, x)) for x in labels])
        for i in range(table.num_rows):
            total, whole_aleatoric, whole_epistemic = (float(values[i]) for values in clip)
            yield Window(
                start_s=float(start_s[i]),
                end_s=float(end_s[i]),
                probabilities=probabilities[i],
                low=low[i],
                high=high[i],
                label_aleatoric=aleatoric[i],
                label_epistemic=epistemic[i],
                total=total,
                aleatoric=whole_aleatoric,
                epistemic=whole_epistemic,
            )


def _bands(draws: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the ends of the bands, float32 [2, rows, labels], from [rows, draws] of each label."""
    bands: NDArray[np.float32] = np.stack(
        [np.quantile(x, BAND, axis=1) for x in draws], axis=-1
    ).astype(np.float32)
    return bands
