"""Which recording each table of annotations belongs to, by its own name or by names in it."""

from __future__ import annotations

import collections
import dataclasses
import os
import re
import unicodedata
from collections.abc import Sequence

from vipann_tf.datasets.annotated_windows import Annotation
from vipann_tf.datasets.base import Rejection
from vipann_tf.datasets.file_kinds import unusable
from vipann_tf.datasets.label_names import LabelNames
from vipann_tf.datasets.selection_tables import Selection, Table, is_raven, read_table
from vipann_tf.datasets.tree import SourceTree
from vipann_tf.datasets.windowing import END_TOLERANCE_S
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice

__all__ = ["LAYOUT", "AnnotatedRecordings", "Recording"]

LAYOUT = (
    "rec.wav with rec.Table.1.selections.txt, rec.selections.txt or rec.txt (Audacity) beside it"
    " ..., or one table whose Begin File and File Offset (s) name the recordings"
)

NOT_A_TABLE = (
    "its first line has no columns Begin Time (s) and End Time (s), and no times and text separated"
    " by tabs"
)


@dataclasses.dataclass
class Recording:
    """A recording and what its tables say."""

    path: str
    selections: list[Selection] = dataclasses.field(default_factory=list)
    notices: list[Notice] = dataclasses.field(default_factory=list)

    def note(self, kind: str, what: str, count: int) -> None:
        """Add a notice, if something was counted."""
        if count:
            self.notices.append(Notice(self.path, "", kind, f"{what}: {count}"))

    def annotations(self, channel: int | None) -> list[Annotation]:
        """Return the selections that have a label, of one channel or of all."""
        channels = sorted({selection.channel for selection in self.selections})
        names = ", ".join(map(str, channels))
        chosen = self.selections
        if channel is not None:
            chosen = [selection for selection in chosen if selection.channel == channel]
            others = len(self.selections) - len(chosen)
            what = f"annotations left out, since only channel {channel} of {names} is used"
            self.note("other-channels", what, others)
        elif len(channels) > 1:
            what = "channels with annotations, which all count, since the mix holds all channels"
            self.note("several-channels", what, len(channels))
        empty = sum(not selection.label for selection in chosen)
        self.note("empty-annotation", "annotations without a text, which label nothing", empty)
        return [
            Annotation(selection.begin_s, selection.end_s, LabelNames.label(selection.label))
            for selection in chosen
            if selection.label
        ]

    def within(self, annotations: Sequence[Annotation], length_s: float) -> list[Annotation]:
        """Return annotations cut at the recording's end, without those behind it."""
        inside = [x for x in annotations if x.begin_s <= length_s]
        behind = len(annotations) - len(inside)
        self.note("behind-end", f"annotations behind the end at {length_s:.3f} s, left out", behind)
        cut = sum(x.end_s > length_s + END_TOLERANCE_S for x in inside)
        self.note("beyond-end", f"annotations that pass the end at {length_s:.3f} s", cut)
        return [x._replace(end_s=min(x.end_s, length_s)) for x in inside]


