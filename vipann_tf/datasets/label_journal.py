"""A journal of the labels that people gave by ear: one row per answer, and rows are only added.

The app writes it, and `prepare csv` reads it. Who changes an answer adds a row: of one person's
rows about one clip the last one counts.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from vipann_tf.datasets.base import Rejection
from vipann_tf.datasets.table import Row, Table, read_table
from vipann_tf.errors import UserError
from vipann_tf.files.locking import locked
from vipann_tf.files.paths import StrPath

__all__ = [
    "COLUMNS",
    "VERDICTS",
    "Answer",
    "LabelJournal",
    "News",
    "Verdict",
    "is_journal",
    "settled",
]

# labels: those of the column `labels`; none: none that the model or anyone here has a name for;
# unsure: the person can't tell; withdrawn: as if there were no answer.
Verdict = Literal["labels", "none", "unsure", "withdrawn"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
# Beside the columns of every table of clips.
COLUMNS = ("verdict", "who", "when", "model", "guess", "probability")
_CLIP = ("filename", "start_s", "end_s")
_HEADER = (*_CLIP, "labels", *COLUMNS)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one person said of one clip.

    Attributes:
      filename: The recording, absolute or relative to the journal.
      start_s, end_s: The clip's part of it in seconds; `None` for all of it.
      verdict: Kind of the answer.
      labels: What was heard, if the verdict is `labels`.
      who: The person.
      when: Time in UTC, as 2026-05-01T05:00:00Z.
      model: The model whose guess was shown.
      guess: Its most probable label.
      probability: Probability of that.
    """

    filename: str
    start_s: float | None
    end_s: float | None
    verdict: Verdict
    labels: tuple[str, ...]
    who: str
    when: str
    model: str
    guess: str
    probability: float

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise UserError(f"verdict is {self.verdict!r}; use one of {', '.join(VERDICTS)}")
        if bool(self.labels) != (self.verdict == "labels"):
            raise UserError(
                f"the verdict is {self.verdict!r} and the labels are {list(self.labels)}; only the "
                "verdict 'labels' has labels, one or more"
            )
        for label in self.labels:
            if not label.strip() or ";" in label or not label.isprintable():
                raise UserError(
                    f"the label {label!r} can't be stored; write words on one line, without ';'"
                )
        if not self.who.strip() or not self.who.isprintable():
            raise UserError(f"who is {self.who!r}; give a name on one line")

    @property
    def clip(self) -> tuple[str, str, str]:
        """The clip as the journal writes it."""
        return self.filename, _seconds(self.start_s), _seconds(self.end_s)


class News(NamedTuple):
    """What a journal has that was not read before.

    Attributes:
      answers: The answers, in the order in which they were given.
      end: Where the reading ended, in bytes.
      is_all: Whether these are all answers of the journal.
    """

    answers: list[Answer]
    end: int
    is_all: bool


