"""Results directories of `evaluate`, read back."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.evaluation.result_files import METRICS_JSON, PREDICTIONS_CSV
from vipann_tf.evaluation.results import KINDS
from vipann_tf.evaluation.summary import SCHEMA_VERSION
from vipann_tf.files.paths import StrPath

__all__ = ["StoredResults", "pooled", "read_results"]


@dataclass(frozen=True)
class StoredResults:
    """The results directory of one model on one split, or several on folds (see `pooled`).

    Probabilities have the six places of predictions.csv.
    """

    path: str
    summary: Mapping  # the content of metrics.json
    clip_ids: tuple[str, ...]
    probs: np.ndarray  # [clips, labels]
    truth: np.ndarray  # bool [clips, labels]
    uncertainty: Mapping[str, Mapping[str, np.ndarray]]  # set -> kind -> [its clips], nats
    outside_ids: Mapping[str, tuple[str, ...]]  # out-of-distribution set -> clip ids
    groups: tuple[str, ...] | None = None  # [clips]: what clips share with others; None if nothing
    # out-of-distribution set -> the same of its clips, or their ids
    outside_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def group_ids(self) -> tuple[str, ...]:
        """What each clip shares with others, or its id, [clips]."""
        return self.clip_ids if self.groups is None else self.groups

    @property
    def place(self) -> tuple[str, str]:
        """Dataset and split."""
        return self.summary["dataset"], self.summary["split"]


def read_results(path: StrPath) -> StoredResults:
    """Read results of `evaluate`.

    Raises:
      UserError: If it is not a results directory, has another version, or is damaged.
    """
    summary = _read_summary(Path(path) / METRICS_JSON)
    labels, split = summary["labels"], summary["split"]
    table = Path(path) / PREDICTIONS_CSV
    ids: list[str] = []
    probs: list[list[float]] = []
    truth: list[np.ndarray] = []
    groups: list[str] = []
    outside: dict[str, list[str]] = {}
    outside_groups: dict[str, list[str]] = {}
    uncertainty: dict[str, dict[str, list[float]]] = {}
    index = {label: i for i, label in enumerate(labels)}
    try:
        with open(table, newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                of_set = uncertainty.setdefault(row["set"], {kind: [] for kind in KINDS})
                for kind in KINDS:
                    of_set[kind].append(float(row[kind]))
                group = row.get("group", row["clip_id"])
                if row["set"] != split:
                    outside.setdefault(row["set"], []).append(row["clip_id"])
                    outside_groups.setdefault(row["set"], []).append(group)
                    continue
                ids.append(row["clip_id"])
                groups.append(group)
                probs.append([float(row[f"p:{label}"]) for label in labels])
                truth.append(np.zeros(len(labels), bool))
                truth[-1][[index[name] for name in row["truth"].split(";") if name]] = True
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{table} can't be read ({type(error).__name__}: {error}); evaluate the model again"
        ) from error
    if len(ids) != summary["clips"] or len(set(ids)) != len(ids):
        raise UserError(
            f"{table} holds {len(ids)} clips, {len(set(ids))} of them different; metrics.json says "
            f"{summary['clips']}: evaluate the model again"
        )
    return StoredResults(
        path=str(path),
        summary=summary,
        clip_ids=tuple(ids),
        probs=np.array(probs),
        truth=np.array(truth),
        uncertainty={
            name: {kind: np.array(values) for kind, values in kinds.items()}
            for name, kinds in uncertainty.items()
        },
        outside_ids={name: tuple(clips) for name, clips in outside.items()},
        groups=tuple(groups) if len(set(groups)) < len(groups) else None,
        outside_groups={name: tuple(found) for name, found in outside_groups.items()},
    )


def pooled(results: Sequence[StoredResults], split: str = "all folds") -> StoredResults:
    """Return the answers of several models to splits of one dataset, as one model's.

    In cross-validation, every clip is answered by the model that was not trained on it. Clips that
    were answered several times (by trainings of other seeds) keep each answer under its own id, and
    `groups` says which belong to one clip.

    Args:
      results: One or more results with the same labels.
      split: Name of all splits together.

    Raises:
      UserError: If datasets or labels differ.
    """
    first = results[0]
    for other in results[1:]:
        _check_poolable(other, first)
    clips = [name for result in results for name in result.clip_ids]
    outside = dict.fromkeys(name for result in results for name in result.outside_ids)
    uncertainty = {split: _pooled_uncertainty([r.uncertainty[r.place[1]] for r in results])}
    outside_ids: dict[str, tuple[str, ...]] = {}
    outside_groups: dict[str, tuple[str, ...]] = {}
    groups = [name for result in results for name in result.group_ids]
    for name in outside:
        parts = [result for result in results if name in result.outside_ids]
        uncertainty[name] = _pooled_uncertainty([part.uncertainty[name] for part in parts])
        outside_ids[name] = tuple(clip for part in parts for clip in part.outside_ids[name])
        outside_groups[name] = tuple(x for part in parts for x in part.outside_groups[name])
    return StoredResults(
        path=first.path,
        summary={**first.summary, "split": split, "clips": len(clips)},
        clip_ids=_numbered(clips),
        probs=np.concatenate([result.probs for result in results]),
        truth=np.concatenate([result.truth for result in results]),
        uncertainty=uncertainty,
        outside_ids=outside_ids,
        groups=tuple(groups) if len(set(groups)) < len(groups) else None,
        outside_groups=outside_groups,
    )


def _check_poolable(other: StoredResults, first: StoredResults) -> None:
    for key in ("dataset", "labels", "task"):
        if other.summary[key] != first.summary[key]:
            raise UserError(
                f"{other.path} and {first.path} differ in their {key}; only folds of one dataset "
                "can be pooled"
            )


def _numbered(clips: Sequence[str]) -> tuple[str, ...]:
    """Return ids that are all different: the second answer of a clip is "clip (answer 2)"."""
    seen: Counter[str] = Counter()
    ids = []
    for name in clips:
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f"{name} (answer {seen[name]})")
    return tuple(ids)


def _pooled_uncertainty(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {kind: np.concatenate([part[kind] for part in parts]) for kind in KINDS}


def _read_summary(file: Path) -> dict:
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"{file} is missing: {file.parent} is not a directory of `vipann-tf evaluate`"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file} can't be read ({error}); evaluate the model again") from error
    version = summary.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{file} has schema version {version}, this program reads {SCHEMA_VERSION}; evaluate "
            "the model again"
        )
    return summary
