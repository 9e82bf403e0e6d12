"""Your own recordings, listed in a CSV file: filename, labels separated by ';', split or fold."""

from __future__ import annotations

from vipann_tf.datasets.base import Clip, Source, check_split, split_of_fold
from vipann_tf.datasets.tree import SourceTree
from vipann_tf.errors import UserError
from vipann_tf.task import Task, check_task

LAYOUT = (
    "labels.csv (filename, labels separated by ';', split or fold; optional offset_s, duration_s)"
    " with file names relative to its directory"
)
CLIP_SECONDS = 5.0
DEFAULT_SPLIT = "train"


def load(tree: SourceTree, *, task: Task | None = None) -> Source:
    """List the clips of a CSV file.

    Columns: `filename` (absolute, or relative to the CSV file's directory), `labels` or `label`,
    and optionally `split` or `fold`, `offset_s` and `duration_s`. Others are ignored.

    Args:
      tree: The CSV file, or a directory that holds exactly one.
      task: `None` means multiclass if every row has exactly one label, else multilabel.

    Returns:
      A source with the labels in alphabetical order. Without a split or fold column, everything is
      in split `train`. In a multilabel source a row without labels is a clip where none is true.

    Raises:
      UserError: The file, a column or a value is missing or wrong; the message names the row.
    """
    if task is not None:
        check_task(task)
    file = tree.file or _only_csv(tree)
    rows = tree.read_csv(file, ("filename",))
    if not rows:
        raise UserError(f"{tree.path(file)} has no rows; list one clip per row: {LAYOUT}")
    labels_column = _one_of(tree.path(file), rows[0], ("labels", "label"))
    if labels_column is None:
        raise UserError(
            f"{tree.path(file)} has no column 'labels'; its columns are {', '.join(rows[0])}"
        )
    split_column = _one_of(tree.path(file), rows[0], ("split", "fold"))
    clips = [
        _clip(tree, row, f"{tree.path(file)}, row {number}", labels_column, split_column)
        for number, row in enumerate(rows, start=1)
    ]
    if task is None:
        single = all(len(clip.labels) == 1 for clip in clips)
        task = "multiclass" if single else "multilabel"
    labels = sorted({label for clip in clips for label in clip.labels})
    if not labels:
        raise UserError(f"{tree.path(file)}: column {labels_column!r} holds no label in any row")
    return Source(
        name=tree.name, task=task, labels=tuple(labels), clips=clips, clip_seconds=CLIP_SECONDS
    )


def _clip(
    tree: SourceTree,
    row: dict[str, str],
    where: str,
    labels_column: str,
    split_column: str | None,
) -> Clip:
    name = row["filename"]
    if not name:
        raise UserError(f"{where}: filename is empty; name the audio file")
    parts = (part.strip() for part in row[labels_column].split(";"))
    labels = tuple(dict.fromkeys(part for part in parts if part))
    if split_column is None:
        split = DEFAULT_SPLIT
    elif split_column == "fold":
        split = split_of_fold(row["fold"])
    else:
        split = check_split(row["split"], where)
    offset_s = _seconds(row, "offset_s", where) or 0.0
    duration_s = _seconds(row, "duration_s", where)
    if duration_s == 0:
        raise UserError(f"{where}: duration_s is 0; leave it empty for the rest of the file")
    # Several clips may come from one file.
    clip_id = f"{name}@{offset_s:g}" if offset_s else name
    return Clip(clip_id, tree.path(name), labels, split, offset_s, duration_s)


def _seconds(row: dict[str, str], column: str, where: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UserError(f"{where}: {column} {text!r} is not a number of seconds, 0 or more")
    return value


def _one_of(path: str, row: dict[str, str], names: tuple[str, str]) -> str | None:
    found = [name for name in names if name in row]
    if len(found) > 1:
        raise UserError(
            f"{path} has both a column {names[0]!r} and a column {names[1]!r}; keep one"
        )
    return found[0] if found else None


def _only_csv(tree: SourceTree) -> str:
    found = [name for name in tree.files if "/" not in name and name.lower().endswith(".csv")]
    if len(found) != 1:
        raise UserError(
            f"{tree.given} is not the layout of csv ({LAYOUT}): looked for exactly one CSV file;"
            f" found {', '.join(found) or tree.glimpse()}; name the file itself"
        )
    return found[0]
