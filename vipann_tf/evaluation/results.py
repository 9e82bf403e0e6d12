"""Results of an evaluation per clip: the arrays behind every summary and picture."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.stored_calibration import DetectionThresholds
from vipann_tf.uncertainty.arrays import checked, checked_probs
from vipann_tf.uncertainty.conformal import MulticlassConformal, MultilabelConformal
from vipann_tf.uncertainty.ood import ood_scores
from vipann_tf.uncertainty.selective import wrong_answers

if TYPE_CHECKING:  # it imports TensorFlow
    from vipann_tf.uncertainty.decomposition import Decomposition

__all__ = ["KINDS", "Answers", "Results", "write_clip_csv"]

KINDS = ("total", "aleatoric", "epistemic")


@dataclass(frozen=True)
class Answers:
    """A model's answers to a set of clips, averaged over draws; uncertainties in nats.

    Raises:
      UserError: If the arrays do not agree in shape, or a probability is not allowed.
    """

    clip_ids: tuple[str, ...]
    probs: np.ndarray  # [clips, labels]: mean probabilities
    label_total: np.ndarray  # [clips, labels], one label against the rest
    label_aleatoric: np.ndarray  # [clips, labels]
    label_epistemic: np.ndarray  # [clips, labels]
    total: np.ndarray  # [clips]
    aleatoric: np.ndarray  # [clips]
    epistemic: np.ndarray  # [clips]
    logits: np.ndarray | None = None  # [clips, labels]: mean logits; only the OOD energy needs them
    groups: tuple[str, ...] | None = None  # [clips]: such as their recordings; None if all differ

    def __post_init__(self) -> None:
        probs = checked_probs(self.probs)
        if len(self.clip_ids) != len(probs):
            raise UserError(
                f"there are {len(self.clip_ids)} clip ids and probabilities of {len(probs)} clips"
            )
        if self.groups is not None and len(self.groups) != len(probs):
            raise UserError(f"there are {len(self.groups)} groups of {len(probs)} clips")
        for kind in KINDS:
            for name, shape in ((kind, probs.shape[:1]), (f"label_{kind}", probs.shape)):
                if np.shape(getattr(self, name)) != shape:
                    raise UserError(
                        f"{name} has shape {np.shape(getattr(self, name))}; with probabilities of "
                        f"shape {probs.shape} it must be {shape}"
                    )

    @classmethod
    def from_decomposition(
        cls,
        clip_ids: Sequence[str],
        decomposition: "Decomposition",
        logits: np.ndarray | None = None,
        groups: tuple[str, ...] | None = None,
    ) -> "Answers":
        """Return the answers that the `Decomposition` of some clips holds."""
        names = (*KINDS, *(f"label_{kind}" for kind in KINDS))
        return cls(
            clip_ids=tuple(clip_ids),
            probs=np.asarray(decomposition.probabilities),
            logits=logits,
            groups=groups,
            **{name: np.asarray(getattr(decomposition, name)) for name in names},
        )

    def scores(self, task: str) -> dict[str, np.ndarray]:
        """Return the scores that may distinguish unfamiliar clips, as `ood.ood_scores`."""
        return ood_scores(
            self.probs, {kind: getattr(self, kind) for kind in KINDS}, task, self.logits
        )

    def answer_uncertainty(self, kind: str, task: str) -> np.ndarray:
        """Return how unsure the answer itself, the most probable label, is: `[clips]`, nats.

        Multiclass: the clip's uncertainty. Multilabel: that label's own, because a clip's sum over
        labels depends mostly on its number of sounds.

        Args:
          kind: "total", "aleatoric" or "epistemic".
          task: "multilabel" or "multiclass".
        """
        if task == "multiclass":
            return np.asarray(getattr(self, kind), np.float64)
        by_label = np.asarray(getattr(self, f"label_{kind}"), np.float64)
        return by_label[np.arange(len(by_label)), np.argmax(self.probs, axis=1)]


@dataclass(frozen=True)
class Results:
    """One model on one split of one dataset, optionally beside out-of-distribution clips.

    Raises:
      UserError: If truth, labels and answers do not agree.
    """

    model: str  # name for readers
    dataset: str
    split: str
    task: str  # "multilabel" or "multiclass"
    labels: tuple[str, ...]
    answers: Answers
    truth: np.ndarray  # [clips, labels], multi-hot
    num_draws: int
    seed: int
    command: str  # the command that produced this, as typed
    description: Mapping[str, str] = field(default_factory=dict)  # rows on model and data
    outside: Mapping[str, Answers] = field(default_factory=dict)  # name -> OOD clips' answers
    standard_error: np.ndarray | None = None  # [clips, labels] over draws, of the probabilities
    sets: MulticlassConformal | MultilabelConformal | None = None  # the model's prediction sets
    calibrated_on: tuple[str, ...] = ()  # "<dataset>/<split>" of temperature and sets
    thresholds: DetectionThresholds | None = None  # the model's, of detections

    def __post_init__(self) -> None:
        checked(self.answers.probs, self.truth, self.task)
        for name, answers in {"answers": self.answers, **self.outside}.items():
            if answers.probs.shape[1] != len(self.labels):
                raise UserError(
                    f"{name} has probabilities of {answers.probs.shape[1]} labels; the results "
                    f"name {len(self.labels)}"
                )
        if self.thresholds is not None and len(self.thresholds.thresholds) != len(self.labels):
            raise UserError(
                f"there are {len(self.thresholds.thresholds)} thresholds; the results name "
                f"{len(self.labels)} labels"
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of uncertainty to show: one network's total is all aleatoric."""
        return KINDS if self.num_draws > 1 else KINDS[:1]

    @property
    def groups(self) -> tuple[str, ...] | None:
        """What clips share with others, [clips]; `None` if all differ."""
        return self.answers.groups

    @property
    def calibrated_here(self) -> bool:
        """Whether the model was calibrated on some of these clips, which flatters its scores."""
        mine = {f"{self.dataset}/{name}" for name in self.split.split(", ")}
        return not mine.isdisjoint(self.calibrated_on)

    @property
    def wrong(self) -> np.ndarray:
        """Whether each clip's most probable label is wrong, bool `[clips]`."""
        return wrong_answers(self.answers.probs, self.truth, self.task)


