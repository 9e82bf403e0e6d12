"""Notices: what was cut, padded, guessed or repaired, said by file so that it can be looked up.

A rejection says that an item gave no record; a notice says that it gave one, and what the user
should know about it. The command line prints notices; in Python they are warnings, too.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable

__all__ = ["Notice", "NoticeWarning", "warn_of"]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Notice:
    """A finding about an item that is used all the same.

    Attributes:
      path: The file.
      clip_id: The clip; empty if it is about the whole file or folder.
      kind: A short name in kebab-case, by which notices are counted.
      detail: The finding, with its values, for the user.
    """

    path: str
    clip_id: str
    kind: str
    detail: str


class NoticeWarning(UserWarning):
    """A warning that there are notices; it has the first one of a kind and their number."""


def warn_of(notices: Iterable[Notice]) -> None:
    """Warn of notices, once for each kind, in the name of who called the caller."""
    kinds: dict[str, list[Notice]] = {}
    for notice in notices:
        kinds.setdefault(notice.kind, []).append(notice)
    for kind, same in kinds.items():
        more = f" (and {len(same) - 1} more)" if len(same) > 1 else ""
        text = f"{same[0].path}: {kind}: {same[0].detail}{more}"
        warnings.warn(text, NoticeWarning, stacklevel=3)
