"""Code blocks of the documents, and what a marker before each says of it.

A marker is an HTML comment, which a rendered page does not show:

    <!-- run -->                        The block runs as it is written.
    <!-- not run: the network -->       It does not run; the reason is one of REASONS.
    <!-- run
    small: {"--clips 4000": "--clips 8"}   Replace this in its commands, so that they take seconds.
    differs: ["^rank (?s:.*)"]             Leave this out of the comparison (regular expressions).
    status: 1                              Its last command ends with this exit status.
    -->

What a command shows is compared in shape: words, columns and order agree, numbers may differ.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

# Why a block does not run.
REASONS = (
    "a pattern",  # its capitals stand for what a reader has
    "hours",
    "make",  # .ci/run tests its targets
    "the network",
    "a server",
    "a GPU",
    "data that is not published",
)
_MARKER = re.compile(r"<!-- (?:run(?P<options>\s.*?)?|not run: (?P<why_not>[^\n]+?))\s-->", re.S)
# A number that is no part of a word: not that of "fold1" or "ResNet-54".
_NUMBER = re.compile(r"(?<![\w.-])[-+]?\d+(?:[.,]\d+)*(?!\w)")
_PROMPT = "$ "


@dataclasses.dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
      command: As it is written, or at its small scale.
      shown: The lines below it, or None if the block shows none.
    """

    command: str
    shown: str | None


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block and its marker; see above for the marker's words.

    Attributes:
      place: Document and line.
      language: Word behind the fence.
      text: The block.
      why_not: Reason why it does not run, or None if it runs.
    """

    place: str
    language: str
    text: str
    why_not: str | None = None
    small: dict[str, str] = dataclasses.field(default_factory=dict)
    differs: tuple[str, ...] = ()
    status: int = 0

    def __str__(self) -> str:
        return self.place

    def steps(self) -> list[Step]:
        """The commands in order; lines that begin with # are none.

        Raises:
          ValueError: Lines stand before the first command, or `small` or `differs` name what is not
            there.
        """
        lines = self.text.replace("\\\n", "").splitlines()
        prompted = any(line.startswith(_PROMPT) for line in lines)
        found: list[list[str]] = []
        for line in lines:
            if line.startswith(_PROMPT) or not prompted:
                if line.strip() and not line.startswith("#"):
                    found.append([line.removeprefix(_PROMPT)])
            elif found:
                found[-1].append(line)
            else:
                raise ValueError(f"{self}: {line!r} stands before the first command")
        for old in self.small:
            if not any(old in command for command, *_ in found):
                raise ValueError(f"{self}: no command has {old!r}, which `small` replaces")
        shown_lines = "\n".join(line for _, *shown in found for line in shown)
        for pattern in self.differs:
            if not re.search(pattern, shown_lines, flags=re.M):
                raise ValueError(f"{self}: no line is {pattern!r}, which `differs` leaves out")
        return [
            Step(self._at_small_scale(command), "\n".join(shown) if prompted else None)
            for command, *shown in found
        ]

    def _at_small_scale(self, command: str) -> str:
        for old, new in self.small.items():
            command = command.replace(old, new)
        return command


def blocks(document: Path) -> Iterator[Block]:
    """Give the fenced blocks of a document, in order.

    Raises:
      ValueError: A block has no marker, or one that cannot be read.
    """
    tokens = MarkdownIt().parse(document.read_text(encoding="utf-8"))
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "fence":
            place = f"{document.name}:{token.map[0] + 1}"
            marker = before.content if before and before.type == "html_block" else ""
            yield Block(place, token.info, token.content, **_read(marker.strip(), place))


def _read(marker: str, place: str) -> dict:
    match = _MARKER.fullmatch(marker)
    if not match:
        raise ValueError(
            f"{place}: before this block stands {marker!r}; it needs a marker, <!-- run --> or "
            "<!-- not run: REASON --> (see tests/helpers/documents.py)"
        )
    if match["why_not"]:
        if match["why_not"] not in REASONS:
            raise ValueError(f"{place}: {match['why_not']!r} is none of {', '.join(REASONS)}")
        return {"why_not": match["why_not"]}
    options = yaml.safe_load(match["options"] or "") or {}
    if unknown := set(options) - {"small", "differs", "status"}:
        raise ValueError(f"{place}: {unknown} is none of small, differs, status")
    return {**options, "differs": tuple(options.get("differs", ()))}


def indented_blocks(document: Path) -> list[str]:
    """Give the texts of the blocks that are indented, which have no marker."""
    tokens = MarkdownIt().parse(document.read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.type == "code_block"]


def inline_codes(document: Path) -> list[str]:
    """Give what stands between backticks in running text and tables."""
    tokens = MarkdownIt().enable("table").parse(document.read_text(encoding="utf-8"))
    parts = (part for token in tokens for part in token.children or ())
    return [" ".join(part.content.split()) for part in parts if part.type == "code_inline"]


def links(document: Path) -> list[str]:
    """Give the targets of links and images that stay inside the repository."""
    tokens = MarkdownIt().enable("table").parse(document.read_text(encoding="utf-8"))
    parts = (part for token in tokens for part in token.children or ())
    targets = [str(part.attrs.get("href") or part.attrs.get("src") or "") for part in parts]
    return [target for target in targets if target and "://" not in target]


def shape(text: str, differs: tuple[str, ...] = ()) -> list[str]:
    """Give the lines of what a command shows, with # for each number and one space for several.

    Args:
      text: What it shows.
      differs: Regular expressions of what is left out; ^ and $ match at lines.
    """
    for pattern in differs:
        text = re.sub(pattern, "", text, flags=re.M)
    lines = (" ".join(_NUMBER.sub("#", line).split()) for line in text.splitlines())
    return [line for line in lines if line]
