"""Your own recordings, listed in a table: file names, labels, and optionally where clips lie."""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from vipann_tf.datasets import label_journal
from vipann_tf.datasets.base import Clip, Rejection, Source, check_split, split_of_fold
from vipann_tf.datasets.label_names import LabelNames, check_labels
from vipann_tf.datasets.table import Row, Table, read_table
from vipann_tf.datasets.tree import SourceTree
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.task import Task, check_task

LAYOUT = (
    "labels.csv (filename, labels separated by ';'; optional split or fold, group, and start_s,"
    " end_s or offset_s, duration_s) with file names relative to its directory"
)
CLIP_SECONDS = 5.0
DEFAULT_SPLIT = "train"
COLUMNS = (
    "filename",
    "labels",
    "label",
    "split",
    "fold",
    "start_s",
    "end_s",
    "offset_s",
    "duration_s",
    "group",
)
_NUMBERS = ("start_s", "end_s", "offset_s", "duration_s")
# Columns of which a table has one at most.
_EITHER = (
    ("labels", "label"),
    ("split", "fold"),
    ("start_s", "offset_s"),
    ("start_s", "duration_s"),
    ("end_s", "offset_s"),
    ("end_s", "duration_s"),
)


@dataclasses.dataclass
class _Interval:
    """A part of a file, with what its rows say of it."""

    row: Row
    path: str
    labels: dict[str, None]
    split: str
    offset_s: Decimal
    duration_s: Decimal | None
    lines: list[int]


def load(tree: SourceTree, *, task: Task | None = None, ignore_columns: str = "") -> Source:
    """List the clips of a table.

    Columns: `filename` (absolute, or relative to the table's directory), `labels` or `label`, and
    optionally `split` or `fold`, `group` (what no hold-out may split: a site, an individual, a
    day), and a part of the file in seconds: `start_s` and `end_s`, or `offset_s` and `duration_s`.
    Columns for remarks (`notes`, `comment`) are left out. The table may be separated by commas,
    semicolons or tabs, and have decimal commas. Rows that name the same part of the same file are
    one clip, with the labels of all. A table with the columns of a journal
    (`label_journal`) gives the clips on which the people who heard them agree.

    Args:
      tree: The table, or a directory that holds exactly one.
      task: `None` means multiclass if every clip has exactly one label, else multilabel.
      ignore_columns: Other columns of the table, separated by commas.

    Returns:
      A source with the labels in alphabetical order. Without a split or fold column, everything is
      in split `train`. In a multilabel source a row without labels is a clip where none is true.

    Raises:
      UserError: The file, a column or a value is missing or wrong; the message names the line.
    """
    if task is not None:
        check_task(task)
    file = tree.file or _only_csv(tree)
    ignored = [name.strip() for name in ignore_columns.split(",") if name.strip()]
    text = tree.read_text(file)
    heard = label_journal.is_journal(text)
    known = (*COLUMNS, *label_journal.COLUMNS) if heard else COLUMNS
    table = read_table(tree.path(file), text, known=known, numbers=_NUMBERS, ignored=ignored)
    _check_columns(table)
    undecided: list[Rejection] = []
    if heard:
        rows, undecided = label_journal.settled(table)
        table = dataclasses.replace(table, rows=rows)
    intervals, repeated = _intervals(tree, table)
    names = LabelNames((label for x in intervals for label in x.labels), table.path)
    clips = _clips(intervals)
    labels = tuple(sorted({label for clip in clips for label in clip.labels}))
    if not labels:
        raise UserError(f"{table.path}: no row has a label")
    notices = [*table.notices, *names.notices, *_spellings(table)]
    joined = [x for x in intervals if len(x.lines) > 1 and len(_labels(x)) > 1]
    if joined:
        first = joined[0]
        lines = ", ".join(map(str, first.lines))
        what = (
            f"rows name the same part of the same file with different labels, {len(joined)} times,"
            f" for example {first.row['filename']} on the lines {lines}"
        )
        if task == "multiclass":
            raise UserError(
                f"{table.path}: {what}; a clip of a multiclass model has one label: keep one row of"
                " each, or use --task multilabel"
            )
        detail = f"{what}; they are one clip with all of these labels"
        notices.append(Notice(table.path, "", "joined-rows", detail))
    if task is None:
        task, guess = _task(table, clips)
        notices += guess
    notices += check_labels(labels, task, clips, table.path)
    return Source(
        name=tree.name,
        task=task,
        labels=labels,
        clips=clips,
        clip_seconds=CLIP_SECONDS,
        rejected=(
            *undecided,
            *(
                Rejection(clip.path, clip.clip_id, "duplicate-row", detail)
                for clip, details in zip(clips, repeated, strict=True)
                for detail in details
            ),
        ),
        notices=tuple(notices),
    )


def _check_columns(table: Table) -> None:
    columns = table.columns
    for one, other in _EITHER:
        if one in columns and other in columns:
            raise UserError(
                f"{table.path} has both a column {one!r} and a column {other!r}; keep one"
            )
    for wanted in (("filename",), ("labels", "label")):
        if not any(column in columns for column in wanted):
            raise UserError(
                f"{table.path} has no column {wanted[0]!r}; its columns are {', '.join(columns)}"
            )
    if not table.rows:
        raise UserError(f"{table.path} has no rows; list one clip per row: {LAYOUT}")


