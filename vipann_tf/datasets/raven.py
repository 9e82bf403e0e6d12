"""Your own recordings with selection tables of Raven or label files of Audacity, as windows."""

from __future__ import annotations

import dataclasses
from typing import Literal

from vipann_tf.datasets.annotated_recordings import LAYOUT, AnnotatedRecordings
from vipann_tf.datasets.annotated_windows import MinOverlap, labels_of_windows
from vipann_tf.datasets.base import Clip, Source
from vipann_tf.datasets.label_names import LabelNames, check_labels
from vipann_tf.datasets.tree import SourceTree
from vipann_tf.datasets.windowing import check_window, recording_seconds, window_clips
from vipann_tf.errors import UserError

__all__ = ["LAYOUT", "load"]

WINDOW_S = 5.0
DEFAULT_SPLIT = "train"


def load(
    tree: SourceTree,
    *,
    windows: float = WINDOW_S,
    hop: float | None = None,
    annotation_column: str | None = None,
    min_overlap: str = "50%",
    unlabelled: Literal["keep", "drop"] = "keep",
    channel: int | None = None,
) -> Source:
    """List the windows of annotated recordings.

    A recording with a table is taken as annotated from begin to end: its windows without a label
    are clips where none is true, also those of a recording whose table is empty. A recording
    without a table is rejected.

    Args:
      tree: A directory of recordings and tables, or one table.
      windows: Length of a window in seconds.
      hop: Time between the begins of windows; by default the length of a window.
      annotation_column: Column of the labels in Raven's tables; by default the first of
        `selection_tables.LABEL_COLUMNS`.
      min_overlap: How much of an annotation a window must hold to carry its label, see
        `MinOverlap`.
      unlabelled: `drop` leaves windows without a label out, for recordings that were annotated
        only in part.
      channel: Number of the channel whose selections count; `None` for those of all channels.

    Returns:
      A multilabel source with the labels in alphabetical order, in split `train`.

    Raises:
      UserError: An argument or a table is wrong, or there are no tables or no labels.
    """
    hop = check_window(windows, hop)
    overlap = MinOverlap.parse(min_overlap)
    if unlabelled not in ("keep", "drop"):
        raise UserError(f"unlabelled is {unlabelled!r}; use keep or drop")
    if channel is not None and channel < 1:
        raise UserError(f"channel is {channel}; use 1 for the first, 2 ...")
    listing = AnnotatedRecordings(tree, annotation_column)
    texts = (x.label for found in listing.recordings.values() for x in found.selections if x.label)
    names = LabelNames(texts, tree.given)
    clips: list[Clip] = []
    count = kept = 0
    for name, recording in sorted(listing.recordings.items()):
        found = recording.annotations(channel)
        length_s = recording_seconds(recording.path)
        if length_s is None:  # decoding it will give the reason
            labels = tuple(sorted({label for _, _, label in found}))
            clips.append(Clip(name, recording.path, labels, DEFAULT_SPLIT))
            continue
        found = recording.within(found, length_s)
        count += len(found)
        whole = Clip(name, recording.path, (), DEFAULT_SPLIT)
        pieces = window_clips(whole, length_s, windows, hop)
        begins = [piece.offset_s for piece in pieces]
        sets, unused = labels_of_windows(begins, min(windows, length_s), found, overlap)
        what = f"annotations of which no window holds {min_overlap}, which label nothing"
        recording.note("annotation-in-no-window", what, unused)
        if not found and unlabelled == "keep":
            recording.note(
                "no-annotation", "nothing is annotated in it; windows without a label", len(pieces)
            )
        kept += len(pieces)
        clips += [
            dataclasses.replace(piece, labels=tuple(sorted(labels)))
            for piece, labels in zip(pieces, sets, strict=True)
            if labels or unlabelled == "keep"
        ]
    labels = tuple(sorted({label for clip in clips for label in clip.labels}))
    if not labels:
        raise UserError(
            f"{tree.given}: no window has a label; its {len(listing.recordings)} recordings have"
            f" {count} annotations with a text (see --annotation-column)"
        )
    labelled = sum(bool(clip.labels) for clip in clips)
    dropped = " (left out)" if unlabelled == "drop" else ""
    return Source(
        name=tree.name,
        task="multilabel",
        labels=labels,
        clips=clips,
        clip_seconds=windows,
        rejected=tuple(listing.rejected),
        notices=(
            *listing.notices,
            *(notice for recording in listing.recordings.values() for notice in recording.notices),
            *names.notices,
            *check_labels(labels, "multilabel", clips, tree.given),
        ),
        counted=f"{len(listing.recordings)} recordings with tables, {count} annotations;"
        f" {labelled} windows with a label, {kept - labelled} without{dropped}",
    )
