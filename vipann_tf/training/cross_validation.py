"""Cross-validation: every fold is held out once, by a model trained on the others.

    OUT/fold1/             model directory, trained without fold 1
    OUT/fold1/evaluation/  its evaluation on fold 1
    OUT/final/             model directory trained on all folds, where asked for
    OUT/cross_validation.json
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy import stats

from vipann_tf.errors import UserError
from vipann_tf.evaluation.evaluate import METRICS_JSON, evaluate
from vipann_tf.recipe import TransferRecipe
from vipann_tf.records.schema import read_info
from vipann_tf.saved_model.export import finished_versions
from vipann_tf.saved_model.metadata import read_info as read_model_info
from vipann_tf.training.loop import Progress
from vipann_tf.training.transfer import transfer

CROSS_VALIDATION_JSON = "cross_validation.json"
FINAL = "final"
CONFIDENCE = 0.95
# Called with the name of what is being trained (`fold1`, ..., `final`) and where it is.
OnProgress = Callable[[str, Progress], None]


def cross_validate(
    recipe: TransferRecipe,
    base: str | os.PathLike,
    data: str | os.PathLike,
    out: str | os.PathLike,
    *,
    folds: Sequence[int] | None = None,
    final: bool = False,
    strategy: tf.distribute.Strategy | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> dict:
    """Transfers once a fold, evaluates each on the fold that it has not heard, and sums up.

    A fold that is finished is not trained again, one that was interrupted goes on.

    Args:
      recipe, base, data, strategy: As in `transfer`.
      out: Directory to make.
      folds: Numbers of the folds to hold out; by default all.
      final: Whether to train a model on all folds, too.
      overwrite: Whether to train folds anew that are finished.
      on_progress: Called after every training step.

    Returns:
      What cross_validation.json holds: `dataset`, `strategy`, `mode`, `folds` (names), and `metrics`
      and `uncertainty`, each by name: `mean`, `low`, `high` (see `student_interval`) and `values`,
      one a fold.

    Raises:
      UserError: An argument is wrong, or a finished fold was trained by another recipe.
    """
    dataset = read_info(data)
    every = [name for name in dataset.splits if name.startswith("fold")]
    if len(every) < 2:
        raise UserError(
            f"dataset {dataset.name} has the splits {', '.join(dataset.splits)}; cross-validation "
            "takes two or more folds"
        )
    names = every if folds is None else dataset.check_splits(f"fold{fold}" for fold in folds)
    out = Path(out)

    def train(name: str, recipe: TransferRecipe, test_fold: int | None) -> None:
        if not overwrite and finished_versions(out / name):
            _check_same(out / name, recipe)
            return
        transfer(
            recipe,
            base,
            data,
            out / name,
            test_fold=test_fold,
            strategy=strategy,
            overwrite=overwrite,
            on_progress=on_progress and (lambda progress: on_progress(name, progress)),
        )

    results = []
    for name in names:
        train(name, recipe, int(name.removeprefix("fold")))
        evaluation = out / name / "evaluation"
        if overwrite or not (evaluation / METRICS_JSON).is_file():
            evaluate(out / name, data, evaluation, overwrite=True)
        results.append(json.loads((evaluation / METRICS_JSON).read_text(encoding="utf-8")))
    if final:
        everything = recipe.data.model_copy(update={"train": every})
        train(FINAL, recipe.model_copy(update={"data": everything}), None)
    summary = {
        "dataset": dataset.name,
        "strategy": recipe.strategy,
        "mode": recipe.mode,
        "folds": names,
        "confidence": CONFIDENCE,
        "metrics": _by_name(results, "metrics"),
        "uncertainty": _by_name(results, "uncertainty"),
    }
    text = json.dumps(summary, indent=2) + "\n"
    (out / CROSS_VALIDATION_JSON).write_text(text, encoding="utf-8")
    return summary


def student_interval(
    values: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float | None, float | None]:
    """Mean of a sample and the confidence interval of the expected value.

    mean -+ t s / sqrt(n), with s the sample's standard deviation and t the quantile of Student's
    distribution of n - 1 degrees of freedom. Folds share training clips, so their values are not
    quite independent and the interval is somewhat too narrow (Bengio and Grandvalet 2004).

    Args:
      values: One a fold.
      confidence: Of the interval, above 0 and below 1.

    Returns:
      Mean, lower and upper end; no ends for a single value.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    quantile = stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    half = float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def _by_name(results: list[dict], group: str) -> dict[str, dict]:
    """Intervals of the numbers that every fold has."""
    found = {}
    for name in results[0][group]:
        values = [result[group][name]["value"] for result in results if name in result[group]]
        if len(values) == len(results) and None not in values:
            mean, low, high = student_interval(values)
            found[name] = {"mean": mean, "low": low, "high": high, "values": values}
    return found


def _check_same(model: Path, recipe: TransferRecipe) -> None:
    info = read_model_info(model)
    if info.recipe != recipe.model_dump(mode="json"):
        raise UserError(
            f"{model} was trained by another recipe; choose another --out, or train every fold anew "
            "with --overwrite"
        )
