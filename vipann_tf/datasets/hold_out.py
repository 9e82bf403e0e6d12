"""Hold-outs of one's own data: folds, or a part for testing, by label and by recording.

The drawing is that of scikit-learn's StratifiedGroupKFold, or StratifiedKFold where each group has
one clip. It depends on the clips, their labels and
groups, and on the seed; not on the order in which they were listed or on where they lie.
"""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from vipann_tf.datasets.base import Clip, Source
from vipann_tf.datasets.groups import group_numbers, numbered
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice

__all__ = ["TEST", "TRAIN", "check_hold_out", "hold_out"]

TRAIN, TEST = "train", "test"
MIN_SHARE, MAX_SHARE = 0.01, 0.9
# A share is a number of parts out of at most ten, or one part out of more: 0.2 is 1/5, 0.3 is 3/10.
_MOST_PARTS = 10
# A test part that is larger or smaller by more is stated.
SHARE_TOLERANCE = 0.05


def check_hold_out(
    *, folds: int | None = None, holdout: float | None = None, seed: int = 0
) -> None:
    """Raise a `UserError` if an argument of `hold_out` is out of range."""
    if (folds is None) == (holdout is None):
        raise UserError(
            "folds and holdout exclude each other; give one of them: folds for cross-validation,"
            " holdout for one part to test on"
        )
    if folds is not None and folds < 2:
        raise UserError(f"folds is {folds}; use 2 or more, so that one can be held out")
    if holdout is not None and not MIN_SHARE <= holdout <= MAX_SHARE:
        raise UserError(f"holdout is {holdout:g}; use a share from {MIN_SHARE} to {MAX_SHARE}")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed is {seed}; use 0 to {2**32 - 1}")


def hold_out(
    source: Source, *, folds: int | None = None, holdout: float | None = None, seed: int = 0
) -> Source:
    """Return a source whose clips are in folds, or in `train` and `test`.

    Clips of one group (or of one recording, where there is no group) stay together. Each split has
    about the same share of each label; a clip with several labels counts for the rarest of them,
    and clips without a label count as a kind of their own.

    Args:
      source: Clips that are all in split `train`.
      folds: Number of folds to make, `fold1` to `fold<folds>`.
      holdout: Share of the clips for `test`, if there are no folds.
      seed: Seed of the drawing.

    Raises:
      UserError: An argument is out of range, the source has splits already, or there are fewer
        recordings than splits.
    """
    check_hold_out(folds=folds, holdout=holdout, seed=seed)
    splits = sorted({clip.split for clip in source.clips} - {TRAIN})
    if splits:
        raise UserError(
            f"dataset {source.name} has splits already ({', '.join(splits)}); leave out folds and"
            " holdout, or take the splits out of its folders or its table"
        )
    if not source.clips:
        return source
    order = sorted(range(len(source.clips)), key=lambda index: _identity(source.clips[index]))
    clips = [source.clips[index] for index in order]
    groups = group_numbers(clips)
    if folds is not None:
        names = _folds(source.name, clips, groups, folds, seed)
    else:
        assert holdout is not None
        names = _train_and_test(source.name, clips, groups, holdout, seed)
    split = dict(zip(order, names, strict=True))
    return dataclasses.replace(
        source,
        clips=[dataclasses.replace(c, split=split[k]) for k, c in enumerate(source.clips)],
        notices=(
            *source.notices,
            *_missing(clips, groups, names),
            *([] if holdout is None else _other_share(clips, names, holdout)),
        ),
    )


def _folds(
    name: str, clips: Sequence[Clip], groups: Sequence[int], count: int, seed: int
) -> list[str]:
    """Return the fold of each clip."""
    parts = _parts(name, clips, groups, count, seed)
    if len(set(parts)) < count:
        raise UserError(
            f"dataset {name} fills {len(set(parts))} of {count} folds, since a few of its"
            f" {len(set(groups))} recordings or groups hold most clips; use fewer folds"
        )
    return [f"fold{part + 1}" for part in parts]


def _train_and_test(
    name: str, clips: Sequence[Clip], groups: Sequence[int], holdout: float, seed: int
) -> list[str]:
    """Return `train` or `test` for each clip."""
    share = Fraction(holdout).limit_denominator(max(_MOST_PARTS, round(1 / holdout)))
    count = len(set(groups))
    if count < 2:
        raise UserError(
            f"dataset {name} has one recording or group, which is not divided, so that nothing can"
            " be held out of it; use more recordings"
        )
    if share.denominator > count:
        share = Fraction(min(count - 1, max(1, round(holdout * count))), count)
    parts = _parts(name, clips, groups, share.denominator, seed)
    if len(set(parts)) < 2:
        raise UserError(f"dataset {name} has one recording or group that holds nearly all clips")
    tested = _choose(clips, parts, share)
    return [TEST if part in tested else TRAIN for part in parts]


