"""Cross-validation: every fold is held out once, by a model trained on the others.

OUT/fold1/             model directory, trained without fold 1
OUT/fold1/evaluation/  its evaluation on fold 1
OUT/final/             model directory trained on all folds, if requested
OUT/cross_validation.json
OUT/unfinished.json    while models are being replaced: the description of the new ones
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.evaluation.evaluate import evaluate
from vipann_tf.evaluation.result_files import METRICS_JSON
from vipann_tf.files import atomic
from vipann_tf.files.paths import StrPath
from vipann_tf.recipes import TransferRecipe
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.saved_model.versions import check_local, finished_versions
from vipann_tf.training.differences import differing_keys
from vipann_tf.training.distribution import is_multiworker
from vipann_tf.training.members import transfer_members
from vipann_tf.training.metadata import BASE_FIELDS
from vipann_tf.training.processes import run_trainings
from vipann_tf.training.progress import Progress
from vipann_tf.training.run import sole_process
from vipann_tf.training.transfer import check_labels, training_splits, transfer
from vipann_tf.uncertainty.confidence_intervals import CONFIDENCE, student_interval

CROSS_VALIDATION_JSON = "cross_validation.json"
UNFINISHED_JSON = "unfinished.json"
FINAL = "final"
# Called with the name of a training (`fold1`, ..., `final`) and its progress.
OnProgress = Callable[[str, Progress], None]


@dataclass(frozen=True)
class _Part:
    """One training: of a fold, with its evaluation, or the final one.

    Attributes:
      recipe: Argument of `transfer`.
      base: Argument of `transfer`.
      data: Argument of `transfer`.
      out: Model directory.
      test_fold: Number of the fold that is held out; `None` for the final training.
      overwrite: Argument of `transfer`.
      trained: Whether the model exists already.
      members: Number of networks: above 1 for a deep ensemble.
    """

    recipe: TransferRecipe
    base: StrPath
    data: StrPath
    out: Path
    test_fold: int | None
    overwrite: bool
    trained: bool
    members: int

    @property
    def evaluation(self) -> Path:
        return self.out / "evaluation"

    def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        distribution: tf.distribute.Strategy | None = None,
    ) -> None:
        """Train and evaluate, unless that is done."""
        if not self.trained:
            shutil.rmtree(self.evaluation, ignore_errors=True)
            common: dict[str, Any] = {
                "test_fold": self.test_fold,
                "distribution": distribution,
                "overwrite": self.overwrite,
            }
            arguments = self.recipe, self.base, self.data, self.out
            if self.members > 1:
                transfer_members(
                    *arguments,
                    members=self.members,
                    on_progress=on_progress and (lambda _, progress: on_progress(progress)),
                    **common,
                )
            else:
                transfer(*arguments, on_progress=on_progress, **common)
        if self.test_fold is not None and not (self.evaluation / METRICS_JSON).is_file():
            evaluate(self.out, self.data, self.evaluation, overwrite=True)

    def results(self) -> dict:
        """Return the content of metrics.json."""
        return json.loads((self.evaluation / METRICS_JSON).read_text(encoding="utf-8"))


def cross_validate(
    recipe: TransferRecipe,
    base: StrPath,
    data: StrPath,
    out: StrPath,
    *,
    folds: Sequence[int] | None = None,
    final: bool = False,
    distribution: tf.distribute.Strategy | None = None,
    members: int = 1,
    parallel: int = 1,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> dict:
    """Transfer once per fold, evaluate each model on its held-out fold, and summarise.

    Finished folds are not trained again, and an interrupted one resumes. After an interrupted call
    with `overwrite`, finished folds are those that it has replaced.

    Args:
      recipe: Strategy, mode and settings.
      base: Model directory of the pretrained network.
      data: Dataset directory.
      out: Directory to make.
      folds: Numbers of the folds to hold out; by default all.
      final: Whether to train another model on all folds.
      distribution: Devices that train each network; by default one.
      members: Number of networks per fold: above 1 for deep ensembles, see `transfer_members`.
      parallel: Number of folds trained at the same time, each in a process that sees one GPU or its
        share of the cores. The number of threads changes the last digits of the results.
      overwrite: Whether to train finished folds again.
      on_progress: Called after every training step.

    Returns:
      Content of cross_validation.json: `dataset`, `strategy`, `mode`, `folds` (names), and
      `metrics` and `uncertainty`, each by name: `mean`, `low`, `high` (see `student_interval`) and
      `values`, one per fold.

    Raises:
      UserError: An argument is wrong, or a finished fold was trained with another recipe.
    """
    check_local(out)
    if parallel > 1 and distribution is not None:
        raise UserError(
            f"{parallel} folds at the same time use one device each; leave --devices out"
        )
    if distribution is not None and is_multiworker(distribution):
        raise UserError(
            "cross-validation runs on one machine; on several, train each fold by itself: transfer "
            "--test-fold"
        )
    dataset = read_dataset_info(data)
    every = [name for name in dataset.splits if name.startswith("fold")]
    if len(every) < 2:
        raise UserError(
            f"dataset {dataset.name} has the splits {', '.join(dataset.splits)}; cross-validation "
            "needs two or more folds"
        )
    names = every if folds is None else dataset.check_splits(f"fold{fold}" for fold in folds)
    recipes = dict.fromkeys(names, recipe)
    if final:
        everything = recipe.data.model_copy(update={"train": every})
        recipes[FINAL] = recipe.model_copy(update={"data": everything})
    out = Path(out)
    with sole_process(out):
        description = _description(recipe, base, dataset, members)
        before = _versions_to_replace(out, list(recipes), description) if overwrite else {}
        parts = {
            name: _Part(
                recipe=own_recipe,
                base=base,
                data=data,
                out=out / name,
                test_fold=int(name.removeprefix("fold")) if name != FINAL else None,
                overwrite=overwrite,
                trained=_last_version(out / name) > before.get(name, 0),
                members=members,
            )
            for name, own_recipe in recipes.items()
        }
        for part in parts.values():
            if part.trained:
                _check_same(part.out, _description(part.recipe, base, dataset, members))
            else:  # before the first fold is trained, which may take hours
                wanted = part.recipe.data.train, part.test_fold, part.recipe.validation.splits
                check_labels(part.recipe, dataset, training_splits(dataset, *wanted)[0])
        run_trainings(
            {name: part.run for name, part in parts.items()},
            parallel=parallel,
            distribution=distribution,
            on_progress=on_progress,
        )
        results = [parts[name].results() for name in names]
        summary = {
            "dataset": dataset.name,
            "strategy": recipe.strategy,
            "mode": recipe.mode,
            "folds": names,
            "confidence": CONFIDENCE,
            "metrics": _intervals([result["metrics"] for result in results]),
            "uncertainty": _intervals([result["uncertainty"] for result in results]),
        }
        atomic.write_text(out / CROSS_VALIDATION_JSON, json.dumps(summary, indent=2) + "\n")
        (out / UNFINISHED_JSON).unlink(missing_ok=True)
    return summary


def _intervals(folds: list[dict[str, dict]]) -> dict[str, dict]:
    """Return the intervals of the values that all folds have."""
    intervals = {}
    for name in folds[0]:
        values = [fold[name]["value"] for fold in folds if name in fold]
        if len(values) == len(folds) and None not in values:
            mean, low, high = student_interval(values)
            intervals[name] = {"mean": mean, "low": low, "high": high, "values": values}
    return intervals


def _last_version(model: Path) -> int:
    """Return the number of the highest finished version of a model directory; 0 for none."""
    versions = finished_versions(model)
    return int(versions[-1].name) if versions else 0


def _versions_to_replace(out: Path, names: list[str], description: dict) -> dict[str, int]:
    """Return the highest version of each model before its replacement.

    The replacement began in this call, or in an interrupted one with the same description.
    """
    file = out / UNFINISHED_JSON
    if file.is_file():
        begun = json.loads(file.read_text(encoding="utf-8"))
        if begun["description"] == description:
            return begun["before"]
    before = {name: _last_version(out / name) for name in names}
    content = {"description": description, "before": before}
    atomic.write_text(file, json.dumps(content, indent=1) + "\n")
    return before


def _description(recipe: TransferRecipe, base: StrPath, dataset: DatasetInfo, members: int) -> dict:
    """Return what must be equal for all finished folds."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "base": read_model_info(base).model_dump(mode="json", include=BASE_FIELDS),
        "dataset": dataset.name,
        "members": members,
    }


def _check_same(model: Path, wanted: dict) -> None:
    info = read_model_info(model)
    # Keys that a recipe of an earlier package version lacks get the current defaults.
    found = {
        "recipe": TransferRecipe.model_validate(info.recipe).model_dump(mode="json"),
        "base": info.base,
        "dataset": info.data.dataset if info.data else None,
        "members": max(len(info.members), 1),
    }
    if differing := differing_keys(found, wanted):
        raise UserError(
            f"{model} was trained with other settings: {', '.join(differing)} differ; choose "
            "another --out, or train every fold again with --overwrite"
        )