class LabelJournal:
    """The journal of one file; several processes may add to it.

    Args:
      path: The CSV file; it is made with the first answer.

    Raises:
      UserError: There is a file that is no journal.
    """

    def __init__(self, path: StrPath):
        self.path = os.path.abspath(path)
        self.answers()

    def add(self, answer: Answer) -> None:
        """Add an answer; when this returns, it is on the disk.

        Raises:
          OSError: It can't be written; the journal is as it was.
        """
        folder = os.path.dirname(self.path)
        os.makedirs(folder, exist_ok=True)
        name = f".{os.path.basename(self.path)}.lock"
        with locked(folder, name=name, wait=True), open(self.path, "ab+") as file:
            file.seek(0)
            end = _whole_length(file.read())
            file.truncate(end)  # half a row of a process that was killed was never an answer
            try:
                file.write(_line(_HEADER) if end == 0 else b"")
                file.write(_line(_fields(answer)))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise

    def answers(self) -> list[Answer]:
        """Read all answers, in the order in which they were given.

        Raises:
          UserError: The file is no journal.
        """
        return self.news(0).answers

    def news(self, since: int) -> News:
        """Read the answers that were added, by whatever process, since an earlier reading.

        Args:
          since: The `end` of that reading; 0 reads all of them. If the file is another one by now,
            all of it is read, too.

        Raises:
          UserError: The file is no journal.
        """
        try:
            if since and os.path.getsize(self.path) == since:
                return News([], since, False)
            with open(self.path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return News([], 0, True)
        except OSError as error:
            raise UserError(f"{self.path} can't be read: {error.strerror}") from error
        content = content[: _whole_length(content)]  # half a row may be on its way
        if since > len(content) or content[:since][-1:] not in (b"", b"\n"):
            since = 0  # an editor has changed it
        if not content[since:]:
            return News([], since, since == 0)
        header, _, _ = content.partition(b"\n")
        # Empty lines in place of the rows that are known, so that messages tell the right line.
        known = header + b"\n" * content[:since].count(b"\n") if since else b""
        try:
            text = (known + content[since:]).decode("utf-8")
        except UnicodeDecodeError as error:
            place = error.start - len(known) + since
            raise UserError(f"{self.path} is not UTF-8 text (byte {place})") from error
        table = read_table(self.path, text, known=(*_HEADER, "label"))
        if missing := [name for name in _HEADER if name not in table.columns]:
            raise UserError(
                f"{self.path} is no journal of labels: it has no column {missing[0]!r}; choose "
                "another file"
            )
        return News([_answer(row) for row in table.rows], len(content), since == 0)


def is_journal(text: str) -> bool:
    """Return whether the first line of a table names all columns that a journal alone has."""
    header = text.split("\n", 1)[0].lower()
    return {name.strip('" \r') for name in re.split(r"[,;\t|]", header)} >= set(COLUMNS)


def settled(table: Table) -> tuple[tuple[Row, ...], list[Rejection]]:
    """Return a row for each clip on which the last answers of all people agree, and the others.

    An unsure person does not contradict one who is sure. A clip that nobody could tell, or on which
    two disagree, is a rejection; one whose answers were withdrawn is nothing.

    Args:
      table: A table of clips with the columns of a journal.

    Raises:
      UserError: A verdict is unknown.
    """
    last: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in table.rows:
        if row["verdict"] not in VERDICTS:
            raise UserError(
                f"{row.where}: verdict {row['verdict']!r} is unknown; use one of "
                f"{', '.join(VERDICTS)}"
            )
        people = last.setdefault(tuple(row[name] for name in _CLIP), {})
        people.pop(row["who"], None)
        people[row["who"]] = row
    kept: list[Row] = []
    left: list[Rejection] = []
    for people in last.values():
        given = [row for row in people.values() if row["verdict"] != "withdrawn"]
        sure = [row for row in given if row["verdict"] != "unsure"]
        if len({_heard(row) for row in sure}) > 1:
            said = "; ".join(f"{row['who']}: {' and '.join(_heard(row)) or 'none'}" for row in sure)
            left.append(_rejection(sure[0], "disagreement", said))
        elif sure:
            kept.append(sure[-1])
        elif given:
            said = ", ".join(row["who"] for row in given)
            left.append(_rejection(given[0], "unsure", f"{said} could not tell"))
    return tuple(kept), left


def _heard(row: Row) -> tuple[str, ...]:
    if row["verdict"] == "none":
        return ()
    parts = (row["labels"] or row["label"]).split(";")
    return tuple(sorted({part.strip() for part in parts} - {""}))


def _rejection(row: Row, reason: str, detail: str) -> Rejection:
    place = f"@{row['start_s']}" if row["start_s"] else ""
    return Rejection(row["filename"], row["filename"] + place, reason, detail)


def _fields(answer: Answer) -> list[str]:
    return [
        *answer.clip,
        ";".join(answer.labels),
        answer.verdict,
        answer.who,
        answer.when,
        answer.model,
        answer.guess,
        f"{answer.probability:.6f}",
    ]


def _answer(row: Row) -> Answer:
    verdict = row["verdict"]
    if verdict not in VERDICTS:
        raise UserError(f"{row.where}: verdict {verdict!r} is none of {', '.join(VERDICTS)}")
    return Answer(
        filename=row["filename"],
        start_s=float(row["start_s"]) if row["start_s"] else None,
        end_s=float(row["end_s"]) if row["end_s"] else None,
        verdict=verdict,
        labels=_heard(row) if verdict == "labels" else (),
        who=row["who"],
        when=row["when"],
        model=row["model"],
        guess=row["guess"],
        probability=float(row["probability"] or "nan"),
    )


def _line(fields: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue().encode("utf-8")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _whole_length(content: bytes) -> int:
    """Return the number of bytes up to the end of the last whole row."""
    return content.rfind(b"\n") + 1
