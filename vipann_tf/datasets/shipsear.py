"""ShipsEar: vessels recorded under water, some 90 recordings of seconds to minutes.

Santos-Domínguez et al., "ShipsEar: An underwater vessel noise database", Applied Acoustics 113,
2016. The classes A to E are those of the paper's section on classification.
"""

from __future__ import annotations

import re

from vipann_tf.datasets.base import Clip, Rejection, Source
from vipann_tf.datasets.tree import SourceTree, stem
from vipann_tf.errors import UserError

LAYOUT = (
    "6__10_07_13_marDeCangas_Entra.wav ... (name begins with the recording's id), shipsEar.csv (ID,"
    " Type; the published shipsEar.xlsx saved as CSV)"
)
WINDOW_SECONDS = 5.0
FOLDS = 5
LABELS = ("A", "B", "C", "D", "E")
# Vessel type, letters only and in lower case -> class: working boats, small boats, passenger
# ferries, large ships, and background noise.
CLASS_OF_TYPE = {
    "fishboat": "A",
    "trawler": "A",
    "musselboat": "A",
    "tugboat": "A",
    "dredger": "A",
    "motorboat": "B",
    "pilotship": "B",
    "sailboat": "B",
    "passengers": "C",
    "oceanliner": "D",
    "roro": "D",
    "naturalambientnoise": "E",
}


def load(tree: SourceTree, *, seconds: float = WINDOW_SECONDS, folds: int = FOLDS) -> Source:
    """List ShipsEar, cut into windows.

    There is no published split. Within each class the recordings, in the order of their ids, are
    assigned to the folds in turn, and all windows of a recording are in its fold.

    Args:
      tree: Directory with the recordings and one CSV file of metadata.
      seconds: Window length and hop. The rest at the end is dropped, unless the recording is
        shorter than a window.
      folds: Number of folds.

    Returns:
      A multiclass source with labels A to E and splits fold1 to fold`folds`. Recordings
      missing in the metadata, and types without a class in the paper, are rejected as `no-label`.

    Raises:
      UserError: The directory has another layout, or an argument is out of range.
    """
    if not 0.1 <= seconds <= 600:
        raise UserError(f"seconds is {seconds}; use a window from 0.1 to 600")
    if folds < 2:
        raise UserError(f"folds is {folds}; use 2 or more, so that one can be held out")
    types = _types(tree)
    recordings, rejected = _recordings(tree, types)
    clips = []
    for members in recordings.values():
        for place, (_, name, label) in enumerate(sorted(members)):
            split = f"fold{place % folds + 1}"
            length_s = tree.audio_seconds(name)
            # An unreadable file counts as one window: decoding it will give the reason.
            windows = 1 if length_s is None else max(1, int(length_s / seconds + 1e-9))
            for window in range(windows):
                offset_s = window * seconds
                clip_id = f"{stem(name)}@{offset_s:g}"
                clips.append(Clip(clip_id, tree.path(name), (label,), split, offset_s, seconds))
    return Source(
        name="shipsear",
        task="multiclass",
        labels=LABELS,
        clips=clips,
        clip_seconds=seconds,
        rejected=tuple(rejected),
    )


def _types(tree: SourceTree) -> dict[int, str]:
    """Return recording id -> vessel type as published."""
    files = [name for name in tree.files if name.lower().endswith(".csv")]
    if tree.file is not None:
        files = [tree.file]
    if len(files) != 1:
        raise UserError(
            f"{tree.given} is not the layout of shipsear ({LAYOUT}): looked for exactly one CSV"
            f" file; found {', '.join(files) or tree.glimpse()}"
        )
    header = tree.read_text(files[0]).split("\n", 1)[0].strip().split(",")
    columns = {column.strip().lower(): column.strip() for column in header}
    id_column, type_column = columns.get("id", "ID"), columns.get("type", "Type")
    types = {}
    for row in tree.read_csv(files[0], (id_column, type_column)):
        if row[id_column]:
            types[_number(row[id_column], tree.path(files[0]))] = row[type_column]
    return types


def _number(text: str, where: str) -> int:
    if not text.isdecimal():
        raise UserError(f"{where}: ID {text!r} is not a number")
    return int(text)


def _recordings(
    tree: SourceTree, types: dict[int, str]
) -> tuple[dict[str, list[tuple[int, str, str]]], list[Rejection]]:
    """Return label -> its recordings as (id, file name, label), and the rejected files."""
    recordings: dict[str, list[tuple[int, str, str]]] = {label: [] for label in LABELS}
    rejected = []
    for name in tree.audio_files():
        match = re.match(r"(\d+)_", stem(name))
        number = int(match[1]) if match else -1
        kind = types.get(number)
        label = CLASS_OF_TYPE.get(re.sub("[^a-z]", "", kind.lower())) if kind else None
        if label is None:
            detail = f"type {kind!r} has no class" if kind else "no such id in the metadata"
            rejected.append(Rejection(tree.path(name), stem(name), "no-label", detail))
            continue
        recordings[label].append((number, name, label))
    if not any(recordings.values()) and not rejected:
        raise UserError(
            f"{tree.given} is not the layout of shipsear ({LAYOUT}): looked for audio files; found"
            f" {tree.glimpse()}"
        )
    return recordings, rejected