def _intervals(tree: SourceTree, table: Table) -> tuple[list[_Interval], list[list[str]]]:
    """Return the parts of files, and for each part what is to be said of rows that add nothing."""
    found: dict[tuple, _Interval] = {}
    repeated: dict[tuple, list[str]] = {}
    for row in table.rows:
        new = _interval(tree, table, row)
        key = os.path.normpath(new.path), new.offset_s, new.duration_s
        known = found.setdefault(key, new)
        details = repeated.setdefault(key, [])
        if known is new:
            continue
        for column, mine, first in (
            ("split", new.split, known.split),
            ("group", row["group"], known.row["group"]),
        ):
            if mine != first:
                raise UserError(
                    f"{row.where}: {row['filename']} has {column} {mine!r} here, but {first!r} on"
                    f" line {known.row.line}, which names the same part of the file; give it one"
                )
        if new.labels.keys() <= known.labels.keys():
            details.append(f"line {row.line} adds no label to line {known.row.line}")
        known.labels |= new.labels
        known.lines.append(row.line)
    return list(found.values()), list(repeated.values())


def _interval(tree: SourceTree, table: Table, row: Row) -> _Interval:
    name = row["filename"]
    if not name:
        raise UserError(f"{row.where}: filename is empty; name the audio file")
    parts = (row["labels"] or row["label"]).split(";")
    if "fold" in table.columns:
        split = split_of_fold(row["fold"], row.where)
    elif "split" in table.columns:
        split = check_split(row["split"].lower(), row.where)
    else:
        split = DEFAULT_SPLIT
    values = {column: _seconds(table, row, column) for column in _NUMBERS}
    offset_s = values["start_s"] or values["offset_s"] or Decimal(0)
    duration_s, end_s = values["duration_s"], values["end_s"]
    if duration_s == 0:
        raise UserError(f"{row.where}: duration_s is 0; leave it empty for the rest of the file")
    if end_s is not None:
        duration_s = end_s - offset_s
        if duration_s <= 0:
            raise UserError(
                f"{row.where}: end_s is {end_s}, but start_s is {offset_s}; end_s must be later,"
                " or empty for the rest of the file"
            )
    labels = dict.fromkeys(part for part in map(str.strip, parts) if part)
    return _Interval(row, tree.path(name), labels, split, offset_s, duration_s, [row.line])


def _seconds(table: Table, row: Row, column: str) -> Decimal | None:
    value = table.number(row, column)
    if value is not None and value < 0:
        raise UserError(f"{row.where}: {column} {row[column]!r} is below 0; give seconds")
    return value


def _clips(intervals: list[_Interval]) -> list[Clip]:
    """Return the clips; several may come from one file, and several begin at one place of it."""
    begins: dict[tuple[str, Decimal], int] = defaultdict(int)
    for part in intervals:
        begins[part.path, part.offset_s] += 1
    clips = []
    for part in intervals:
        clip_id = part.row["filename"]
        if begins[part.path, part.offset_s] > 1 and part.duration_s is not None:
            clip_id += f"@{_plain(part.offset_s)}-{_plain(part.offset_s + part.duration_s)}"
        elif part.offset_s:
            clip_id += f"@{_plain(part.offset_s)}"
        duration_s = None if part.duration_s is None else float(part.duration_s)
        clips.append(
            Clip(
                clip_id=clip_id,
                path=part.path,
                labels=_labels(part),
                split=part.split,
                offset_s=float(part.offset_s),
                duration_s=duration_s,
                group=part.row["group"],
            )
        )
    return clips


def _labels(part: _Interval) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(LabelNames.label, part.labels)))


def _plain(seconds: Decimal) -> str:
    """Return a number with all its digits, and no others: 1, 2.5, 11000.12."""
    return f"{seconds.normalize():f}"


def _task(table: Table, clips: list[Clip]) -> tuple[Task, list[Notice]]:
    """Return the task that the clips' labels make, and a notice if few clips decide it."""
    without = sum(not clip.labels for clip in clips)
    if any(len(clip.labels) > 1 for clip in clips):
        return "multilabel", []
    if not without:
        return "multiclass", []
    empty = next(row for row in table.rows if not (row["labels"] or row["label"]).strip("; "))
    detail = (
        f"clips without a label: {without} of {len(clips)}, the first on line {empty.line}; so the"
        " task is multilabel, where a clip may have none; --task multiclass rejects them"
    )
    return "multilabel", [Notice(table.path, "", "no-label", detail)]


def _spellings(table: Table) -> Iterable[Notice]:
    spellings: dict[str, set[str]] = defaultdict(set)
    for row in table.rows:
        spellings[row["split"].lower()].add(row["split"])
    for split, found in sorted(spellings.items()):
        if len(found) > 1:
            detail = f"{' and '.join(sorted(found))} are one split: {split}"
            yield Notice(table.path, "", "split-spelling", detail)


def _only_csv(tree: SourceTree) -> str:
    found = [
        name for name in tree.files if "/" not in name and name.lower().endswith((".csv", ".tsv"))
    ]
    if len(found) != 1:
        raise UserError(
            f"{tree.given} is not the layout of csv ({LAYOUT}): looked for exactly one CSV file;"
            f" found {', '.join(found) or tree.glimpse()}; name the file itself"
        )
    return found[0]
