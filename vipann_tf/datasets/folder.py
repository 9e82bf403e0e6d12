"""Your own recordings, one folder per class, optionally under one folder per split or fold."""

from __future__ import annotations

import re

from vipann_tf.datasets.base import Clip, Rejection, Source, split_of_fold
from vipann_tf.datasets.tree import SourceTree
from vipann_tf.errors import UserError
from vipann_tf.task import Task, check_task

LAYOUT = "dog/bark1.wav ..., or train/dog/bark1.wav, eval/dog/..., or fold1/dog/..."
CLIP_SECONDS = 5.0
DEFAULT_SPLIT = "train"

_SPLIT_FOLDER = re.compile(
    r"(?P<name>train(ing)?|val(id(ation)?)?|dev(elopment)?|test(ing)?|eval(uation)?)"
    r"|(fold[ _-]?)?\d+",
    re.IGNORECASE,
)


def load(tree: SourceTree, *, task: Task = "multiclass") -> Source:
    """List a directory with one folder per class.

    The top folders are splits if all of them are called train, val, dev, test, eval (or the long
    forms), fold1, fold2 ... or 1, 2 ..., and contain folders only; otherwise they are classes, and
    all files below a class folder belong to it.

    Args:
      tree: The directory.
      task: `multilabel` if a model should score each class on its own.

    Returns:
      A source with the classes in alphabetical order; everything is in split `train` if
      there are no split folders.

    Raises:
      UserError: There is no audio in folders, or split folders can't be distinguished from
        class folders.
    """
    check_task(task)
    files = tree.audio_files()
    inside = [name for name in files if "/" in name]
    if not inside:
        raise UserError(
            f"{tree.given} is not the layout of folder ({LAYOUT}): looked for audio files in"
            f" folders; found {tree.glimpse()}"
        )
    rejected = [
        Rejection(tree.path(name), name, "no-label", "it is not in a class folder")
        for name in files
        if "/" not in name
    ]
    depth = 1 if _top_folders_are_splits(tree, inside) else 0
    clips = []
    for name in inside:
        parts = name.split("/")
        split = _split_name(parts[0]) if depth else DEFAULT_SPLIT
        clips.append(Clip(name, tree.path(name), (parts[depth],), split))
    return Source(
        name=tree.name,
        task=task,
        labels=tuple(sorted({clip.labels[0] for clip in clips})),
        clips=clips,
        clip_seconds=CLIP_SECONDS,
        rejected=tuple(rejected),
    )


def _top_folders_are_splits(tree: SourceTree, names: list[str]) -> bool:
    tops = {name.split("/", 1)[0] for name in names}
    flat = {name.split("/", 1)[0] for name in names if name.count("/") == 1}
    split_like = {top for top in tops if _SPLIT_FOLDER.fullmatch(top)}
    nested_splits = split_like - flat
    if not nested_splits:
        return False
    if nested_splits == tops:
        return True
    odd = sorted(tops - nested_splits)[0]
    raise UserError(
        f"{tree.given}: the folder {sorted(nested_splits)[0]!r} looks like a split that holds class"
        f" folders, but {odd!r} does not; put every class folder under a split folder (train, eval,"
        " fold1 ...), or none"
    )


def _split_name(folder: str) -> str:
    match = _SPLIT_FOLDER.fullmatch(folder)
    return folder.lower() if match is not None and match["name"] else split_of_fold(folder)
