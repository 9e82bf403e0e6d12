"""How far people agree on the clips that several of them have heard."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable

from vipann_tf.datasets.label_journal import Answer

__all__ = ["Agreement", "agreement"]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far two people agree on the clips that both have answered.

    Attributes:
      first, second: The people.
      clips: Number of clips that both could tell.
      same: Number of those with the same answer.
      kappa: Cohen's kappa of their answers; `None` if it is not defined, since both gave one and
        the same answer to all.
    """

    first: str
    second: str
    clips: int
    same: int
    kappa: float | None


def agreement(answers: Iterable[Answer]) -> list[Agreement]:
    """Measure the agreement of every two people who have answered the same clips.

    Cohen's kappa (J. Cohen, 1960, "A coefficient of agreement for nominal scales"): the share of
    equal answers beyond what their frequencies alone would give. The categories are the sets of
    labels, with `none` as a set of none; clips that one of them could not tell are left out.
    """
    from sklearn.metrics import cohen_kappa_score

    sets: dict[str, dict[tuple[str, ...], str]] = collections.defaultdict(dict)
    for answer in answers:
        sets[answer.who].pop(answer.clip, None)
        if answer.verdict in ("labels", "none"):
            sets[answer.who][answer.clip] = ";".join(sorted(set(answer.labels)))
    found = []
    for first, second in itertools.combinations(sorted(sets), 2):
        clips = [clip for clip in sets[first] if clip in sets[second]]
        if not clips:
            continue
        pair = [sets[first][x] for x in clips], [sets[second][x] for x in clips]
        same = sum(a == b for a, b in zip(*pair, strict=True))
        defined = len({*pair[0], *pair[1]}) > 1
        kappa = float(cohen_kappa_score(*pair)) if defined else None
        found.append(Agreement(first, second, len(clips), same, kappa))
    return found
