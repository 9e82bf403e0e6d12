"""Your own recordings, one folder per class, optionally under one folder per split or fold."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vipann_tf.datasets.base import Clip, Rejection, Source, split_of_fold
from vipann_tf.datasets.file_kinds import count_suffixes, is_companion, unusable
from vipann_tf.datasets.label_names import LabelNames, check_labels
from vipann_tf.datasets.tree import SourceTree
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.task import Task, check_task

LAYOUT = "dog/bark1.wav ..., or train/dog/bark1.wav, eval/dog/..., or fold1/dog/..."
CLIP_SECONDS = 5.0
DEFAULT_SPLIT = "train"

_SPLIT_FOLDER = re.compile(
    r"(?P<name>train(ing)?|val(id(ation)?)?|dev(elopment)?|test(ing)?|eval(uation)?)"
    r"|(fold[ _-]?)?\d+",
    re.IGNORECASE,
)
# Folders that a notice names; it counts the others.
_NAMED = 5


def load(tree: SourceTree, *, task: Task = "multiclass") -> Source:
    """List a directory with one folder per class.

    The top folders are splits if all of them are called train, val, dev, test, eval (or the long
    forms), fold1, fold2 ... or 1, 2 ..., and contain folders only; otherwise they are classes, and
    all files below a class folder belong to it. A file that is reached twice, by links, is one
    clip. Files that may be sounds, but can't be read, are rejected; texts, tables, pictures and
    the like are counted in a notice. Hidden files are left out.

    Args:
      tree: The directory.
      task: `multilabel` if a model should score each class on its own. A file in several class
        folders, by links, then has several labels.

    Returns:
      A source with the classes in alphabetical order; everything is in split `train` if
      there are no split folders. A class whose files are all rejected is among the labels.

    Raises:
      UserError: There is no audio in folders, or split folders can't be distinguished from
        class folders; there is one class only, or two differ in capital letters alone; one file is
        in two classes of a multiclass source.
    """
    check_task(task)
    audio = tree.audio_files()
    inside = [name for name in audio if "/" in name]
    others = [row for name in tree.files if (row := unusable(tree.path(name), name)) is not None]
    if not inside:
        example = f"; {others[0].path}: {others[0].detail}" if others else ""
        raise UserError(
            f"{tree.given} is not the layout of folder ({LAYOUT}): looked for audio files in"
            f" folders; found {tree.glimpse()}{example}"
        )
    rejected = [
        Rejection(tree.path(name), name, "no-label", "it is not in a class folder")
        for name in audio
        if "/" not in name
    ]
    depth = 1 if _top_folders_are_splits(tree, inside) else 0
    folder_of = {
        name: name.split("/")[depth]
        for name in (*inside, *(row.clip_id for row in others))
        if name.count("/") > depth
    }
    names = LabelNames(folder_of.values(), tree.given)
    clips, same = _clips(tree, inside, depth, task)
    labels = tuple(sorted({names.label(folder) for folder in folder_of.values()}))
    single = check_labels(labels, task, clips, tree.given, _hint(tree, inside, depth))
    return Source(
        name=tree.name,
        task=task,
        labels=labels,
        clips=clips,
        clip_seconds=CLIP_SECONDS,
        rejected=(*rejected, *others, *same),
        notices=(
            *names.notices,
            *single,
            *_notices(tree, inside, depth, set(folder_of.values())),
        ),
    )


def _clips(
    tree: SourceTree, names: list[str], depth: int, task: Task
) -> tuple[list[Clip], list[Rejection]]:
    """Return a clip per file, and the names of files that are listed under another name."""
    folders = {name: [name.split("/")[depth]] for name in names}
    rejected = []
    for name, earlier in tree.same_files(names).items():
        detail = f"it is the same file as {earlier}"
        rejected.append(Rejection(tree.path(name), name, "same-file", detail))
        [folder] = folders.pop(name)
        folders[earlier].append(folder)
    clips = []
    for name, found in folders.items():
        labels = tuple(dict.fromkeys(LabelNames.label(folder) for folder in found))
        if len(labels) > 1 and task == "multiclass":
            raise UserError(
                f"{tree.path(name)} is linked from the classes {' and '.join(labels)}; remove it"
                " from all but one, or use --task multilabel, which gives a clip several labels"
            )
        split = _split_name(name.split("/")[0]) if depth else DEFAULT_SPLIT
        clips.append(Clip(name, tree.path(name), labels, split))
    return clips, rejected


def _notices(tree: SourceTree, audio: list[str], depth: int, classes: set[str]) -> Iterable[Notice]:
    """Yield what the listing guessed and left out."""
    companions = [name for name in tree.files if is_companion(name)]
    if companions:
        detail = f"{count_suffixes(companions)}: files that are no sounds were left out"
        yield Notice(tree.given, "", "not-audio", detail)
    tops = sorted({name.split("/")[0] for name in audio})
    if depth and any(top.isdecimal() for top in tops):
        yield Notice(
            tree.given,
            "",
            "numbers-as-folds",
            f"the folders {_some(tops)} were taken as folds, and the folders in them as the classes"
            f" {_some(sorted(classes))}; if the numbers are classes, give them names, such as"
            f" class{tops[0]}",
        )
    deeper = sorted(
        {"/".join(x.split("/")[: depth + 2]) for x in audio if x.count("/") > depth + 1}
    )
    if deeper:
        detail = f"files in {_some(deeper)} belong to the class that is named before"
        yield Notice(tree.given, "", "nested-folders", detail)
    heard = {"/".join(name.split("/")[:n]) for name in audio for n in range(1, depth + 2)}
    for folder in tree.folders:
        above, _, name = folder.rpartition("/")
        if folder.count("/") <= depth and folder not in heard and (not above or above in heard):
            what = "labels" if folder.count("/") == depth else "splits"
            kept = "" if name in classes else f", so {name!r} is not one of the {what}"
            detail = f"there is no sound in this folder that can be read{kept}"
            yield Notice(tree.path(folder), "", "empty-folder", detail)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _hint(tree: SourceTree, audio: list[str], depth: int) -> str:
    """Return what may be meant by a single class folder that holds folders."""
    parts = audio[0].split("/")
    if len(parts) < depth + 3:
        return ""
    folder = tree.path("/".join(parts[: depth + 1]))
    return f"; if the folders in {folder} are the classes, name it as SOURCE"


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
