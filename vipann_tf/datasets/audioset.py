"""AudioSet: two million ten-second YouTube clips, 527 labels (Gemmeke et al., ICASSP 2017).

The publisher gives segment lists, not audio. Every downloader names its files differently, and some
of the videos are gone.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from vipann_tf.datasets.base import Clip, Rejection, Source
from vipann_tf.datasets.tree import SourceTree, stem
from vipann_tf.errors import UserError

LAYOUT = (
    "class_labels_indices.csv, one or more of balanced_train_segments.csv,"
    " unbalanced_train_segments.csv, eval_segments.csv, and audio anywhere below, named by YouTube"
    " id: -0RWZT-miFs.wav, Y-0RWZT-miFs.flac, -0RWZT-miFs_420.000.mp3 ..."
)
CLIP_SECONDS = 10.0
LABELS_FILE = "class_labels_indices.csv"
SEGMENT_FILES = {
    "balanced_train_segments.csv": "train_balanced",
    "unbalanced_train_segments.csv": "train_unbalanced",
    "eval_segments.csv": "eval",
}


def load(tree: SourceTree) -> Source:
    """List AudioSet from its segment lists and the audio that was downloaded.

    Args:
      tree: Directory that holds, at any depth, the CSV files and the audio. An audio file is one
        segment, not a whole video; its name is the YouTube id, with or without a leading `Y`, and
        optionally the start (and end) in seconds or the start in milliseconds.

    Returns:
      A multilabel source with the publisher's display names in model order and splits
      train_balanced, train_unbalanced and eval. Clip ids are `<YouTube id>_<start in ms>`, as in
      the publisher's strong labels. Segments without a file are rejected as `missing-file`.

    Raises:
      UserError: The label list or every segment list is missing, or one is damaged.
    """
    paths = {name.rsplit("/", 1)[-1]: name for name in reversed(tree.files)}
    segment_files = [name for name in SEGMENT_FILES if name in paths]
    if LABELS_FILE not in paths or not segment_files:
        raise UserError(
            f"{tree.given} is not the layout of audioset ({LAYOUT}): looked for {LABELS_FILE} and"
            f" {', '.join(SEGMENT_FILES)}; found {tree.glimpse()}"
        )
    names = _label_names(tree, paths[LABELS_FILE])
    audio = {stem(name): name for name in reversed(tree.audio_files())}
    clips, rejected = [], []
    for file in segment_files:
        for ytid, start_s, end_s, mids in _segments(tree, paths[file]):
            clip_id = f"{ytid}_{round(start_s * 1000)}"
            found = next((audio[s] for s in _stems(ytid, start_s, end_s) if s in audio), None)
            if found is None:
                rejected.append(Rejection(ytid, clip_id, "missing-file", f"listed in {file}"))
                continue
            # An id that is not in the label list stays, and is rejected later as an unknown label.
            labels = tuple(names.get(mid, mid) for mid in mids)
            clips.append(Clip(clip_id, tree.path(found), labels, SEGMENT_FILES[file]))
    return Source(
        name="audioset",
        task="multilabel",
        labels=tuple(names.values()),
        clips=clips,
        clip_seconds=CLIP_SECONDS,
        rejected=tuple(rejected),
    )


def _label_names(tree: SourceTree, file: str) -> dict[str, str]:
    """Return machine id -> display name, in model order."""
    rows = tree.read_csv(file, ("index", "mid", "display_name"))
    for index, row in enumerate(rows):
        if row["index"] != str(index):
            raise UserError(
                f"{tree.path(file)}, row {index + 1}: index is {row['index']!r} where {index} is"
                " expected; download the file again"
            )
    return {row["mid"]: row["display_name"] for row in rows}


def _segments(tree: SourceTree, file: str) -> Iterator[tuple[str, float, float, list[str]]]:
    """Yield the rows of a segment list; its header lines begin with '#'."""
    lines = tree.read_text(file).splitlines()
    rows = (line for line in lines if line and not line.startswith("#"))
    for number, row in enumerate(csv.reader(rows, skipinitialspace=True), start=1):
        try:
            ytid, start, end, mids = row
            yield ytid, float(start), float(end), mids.split(",")
        except ValueError as error:
            raise UserError(
                f"{tree.path(file)}, segment {number}: {','.join(row)!r} is not YouTube id, start,"
                " end and labels; download the file again"
            ) from error


def _stems(ytid: str, start_s: float, end_s: float) -> Iterator[str]:
    """Yield the file names without suffix that downloaders give a segment, most common first."""
    for base in (ytid, f"Y{ytid}"):
        yield base
        yield f"{base}_{start_s:.3f}"
        yield f"{base}_{start_s:.3f}_{end_s:.3f}"
        yield f"{base}_{start_s:.0f}"
        yield f"{base}_{start_s:.0f}_{end_s:.0f}"
        yield f"{base}_{start_s * 1000:.0f}"
        yield f"{base}_{start_s * 1000:.0f}_{end_s * 1000:.0f}"