class AnnotatedRecordings:
    """The recordings of a directory that have tables.

    Args:
      tree: A directory of recordings and tables, or one table.
      label_column: Column of the labels in Raven's tables; by default a usual one.

    Attributes:
      recordings: Each recording by its name.
      rejected: Tables without recordings, and recordings without tables.
      notices: What was guessed about tables.

    Raises:
      UserError: A table is wrong, or there is none.
    """

    def __init__(self, tree: SourceTree, label_column: str | None):
        self._tree = tree
        self._column = label_column
        self._audio = tree.audio_files()
        self._by_stem: dict[str, list[str]] = {}
        self._by_name: dict[str, list[str]] = {}
        for name in self._audio:
            for key in {name, os.path.splitext(name)[0]}:
                self._by_stem.setdefault(_key(key), []).append(name)
            self._by_name.setdefault(_key(name.rsplit("/", 1)[-1]), []).append(name)
        self.recordings: dict[str, Recording] = {}
        self.rejected: list[Rejection] = []
        self.notices: list[Notice] = []
        self._read(tree)

    def _read(self, tree: SourceTree) -> None:
        names = [tree.file] if tree.file else [x for x in tree.files if x.lower().endswith(".txt")]
        tables = [(name, table) for name in names if (table := self._table(name)) is not None]
        if not tables:
            found = tree.glimpse()
            if self.notices:
                found += f"; {self.notices[0].path}: {self.notices[0].detail}"
            raise UserError(
                f"{tree.given} is not the layout of raven ({LAYOUT}): looked for selection tables;"
                f" found {found}"
            )
        for name, table in tables:
            self._add(name, table)
        if not self.recordings:
            first = self.rejected[0]
            raise UserError(
                f"none of the {len(tables)} tables of {tree.given} has a recording, for example"
                f" {first.path}: {first.detail}"
            )
        if tree.file is None:
            self.rejected += [
                Rejection(tree.path(name), name, "no-label", "there is no table of it")
                for name in self._audio
                if name not in self.recordings
            ]
            others = (unusable(tree.path(name), name) for name in tree.files)
            self.rejected += [rejection for rejection in others if rejection is not None]

    def _table(self, name: str) -> Table | None:
        path = self._tree.path(name)
        named = bool(self._tree.file or re.search(r"\.selections?(\.table)?\.txt$", name, re.I))
        try:
            text = self._tree.read_text(name)
        except UserError:
            if named or self._beside(name):
                raise
            text = ""
        # Among other text files, a table is one that has a recording or Raven's heading.
        possible = named or bool(self._beside(name)) or is_raven(text)
        table = read_table(text, path, self._column) if possible else None
        if table is not None:
            self.notices += [Notice(path, "", *notice) for notice in table.notices]
        elif named:
            raise UserError(
                f"{path} is no selection table: {NOT_A_TABLE}; save it from Raven or Audacity"
            )
        else:
            self.notices.append(Notice(path, "", "not-a-table", NOT_A_TABLE))
        return table

    def _add(self, name: str, table: Table) -> None:
        """Give the selections of a table to their recordings."""
        beside = self._beside(name)
        if len(beside) > 1:
            raise UserError(
                f"{self._tree.path(name)} may belong to {' and '.join(beside)}; keep one of them,"
                " or give them different names"
            )
        if not table.names_files or not table.selections:
            if beside:
                self._recording(
                    beside[0], self._tree.path(beside[0])
                ).selections += table.selections
            else:
                detail = "no recording beside it has its name, and it names none"
                self.rejected.append(Rejection(self._tree.path(name), name, "no-recording", detail))
            return
        by_file: dict[str, list[Selection]] = collections.defaultdict(list)
        for selection in table.selections:
            by_file[selection.file].append(selection)
        for file, selections in by_file.items():
            where = self._find(file, name)
            if where is None and len(by_file) == 1 and beside:
                where = beside[0], self._tree.path(beside[0])
                detail = f"the table names {file}; it is taken for {beside[0]}, which has its name"
                self.notices.append(Notice(self._tree.path(name), "", "other-recording", detail))
            if where is None:
                detail = f"{self._tree.path(name)} has {len(selections)} annotations of it"
                self.rejected.append(Rejection(file, file, "missing-file", detail))
                continue
            self._recording(*where).selections += selections

    def _recording(self, name: str, path: str) -> Recording:
        return self.recordings.setdefault(name, Recording(path))

    def _beside(self, table: str) -> list[str]:
        """Return the recordings with the longest name that a table's name begins with."""
        folder, _, name = table.rpartition("/")
        while "." in name:
            name = name.rpartition(".")[0]
            if found := self._by_stem.get(_key(f"{folder}/{name}" if folder else name)):
                return found
        return []

    def _find(self, file: str, table: str) -> tuple[str, str] | None:
        """Return name and path of a recording that a table names, which may have been moved."""
        parts = [_key(part) for part in re.split(r"[\\/]", file)]
        found = self._by_name.get(parts[-1], [])
        if len(found) > 1:
            shared = {name: _common_end(parts, _key(name).split("/")) for name in found}
            found = [name for name in found if shared[name] == max(shared.values())]
        if len(found) > 1:
            raise UserError(
                f"{self._tree.path(table)} names {file!r}, which may be {' or '.join(found)}; give"
                " them different names, or the table a column 'Begin Path'"
            )
        if found:
            return found[0], self._tree.path(found[0])
        folder = os.path.dirname(self._tree.path(table))
        path = next((x for x in (os.path.join(folder, file), file) if os.path.isfile(x)), None)
        return None if path is None else (file.replace("\\", "/"), path)


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many parts two paths share at their ends."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((k for k, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _key(name: str) -> str:
    """Return what equal names share on every file system."""
    return unicodedata.normalize("NFC", name).casefold()
