"""Answers for many long recordings, from their names to tables: `vipann-tf scan`."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from vipann_tf.audio.channels import Channel
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import Notice, warn_of
from vipann_tf.saved_model.thresholds import Threshold
from vipann_tf.scans import clips
from vipann_tf.scans.planning import Scan, plan_scan
from vipann_tf.scans.run import scan as run
from vipann_tf.scans.summary import ScanResult, read_detections, write_scan_tables

__all__ = ["Scanned", "carry_out", "scan"]

Format = Literal["raven", "audacity", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclasses.dataclass(frozen=True)
class Scanned(ScanResult):
    """What a scan gave, and what it wrote beside its Parquet files.

    Attributes:
      tables: Files with the detections.
      clips: Number of clips that were cut out.
    """

    tables: list[Path] = dataclasses.field(default_factory=list)
    clips: int = 0


def scan(
    model: StrPath,
    recordings: StrPath | Sequence[StrPath],
    out: StrPath,
    *,
    window_s: float | None = None,
    hop_s: float | None = None,
    threshold: Threshold = 0.5,
    formats: Sequence[Format] = (),
    extract: int | None = None,
    extract_by: clips.Choice = "best",
    start: str = "",
    timezone: str = "",
    labels: Sequence[str] = (),
    embeddings: bool = False,
    keep_draws: bool = False,
    workers: int | None = None,
    runner: str | None = None,
    beam_options: Sequence[str] = (),
    num_draws: int | None = None,
    seed: int | None = None,
    channel: Channel = "mix",
    trust: bool = False,
    server: str | None = None,
    deadline_s: float = 60.0,
    overwrite: bool = False,
    on_progress: Callable[[int, int, int], None] | None = None,
) -> Scanned:
    """Answer every window of many recordings, into Parquet files.

    The same call goes on where it was stopped. Notices are `NoticeWarning`s and stand in
    `notices.csv`; recordings that could not be heard to their end are in `errors`.

    Args:
      model: Model directory.
      recordings: Audio files, folders, patterns, or CSV files with a column `filename`.
      out: Directory to make, or to go on with.
      window_s: Length of a window; by default that of the clips that the model was trained on.
      hop_s: Time between windows; by default half a window.
      threshold: Least probability of a detection, or `calibrated`: that of each label, from
        `calibrate`.
      formats: Write the detections as tables of these kinds, too.
      extract: Cut so many detections of each label out as clips to verify.
      extract_by: Which detections are cut out.
      start: When the one recording began.
      timezone: Zone of recorders' times without an offset.
      labels: Labels to keep; by default all.
      embeddings: Whether to store the embedding of each window, too.
      keep_draws: Whether to store the probabilities of every draw, too.
      workers: Processes, each of which loads the model; by default one.
      runner: Runner of Apache Beam, such as `dask`, to scan on a cluster.
      beam_options: Beam's own flags.
      num_draws: Number of draws; by default that of the export.
      seed: Seed of the draws; by default that of the export.
      channel: What to hear of several channels.
      trust: Whether the graph of the model may do more than compute.
      server: `HOST:PORT` of a TensorFlow Serving to ask instead of loading the model.
      deadline_s: Longest time for a request to it, in seconds.
      overwrite: Whether to replace an earlier scan.
      on_progress: Called with the number of windows done, their total, and the number of those done
        in this call in which a label reaches its threshold.

    Raises:
      UserError: An argument is wrong, no recording is usable, `out` holds another scan, or a worker
        died.
    """
    # Before hours of listening.
    for style in formats:
        if style not in FORMATS:
            raise UserError(f"formats has {style!r}; use a list of {', '.join(FORMATS)}")
    if extract_by not in clips.CHOICES:
        raise UserError(f"extract_by is {extract_by!r}; use one of {', '.join(clips.CHOICES)}")
    if extract is not None and extract < 1:
        raise UserError(f"extract is {extract}; use 1 or more, or leave it out")
    if isinstance(recordings, (str, os.PathLike)):
        recordings = [recordings]
    planned = plan_scan(
        model,
        [os.fspath(name) for name in recordings],
        window_s=window_s,
        hop_s=hop_s,
        threshold=threshold,
        num_draws=num_draws,
        seed=seed,
        channel=channel,
        labels=labels,
        embeddings=embeddings,
        draws=keep_draws,
        start=start,
        timezone=timezone,
    )
    found = carry_out(
        model,
        planned,
        out,
        formats=formats,
        extract=extract,
        extract_by=extract_by,
        workers=workers,
        runner=runner,
        beam_options=beam_options,
        server=server,
        deadline_s=deadline_s,
        trust=trust,
        overwrite=overwrite,
        on_progress=on_progress,
    )
    warn_of(found.notices)
    return found


def carry_out(
    model: StrPath,
    planned: Scan,
    out: StrPath,
    *,
    formats: Sequence[Format] = (),
    extract: int | None = None,
    extract_by: clips.Choice = "best",
    **options: Any,
) -> Scanned:
    """Do a scan that is planned, and write the tables and clips of its detections.

    Args:
      model: Model directory.
      planned: From `plan_scan`.
      out: Directory to make, or to go on with.
      formats: As in `scan`.
      extract: As in `scan`.
      extract_by: As in `scan`.
      **options: Those of `scans.run.scan`.

    Raises:
      UserError: As in `scan`.
    """
    result = run(model, planned, out, **options)
    folder = os.fspath(out)
    tables = [Path(path) for path in write_scan_tables(folder, planned, tuple(formats))]
    cut, left_out = 0, list[Notice]()
    if extract is not None:
        cut, left_out = clips.extract(
            folder,
            read_detections(folder),
            planned.recordings,
            count=extract,
            choice=extract_by,
            window_s=planned.settings.window_s,
            channel=planned.settings.channel,
        )
    found = dataclasses.replace(result, notices=[*result.notices, *left_out])
    return Scanned(**vars(found), tables=tables, clips=cut)
