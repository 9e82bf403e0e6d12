"""The embedded dataset: labelled sound events synthesised from a seed, without any file.

Three tasks over disjoint sets of events: `multilabel` mixes one to four events per clip (a small
AudioSet, splits train and eval), `multiclass` has one event per clip (a small ESC-50, in folds),
and `ood` has one event per clip, of kinds that are in neither (split eval). A clip's waveform
depends only on the seed, the task, the split, the clip's index in it, its length and the rate.
"""

import math
import os
import zlib
from dataclasses import dataclass

import numpy as np
import soundfile
from scipy import signal

from vipann_tf.datasets.base import Clip, Source
from vipann_tf.datasets.sound_events import EVENTS, RATE_HZ, mixture
from vipann_tf.errors import UserError

__all__ = ["DEFAULT_CLIPS", "SECONDS", "source", "splits_of", "write_wav"]

DEFAULT_CLIPS = {"multilabel": 1200, "multiclass": 400, "ood": 100}
"""Clips per task: two cores train on them in a few minutes."""

SECONDS = (1.0, 60.0)  # every event fits in the shortest clip; the longest is a bound on memory
EVAL_SHARE = 1 / 6  # share of the multilabel clips
EVENT_COUNT_PROBS = (
    0.35,
    0.3,
    0.2,
    0.15,
)  # probabilities of 1, 2, 3 and 4 events in a multilabel clip


def splits_of(task: str, folds: int = 5) -> tuple[str, ...]:
    """Return the names of the splits of a task.

    Args:
      task: "multilabel", "multiclass" or "ood".
      folds: number of folds of "multiclass", 2 or more; the others have none.

    Returns:
      ("train", "eval"), ("fold1", ..., "fold<folds>") or ("eval",).

    Raises:
      UserError: the task is unknown, or there are fewer than two folds.
    """
    if task not in EVENTS:
        raise UserError(
            f"Synthetic task {task!r} is unknown: choose one of {', '.join(EVENTS)} (--task)."
        )
    if task == "multilabel":
        return ("train", "eval")
    if task == "ood":
        return ("eval",)
    if folds < 2:
        raise UserError(
            f"folds is {folds}: give 2 or more, so that one can be held out of training."
        )
    return tuple(f"fold{k + 1}" for k in range(folds))


def source(
    task: str = "multilabel",
    *,
    clips: int | None = None,
    seconds: float = 5.0,
    seed: int = 0,
    folds: int = 5,
) -> Source:
    """Describe a synthetic dataset; sounds are made later, by its `decode`.

    Args:
      task: "multilabel", "multiclass" or "ood" (whose `Source.task` is "multiclass").
      clips: number over all splits; `DEFAULT_CLIPS[task]` if None. One in six of the multilabel
        ones is for eval; folds are of equal size and, like "ood", balanced over the labels.
      seconds: length of a clip, within `SECONDS`.
      seed: 0 or greater; another seed is another dataset of the same kind.
      folds: number of folds of "multiclass".

    Returns:
      The source; its labels are names in alphabetical order.

    Raises:
      UserError: an argument is out of the ranges above, or a split would be empty.
    """
    splits = splits_of(task, folds)
    clips = DEFAULT_CLIPS[task] if clips is None else clips
    if clips < len(splits):
        raise UserError(
            f"clips is {clips}: {task} needs at least {len(splits)}, one for each of its splits "
            f"({', '.join(splits)}); leave it out for {DEFAULT_CLIPS[task]}."
        )
    decode = _Synthesizer(task, seconds, seed)
    if task == "multilabel":
        evaluated = max(1, round(clips * EVAL_SHARE))
        sizes = [clips - evaluated, evaluated]
    else:
        sizes = [len(range(k, clips, len(splits))) for k in range(len(splits))]
    return Source(
        name=f"synthetic-{task}",
        task="multilabel" if task == "multilabel" else "multiclass",
        labels=tuple(EVENTS[task]),
        clips=tuple(
            decode.clip(split, index)
            for split, size in zip(splits, sizes, strict=True)
            for index in range(size)
        ),
        clip_seconds=seconds,
        decode=decode,
    )


