"""Which clips belong together: those of one recording, and those of one group."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from vipann_tf.datasets.base import Clip
from vipann_tf.files import storage

__all__ = ["group_names", "group_numbers", "numbered"]


def group_numbers(clips: Sequence[Clip]) -> list[int]:
    """Return the number of what each clip must stay with: its recording, and its group.

    Where a recording has clips of several groups, or a group several recordings, all of them stay
    together.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components  # slow to import

    names = {path: _file(path) for path in {clip.path for clip in clips}}
    files = numbered([names[clip.path] for clip in clips])
    named = numbered([clip.group or f"\0{file}" for clip, file in zip(clips, files, strict=True)])
    size = len(clips)
    edges = coo_array((np.ones(size), (files, np.add(named, size))), (2 * size, 2 * size))
    components = connected_components(edges, directed=False)[1]
    return numbered([components[file] for file in files])


def group_names(clips: Sequence[Clip], *, by_file: bool = True) -> list[str]:
    """Return the name of what each clip shares with others; empty if it shares nothing.

    It is the clips' group, if they have one, or the name of the first clip of the recording: the
    same wherever the files lie.

    Args:
      clips: Clips of one source.
      by_file: Whether clips of one path are of one recording; else groups alone count.
    """
    if not by_file:
        counts = Counter(clip.group for clip in clips)
        return [clip.group if counts[clip.group] > 1 else "" for clip in clips]
    if len({clip.path for clip in clips}) == len(clips) and not any(clip.group for clip in clips):
        return [""] * len(clips)  # a large data set of whole files
    numbers = group_numbers(clips)
    sizes = Counter(numbers)
    given: dict[int, set[str]] = {}
    first: dict[int, str] = {}
    for clip, number in zip(clips, numbers, strict=True):
        given.setdefault(number, set()).add(clip.group)
        first.setdefault(number, clip.clip_id)
    names = {
        number: next(iter(groups)) if len(groups) == 1 and "" not in groups else first[number]
        for number, groups in given.items()
    }
    return [names[number] if sizes[number] > 1 else "" for number in numbers]


def _file(path: str) -> str:
    """Return one name for a file, by whatever path it is given."""
    return path if storage.is_remote(path) else os.path.normcase(os.path.realpath(path))


def numbered(values: Sequence[Hashable]) -> list[int]:
    """Return a number for each value, in the order of their first places."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]
