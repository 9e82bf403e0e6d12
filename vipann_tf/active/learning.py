"""Learn now: a new head from all labels so far, its scores before and after, and its model."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy.typing as npt

from vipann_tf.active.answers import Answers
from vipann_tf.active.learner import HeadLearner, TrainedHead
from vipann_tf.active.trunk import Trunk
from vipann_tf.errors import UserError
from vipann_tf.evaluation.intervals import metric_intervals, paired_differences
from vipann_tf.files.paths import StrPath
from vipann_tf.models.vipann import VIPANN
from vipann_tf.saved_model.export import check_vacant, export
from vipann_tf.saved_model.metadata import TrainingData
from vipann_tf.training.metadata import model_info
from vipann_tf.training.run import KEPT_LOG, LOG_FIELDS
from vipann_tf.uncertainty.bootstrap import Interval

__all__ = ["Learned", "Scores", "learn", "write_model"]


@dataclass(frozen=True)
class Scores:
    """Scores on held-out clips, with 95 % intervals over clips.

    Attributes:
      after: Metrics of the new head.
      before: Metrics of the answers before; `None` if there were none.
      gain: After minus before, on the same resamples; `None` likewise.
    """

    after: dict[str, Interval]
    before: dict[str, Interval] | None = None
    gain: dict[str, Interval] | None = None


@dataclass(frozen=True)
class Learned:
    """A new head and what it is worth.

    Attributes:
      head: The head; `HeadLearner.answer` answers by it, and `write_model` writes it.
      held_out: Its answers to the held-out clips; `None` without such clips.
      scores: Scores on these clips; `None` without them.
      seconds: Time of training and scoring.
    """

    head: TrainedHead
    held_out: Answers | None
    scores: Scores | None
    seconds: float


def learn(
    learner: HeadLearner,
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    held_out: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    before: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
) -> Learned:
    """Train a new head on old and new labels, and say what it is worth.

    Args:
      learner: The same one in every round, since its first training compiles.
      features: Pooled features of all labelled clips, old and new, float32 [clips, size]; see
        `Trunk.features`.
      labels: Their labels, multi-hot [clips, labels].
      held_out: Features and labels of clips that are never trained on.
      before: Probabilities of the held-out clips before, [clips, labels]: those of any model, or of
        the head of the round before (`Learned.held_out.decomposition.probabilities`).
      groups: What held-out clips have in common, such as their recording; see `metric_intervals`.

    Raises:
      UserError: The arrays do not fit, or a label has no clip.
    """
    started = time.monotonic()
    if held_out is None and before is not None:
        raise UserError("before has answers to held-out clips, but there are no such clips")
    head = learner.train(features, labels)
    answers = scores = None
    if held_out is not None:
        answers = learner.answer(head, held_out[0])
        task, truth, now = answers.task, held_out[1], answers.decomposition.probabilities
        scores = Scores(metric_intervals(now, truth, task, groups=groups))
        if before is not None:
            scores = Scores(
                scores.after,
                metric_intervals(before, truth, task, groups=groups),
                paired_differences(now, before, truth, task, groups=groups),
            )
    return Learned(head, answers, scores, time.monotonic() - started)


def write_model(
    learner: HeadLearner,
    head: TrainedHead,
    trunk: Trunk,
    out: StrPath,
    data: TrainingData,
    *,
    clip_seconds: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the model directory that `transfer` would write after the same training.

    Args:
      learner: Who trained the head.
      head: The head, which is put into the whole network.
      trunk: Where the features came from.
      out: Model directory to make.
      data: Name, splits and number of the clips that it was trained on.
      clip_seconds: Length of these clips; by default that of the base's.
      overwrite: Whether to replace a model. The new version has the next number.

    Returns:
      The version folder; it is complete or absent.

    Raises:
      UserError: A model exists and `overwrite` is false.
    """
    check_vacant(out, overwrite=overwrite)
    info = model_info(
        learner.architecture,
        learner.recipe,
        data,
        sample_rate_hz=trunk.info.sample_rate_hz,
        clip_seconds=clip_seconds or trunk.info.clip_seconds,
        base=trunk.info,
        outcome=dict(head.outcome),
    )
    network = VIPANN(learner.architecture)
    base = trunk.network.named_variables()
    kept = network.named_variables().keys() - head.weights.keys()
    network.assign({**{name: base[name] for name in kept}, **head.weights})
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / KEPT_LOG
        _write_log(log, head.log)
        return export(
            network, out, info, learner.labels, overwrite=overwrite, extras={KEPT_LOG: log}
        )


def _write_log(file: Path, rows: Sequence[Mapping[str, float]]) -> None:
    with open(file, "w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, LOG_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