def write_clip_csv(results: Results, path: StrPath) -> None:
    """Write one line per clip, out-of-distribution clips after those of the dataset.

    Columns: set (the split, or the name of the OOD set), clip_id, group (what the clip shares with
    others, or its own id; only if some clips share something), truth (labels separated by ';',
    empty for OOD), answer (the most probable label), probability (of the answer), right (1 or 0,
    empty for OOD), total, aleatoric, epistemic (nats), then p:<label> for each label.
    """
    every = [results.answers, *results.outside.values()]
    group = ["group"] if any(answers.groups is not None for answers in every) else []
    columns = ["set", "clip_id", *group, "truth", "answer", "probability", "right", *KINDS]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns + [f"p:{label}" for label in results.labels])
        names = np.array(results.labels)
        truth = [";".join(names[row]) for row in np.asarray(results.truth, bool)]
        right = [int(not wrong) for wrong in results.wrong]
        _write_rows(writer, results.split, results.answers, names, truth, right, bool(group))
        for name, answers in results.outside.items():
            nothing = [""] * len(answers.clip_ids)
            _write_rows(writer, name, answers, names, nothing, nothing, bool(group))


def _write_rows(
    writer: Any,
    name: str,
    answers: Answers,
    names: np.ndarray,
    truth: Sequence[str],
    right: Sequence[int | str],
    with_groups: bool,
) -> None:
    groups = answers.groups or answers.clip_ids
    for i, clip_id in enumerate(answers.clip_ids):
        probs = answers.probs[i]
        top = int(np.argmax(probs))
        uncertainty = [f"{float(getattr(answers, kind)[i]):.6g}" for kind in KINDS]
        writer.writerow(
            [
                name,
                clip_id,
                *([groups[i]] if with_groups else []),
                truth[i],
                names[top],
                f"{probs[top]:.6g}",
                right[i],
                *uncertainty,
            ]
            + [f"{p:.6g}" for p in probs]
        )