def write_wav(
    path: str | os.PathLike,
    task: str = "multiclass",
    index: int = 0,
    *,
    split: str | None = None,
    seconds: float = 5.0,
    seed: int = 0,
    folds: int = 5,
) -> Clip:
    """Write one clip as a WAV file (16 bit, 32 kHz, mono).

    Args:
      path: the file to write; its folder exists.
      task: as for `source`.
      index: index of the clip in its split, 0 or more; beyond the size of a `source` it makes a
        clip that the source does not have. One-event clips take their labels in turn.
      split: as `splits_of` names it; the last one if None.
      seconds: as for `source`.
      seed: as for `source`.
      folds: as for `source`.

    Returns:
      The clip written, with its labels.

    Raises:
      UserError: an argument is out of range, or the file cannot be written.
    """
    splits = splits_of(task, folds)
    split = splits[-1] if split is None else split
    if split not in splits:
        raise UserError(f"split {split!r} is not in {task}: choose one of {', '.join(splits)}.")
    if index < 0:
        raise UserError(f"index is {index}: give 0 or more.")
    synthesizer = _Synthesizer(task, seconds, seed)
    clip = synthesizer.clip(split, index)
    try:
        soundfile.write(path, synthesizer(clip, RATE_HZ), RATE_HZ, format="WAV", subtype="PCM_16")
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(
            f"Cannot write {os.fspath(path)!r}: {error} Name a writable file."
        ) from error
    return clip


@dataclass(frozen=True)
class _Synthesizer:
    """Makes the clips of a task and their waveforms; picklable, for workers.

    Attributes:
      task: "multilabel", "multiclass" or "ood".
      seconds: length of a clip.
      seed: seed of the dataset.
    """

    task: str
    seconds: float
    seed: int

    def __post_init__(self) -> None:
        if not SECONDS[0] <= self.seconds <= SECONDS[1]:
            raise UserError(
                f"seconds is {self.seconds:g}: a synthetic clip lasts {SECONDS[0]:g} to "
                f"{SECONDS[1]:g} s (--seconds)."
            )
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}: give 0 or more.")

    def __call__(self, clip: Clip, rate: int) -> np.ndarray:
        """Make the waveform of a clip that `clip` returned.

        It is synthesised at `RATE_HZ` and resampled, so that it is the same sound at any rate.

        Args:
          clip: identified by its id; its offset and duration are ignored.
          rate: sample rate, Hz.

        Returns:
          float32 `[round(seconds * rate)]` in [-1, 1].
        """
        index = int(clip.clip_id.rpartition("-")[2])
        events = [EVENTS[self.task][label] for label in clip.labels]
        waveform = mixture(
            self._rng(clip.split, index, "waveform"), events, round(self.seconds * RATE_HZ)
        )
        if rate == RATE_HZ:
            return waveform
        common = math.gcd(rate, RATE_HZ)
        resampled = signal.resample_poly(waveform, rate // common, RATE_HZ // common)
        length = round(self.seconds * rate)
        resampled = np.pad(resampled, (0, max(0, length - len(resampled))))[:length]
        # Peaks between the samples can pass full scale by a little.
        return np.clip(resampled, -1, 1).astype(np.float32)

    def clip(self, split: str, index: int) -> Clip:
        """Return the clip of a split at an index, with labels drawn for it."""
        names = tuple(EVENTS[self.task])
        if self.task == "multilabel":
            rng = self._rng(split, index, "labels")
            count = 1 + rng.choice(len(EVENT_COUNT_PROBS), p=EVENT_COUNT_PROBS)
            chosen = sorted(rng.choice(len(names), count, replace=False))
            labels = tuple(names[k] for k in chosen)
        else:
            labels = (names[index % len(names)],)
        return Clip(
            clip_id=f"{self.task}-{split}-{index:05d}",
            path=f"synthetic:{self.task}/{split}/{index}?seed={self.seed}",
            labels=labels,
            split=split,
        )

    def _rng(self, split: str, index: int, purpose: str) -> np.random.Generator:
        """Return a generator of its own for each clip and purpose."""
        stream = zlib.crc32(f"{self.task}/{split}/{purpose}".encode())
        return np.random.default_rng([self.seed, stream, index])
