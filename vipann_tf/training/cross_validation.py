"""Cross-validation: every fold is held out once, by a model trained on the others.

OUT/fold1/             model directory, trained without fold 1
OUT/fold1/evaluation/  its evaluation on fold 1
OUT/final/             model directory trained on all folds, where asked for
OUT/cross_validation.json
OUT/unfinished.json    while models are being replaced: what they are replaced by
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.evaluation.evaluate import METRICS_JSON, evaluate
from vipann_tf.files import atomic
from vipann_tf.recipes import TransferRecipe
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.saved_model.versions import check_local, finished_versions
from vipann_tf.training.distribution import is_multiworker
from vipann_tf.training.fit import BASE_FIELDS
from vipann_tf.training.processes import run_in_processes
from vipann_tf.training.progress import Progress
from vipann_tf.training.run import differing_keys, sole_process
from vipann_tf.training.transfer import transfer
from vipann_tf.uncertainty.confidence_intervals import CONFIDENCE, student_interval

CROSS_VALIDATION_JSON = "cross_validation.json"
UNFINISHED_JSON = "unfinished.json"
FINAL = "final"
# Called with the name of what is being trained (`fold1`, ..., `final`) and where it is.
OnProgress = Callable[[str, Progress], None]


@dataclass(frozen=True)
class _Part:
    """One of the trainings: a fold's, with its evaluation, or the final one.

    Attributes:
      recipe, base, data, test_fold, overwrite: As in `transfer`.
      out: Model directory.
      trained: Whether the model is there already.
    """

    recipe: TransferRecipe
    base: str | os.PathLike
    data: str | os.PathLike
    out: Path
    test_fold: int | None
    overwrite: bool
    trained: bool

    @property
    def evaluation(self) -> Path:
        return self.out / "evaluation"

    def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        distribution: tf.distribute.Strategy | None = None,
    ) -> None:
        """Does what has not been done yet."""
        if not self.trained:
            shutil.rmtree(self.evaluation, ignore_errors=True)
            transfer(
                self.recipe,
                self.base,
                self.data,
                self.out,
                test_fold=self.test_fold,
                distribution=distribution,
                overwrite=self.overwrite,
                on_progress=on_progress,
            )
        if self.test_fold is not None and not (self.evaluation / METRICS_JSON).is_file():
            evaluate(self.out, self.data, self.evaluation, overwrite=True)


def cross_validate(
    recipe: TransferRecipe,
    base: str | os.PathLike,
    data: str | os.PathLike,
    out: str | os.PathLike,
    *,
    folds: Sequence[int] | None = None,
    final: bool = False,
    distribution: tf.distribute.Strategy | None = None,
    parallel: int = 1,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> dict:
    """Transfers once a fold, evaluates each on the fold that it has not heard, and sums up.

    A fold that is finished is not trained again, one that was interrupted goes on; when `overwrite`
    itself was interrupted, that holds for those that it has replaced.

    Args:
      recipe, base, data, distribution: As in `transfer`.
      out: Directory to make.
      folds: Numbers of the folds to hold out; by default all.
      final: Whether to train a model on all folds, too.
      parallel: Folds at once, each in a process that sees one GPU, or its share of the cores. How
        many threads add numbers up shows in the last digits.
      overwrite: Whether to train folds anew that are finished.
      on_progress: Called after every training step.

    Returns:
      What cross_validation.json holds: `dataset`, `strategy`, `mode`, `folds` (names), and `metrics`
      and `uncertainty`, each by name: `mean`, `low`, `high` (see `student_interval`) and `values`,
      one a fold.

    Raises:
      UserError: An argument is wrong, or a finished fold was trained by another recipe.
    """
    check_local(out)
    if parallel > 1 and distribution is not None:
        raise UserError(f"{parallel} folds at once take a device each; leave --devices out")
    if distribution is not None and is_multiworker(distribution):
        raise UserError(
            "cross-validation takes one machine; on several, share the folds out: transfer --test-fold"
        )
    dataset = read_dataset_info(data)
    every = [name for name in dataset.splits if name.startswith("fold")]
    if len(every) < 2:
        raise UserError(
            f"dataset {dataset.name} has the splits {', '.join(dataset.splits)}; cross-validation "
            "takes two or more folds"
        )
    names = every if folds is None else dataset.check_splits(f"fold{fold}" for fold in folds)
    recipes = dict.fromkeys(names, recipe)
    if final:
        everything = recipe.data.model_copy(update={"train": every})
        recipes[FINAL] = recipe.model_copy(update={"data": everything})
    out = Path(out)
    with sole_process(out):
        description = _description(recipe, base, dataset)
        before = _versions_to_replace(out, list(recipes), description) if overwrite else {}
        parts = {
            name: _Part(
                *(recipe, base, data, out / name),
                test_fold=int(name.removeprefix("fold")) if name != FINAL else None,
                overwrite=overwrite,
                trained=_last_version(out / name) > before.get(name, 0),
            )
            for name, recipe in recipes.items()
        }
        for name, part in parts.items():
            if part.trained:
                _check_same(part.out, _description(recipes[name], base, dataset))
        if parallel > 1:
            run_in_processes(
                {name: part.run for name, part in parts.items()},
                parallel,
                gpus=len(tf.config.list_physical_devices("GPU")),
                on_progress=on_progress,
            )
        else:
            for name, part in parts.items():
                part.run(_for(name, on_progress), distribution)
        results = [
            json.loads((parts[name].evaluation / METRICS_JSON).read_text(encoding="utf-8"))
            for name in names
        ]
        summary = {
            "dataset": dataset.name,
            "strategy": recipe.strategy,
            "mode": recipe.mode,
            "folds": names,
            "confidence": CONFIDENCE,
            "metrics": _by_name(results, "metrics"),
            "uncertainty": _by_name(results, "uncertainty"),
        }
        atomic.write_text(out / CROSS_VALIDATION_JSON, json.dumps(summary, indent=2) + "\n")
        (out / UNFINISHED_JSON).unlink(missing_ok=True)
    return summary


def _by_name(results: list[dict], group: str) -> dict[str, dict]:
    """Intervals of the numbers that every fold has."""
    found = {}
    for name in results[0][group]:
        values = [result[group][name]["value"] for result in results if name in result[group]]
        if len(values) == len(results) and None not in values:
            mean, low, high = student_interval(values)
            found[name] = {"mean": mean, "low": low, "high": high, "values": values}
    return found


def _for(name: str, on_progress: OnProgress | None) -> Callable[[Progress], None] | None:
    return on_progress and (lambda progress: on_progress(name, progress))


def _last_version(model: Path) -> int:
    """Number of the highest finished version of a model directory; 0 where there is none."""
    versions = finished_versions(model)
    return int(versions[-1].name) if versions else 0


def _versions_to_replace(out: Path, names: list[str], description: dict) -> dict[str, int]:
    """The highest version of each model when replacing them began, this time or, with the same
    description, the time that was interrupted.
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


def _description(recipe: TransferRecipe, base: str | os.PathLike, dataset: DatasetInfo) -> dict:
    """What finished folds must have in common."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "base": read_model_info(base).model_dump(mode="json", include=BASE_FIELDS),
        "dataset": dataset.name,
    }


def _check_same(model: Path, wanted: dict) -> None:
    info = read_model_info(model)
    # A recipe of an earlier version of the package has today's defaults where it says nothing.
    found = {
        "recipe": TransferRecipe.model_validate(info.recipe).model_dump(mode="json"),
        "base": info.base,
        "dataset": info.data.dataset,
    }
    if differing := differing_keys(found, wanted):
        raise UserError(
            f"{model} was trained otherwise: {', '.join(differing)} differ; choose another --out, or "
            "train every fold anew with --overwrite"
        )
