"""Active learning replayed on clips whose labels are known: does the choice of clips pay?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vipann_tf.active.acquisition import choose
from vipann_tf.active.clips import Clips
from vipann_tf.active.learner import HeadLearner
from vipann_tf.choices import Acquisition
from vipann_tf.errors import UserError
from vipann_tf.uncertainty.metrics import metrics

__all__ = ["Round", "first_clips", "simulate"]


@dataclass(frozen=True)
class Round:
    """A training, and the clips that were labelled for it.

    Attributes:
      labels: Number of labelled clips.
      chosen: Names of the clips that this round added.
      scores: Metrics on the held-out clips; see `uncertainty.metrics.metrics`.
    """

    labels: int
    chosen: list[str]
    scores: dict[str, Any]


def simulate(
    learner: HeadLearner,
    pool: Clips,
    held_out: Clips,
    acquisition: Acquisition,
    *,
    start_per_label: int = 2,
    rounds: int = 10,
    per_round: int = 10,
    seed: tuple[int, ...] = (0,),
    on_round: Callable[[int, int], None] | None = None,
) -> list[Round]:
    """Label clips round by round, train a head on all of them, and score it on held-out clips.

    Every round trains from the same initial weights. Acquisitions of one seed start from the same
    clips, so that their differences are paired.

    Args:
      learner: Trains the heads.
      pool: Clips to label; their labels are seen once they are chosen.
      held_out: Clips to score on.
      acquisition: How clips are chosen; see `acquisition.choose`.
      start_per_label: Clips of each label before the first round.
      rounds: Number of rounds after the first training.
      per_round: Clips labelled in a round.
      seed: Seed of the first clips and, with the round, of what an acquisition draws.
      on_round: Called with the number of trainings done and their total.

    Returns:
      The first training and the rounds.

    Raises:
      UserError: The pool has too few clips.
    """
    chosen = first_clips(pool.labels, start_per_label, seed)
    needed = len(chosen) + rounds * per_round
    if needed > len(pool):
        raise UserError(
            f"{len(chosen)} first clips and {rounds} rounds of {per_round} need {needed} clips, but"
            f" the pool has {len(pool)}; use fewer rounds, or fewer clips in each"
        )
    found: list[Round] = []
    new, head = chosen, None
    for number in range(rounds + 1):
        if head is not None:
            left = np.setdiff1d(np.arange(len(pool)), chosen)
            answers = learner.answer(head, pool.features[left])
            new = left[choose(acquisition, answers, per_round, seed=(*seed, number))]
            chosen = np.concatenate([chosen, new])
        head = learner.train(pool.features[chosen], pool.labels[chosen])
        probs = learner.answer(head, held_out.features).decomposition.probabilities
        scores = metrics(probs, held_out.labels, learner.architecture.task)
        found.append(Round(len(chosen), pool.ids[new].tolist(), scores))
        if on_round is not None:
            on_round(number + 1, rounds + 1)
    return found


def first_clips(
    labels: npt.ArrayLike, per_label: int, seed: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """Choose clips at random until each label has some.

    Args:
      labels: Multi-hot labels of the pool, [clips, labels].
      per_label: Clips that each label needs at least; in multiclass data, exactly.
      seed: Seed of the choice.

    Returns:
      Indices, int64 [chosen].

    Raises:
      UserError: A label has fewer clips.
    """
    truth = np.asarray(labels) > 0
    if (counts := truth.sum(axis=0)).min() < per_label:
        raise UserError(
            f"label number {int(counts.argmin())} has {int(counts.min())} clips in the pool, but "
            f"{per_label} of each label are to be labelled first; use fewer, or more data"
        )
    have = np.zeros(truth.shape[1], int)
    chosen = []
    for clip in np.random.default_rng(seed).permutation(len(truth)):
        if (have[truth[clip]] < per_label).any():
            have += truth[clip]
            chosen.append(clip)
    return np.array(chosen)
