"""Notices: what was cut, padded, guessed or repaired, said by file so that it can be looked up.

A rejection says that an item gave no record; a notice says that it gave one, and what the user
should know about it.
"""

from __future__ import annotations

import dataclasses

__all__ = ["Notice"]


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
