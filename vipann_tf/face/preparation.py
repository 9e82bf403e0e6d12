"""Labelled audio becomes a dataset directory: `vipann-tf prepare`."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from vipann_tf import datasets
from vipann_tf.audio.channels import Channel
from vipann_tf.datasets.base import Source
from vipann_tf.datasets.remote_tree import source_tree
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import warn_of
from vipann_tf.records.clip_reading import ClipReading, Crop
from vipann_tf.records.prepare import prepare as prepare_source
from vipann_tf.records.schema import DatasetInfo
from vipann_tf.records.summary import read_notices

__all__ = ["list_source", "prepare"]


def prepare(
    dataset: str,
    source: StrPath | None,
    out: StrPath,
    *,
    seconds: float | None = None,
    task: str | None = None,
    windows: float | None = None,
    hop: float | None = None,
    holdout: float | None = None,
    folds: int | None = None,
    seed: int | None = None,
    clips: int | None = None,
    subset: str | None = None,
    annotation_column: str | None = None,
    min_overlap: str | None = None,
    unlabelled: Literal["keep", "drop"] | None = None,
    ignore_columns: str | None = None,
    crop: Crop = "first",
    time_expansion: float = 1.0,
    channel: Channel = "mix",
    workers: int | None = None,
    runner: str | None = None,
    beam_options: Sequence[str] = (),
    strict: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> DatasetInfo:
    """Turn labelled audio into a dataset directory of TFRecords.

    What was cut, guessed or left out is a `NoticeWarning` and stands in `notices.csv`; files that
    gave no clip stand in `rejected.csv`. An interrupted call resumes when it is repeated.

    Args:
      dataset: Layout of the source: `folder`, `csv` and `raven` for your own recordings, or the
        name of a published dataset; `synthetic` makes sounds from a seed.
      source: Its directory or file; `None` for `synthetic`.
      out: Directory to make.
      seconds: Clip length in seconds of the recording; by default that of the dataset.
      task: folder, csv: `multiclass` or `multilabel`. synthetic: also `ood`.
      windows: folder, csv, raven: cut recordings into windows of so many seconds.
      hop: With `windows`: time between their begins; by default the length of a window.
      holdout: folder, csv, raven: share of the clips in the split `test`.
      folds: folder, csv, raven, synthetic: number of folds to make.
      seed: Seed of `holdout`, of `folds`, or of the synthetic sounds.
      clips: synthetic: number of clips.
      subset: esc50: `esc10` for its subset.
      annotation_column: raven: column of the labels.
      min_overlap: raven: what a window must hold of an annotation, such as `50%` or `0.25s`.
      unlabelled: raven: whether windows without a label are clips.
      ignore_columns: csv: columns to leave out, with commas between.
      crop: Which part of a longer recording becomes the clip.
      time_expansion: How many times to slow recordings down.
      channel: What to hear of several channels.
      workers: Processes; by default all cores unless the job is small.
      runner: Runner of Apache Beam, such as `dask`, to prepare on a cluster.
      beam_options: Beam's own flags.
      strict: Whether a notice is an error.
      overwrite: Whether to replace a dataset directory.
      on_progress: Called with the number of clips done and their total.

    Returns:
      What was written, as in dataset.json.

    Raises:
      UserError: An argument is not allowed or does not go with the dataset, `out` exists, or no
        clip is usable.
    """
    listed = list_source(
        dataset,
        source,
        seconds=seconds,
        channel=channel,
        task=task,
        windows=windows,
        hop=hop,
        holdout=holdout,
        folds=folds,
        seed=seed,
        clips=clips,
        subset=subset,
        annotation_column=annotation_column,
        min_overlap=min_overlap,
        unlabelled=unlabelled,
        ignore_columns=ignore_columns,
    )
    info = prepare_source(
        listed,
        out,
        seconds=seconds,
        workers=workers,
        overwrite=overwrite,
        strict=strict,
        reading=ClipReading(channel, time_expansion, crop),
        runner=runner,
        beam_options=beam_options,
        on_progress=on_progress,
    )
    warn_of(read_notices(out))
    return info


def list_source(
    dataset: str,
    source: StrPath | None,
    *,
    seconds: float | None,
    channel: Channel,
    **options: Any,
) -> Source:
    """List the clips of a dataset with the options of `prepare`; `None` is no option.

    Raises:
      UserError: As in `prepare`; nothing is decoded.
    """
    known = datasets.find(dataset)
    if seconds is not None and (dataset == "raven" or options.get("windows") is not None):
        raise UserError(
            f"seconds {seconds:g} and windows exclude each other: the length of a window is that "
            "of a clip; give windows alone"
        )
    if dataset == "raven" and isinstance(channel, int):
        options["channel"] = channel  # selections of others are not heard
    if "seconds" in known.options:
        options["seconds"] = seconds
    return datasets.load(dataset, None if source is None else source_tree(source), **options)