def _parts(
    name: str, clips: Sequence[Clip], groups: Sequence[int], count: int, seed: int
) -> list[int]:
    """Return the part that each clip is in, from 0 to `count` - 1."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # slow to import

    found = len(set(groups))
    if found < count:
        raise UserError(
            f"folds is {count}, but dataset {name} has {found} recordings or groups, none of which"
            " is divided; use fewer folds, or more recordings"
        )
    kinds = _kinds(clips, groups)
    # Without groups of several clips both divide alike, but the first takes a minute for 50,000.
    divide = StratifiedGroupKFold if found < len(clips) else StratifiedKFold
    divider = divide(count, shuffle=True, random_state=seed)
    parts = np.full(len(clips), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rare labels have a notice of ours
        # Refused where every label is rarer than the parts are many: then they can't be balanced.
        kinds = kinds if max(Counter(kinds).values()) >= count else [0] * len(clips)
        for part, (_, chosen) in enumerate(divider.split(np.zeros(len(clips)), kinds, groups)):
            parts[chosen] = part
    return parts.tolist()


def _kinds(clips: Sequence[Clip], groups: Sequence[int]) -> list[int]:
    """Return the number of what each clip counts for: its label in the fewest groups, or none."""
    clip_counts = Counter(label for clip in clips for label in clip.labels)
    group_counts = {label: len(found) for label, found in _groups_of(clips, groups).items()}

    def rarity(label: str) -> tuple[int, int, str]:
        return group_counts[label], clip_counts[label], label

    return numbered([min(clip.labels, key=rarity, default="") for clip in clips])


def _choose(clips: Sequence[Clip], parts: Sequence[int], share: Fraction) -> tuple[int, ...]:
    """Return the parts to test on: no label missing in training, then those like the whole."""
    labels = sorted({label for clip in clips for label in clip.labels})
    place = {label: index for index, label in enumerate(labels, start=1)}
    # Clips in all and clips of each label, float64 [parts, 1 + labels].
    held = np.zeros((share.denominator, 1 + len(labels)))
    for clip, part in zip(clips, parts, strict=True):
        held[part, [0, *(place[label] for label in clip.labels)]] += 1
    total = held.sum(axis=0)

    def score(chosen: tuple[int, ...]) -> tuple[bool, int, int, float]:
        tested = held[list(chosen)].sum(axis=0)
        one_sided = tested[0] in (0, total[0])
        untrained, untested = int((tested == total).sum()), int((tested == 0).sum())
        return one_sided, untrained, untested, float(np.abs(tested / total - float(share)).mean())

    return min(itertools.combinations(range(share.denominator), share.numerator), key=score)


def _other_share(clips: Sequence[Clip], names: Sequence[str], holdout: float) -> Iterator[Notice]:
    """Yield a notice if recordings are too large to hold out the share that was asked for."""
    found = names.count(TEST) / len(names)
    if abs(found - holdout) > SHARE_TOLERANCE:
        detail = f"{TEST} holds {found:.0%} of the clips, since recordings are not divided"
        yield Notice(clips[names.index(TEST)].path, "", "holdout-share", detail)


def _missing(
    clips: Sequence[Clip], groups: Sequence[int], names: Sequence[str]
) -> Iterator[Notice]:
    """Yield a notice for each label that is not in every split."""
    splits = sorted(set(names))
    where: dict[str, set[str]] = {}
    for clip, name in zip(clips, names, strict=True):
        for label in clip.labels:
            where.setdefault(label, set()).add(name)
    first = {label: clip for clip in reversed(clips) for label in clip.labels}
    for label, found in sorted(_groups_of(clips, groups).items()):
        missing = [name for name in splits if name not in where[label]]
        if missing:
            kinds = (
                "1 recording or group" if len(found) == 1 else f"{len(found)} recordings or groups"
            )
            detail = f"{label!r} is in {kinds} and not in {', '.join(missing)}"
            yield Notice(first[label].path, "", "label-not-in-split", detail)


def _groups_of(clips: Sequence[Clip], groups: Sequence[int]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for clip, group in zip(clips, groups, strict=True):
        for label in clip.labels:
            found.setdefault(label, set()).add(group)
    return found


def _identity(clip: Clip) -> tuple[str, float, tuple[str, ...]]:
    return clip.clip_id, clip.offset_s, clip.labels
