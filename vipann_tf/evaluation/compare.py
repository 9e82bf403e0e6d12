"""Models side by side: every number with its interval, and differences on the same clips.

compare.html       the page to read: metrics as rows, and differences as intervals around 0
compare.csv        one row per number: of a model, or of a model against the first one given
compare.md         the same as tables
uncertainty.png    distributions of uncertainty, model by model and set by set
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vipann_tf.errors import UserError
from vipann_tf.evaluation.comparison_figure import (
    uncertainty_comparison,
    write_uncertainty_figure,
)
from vipann_tf.evaluation.comparison_files import markdown, write_csv
from vipann_tf.evaluation.comparison_page import render_comparison
from vipann_tf.evaluation.comparison_rows import Row, difference_rows, number_rows
from vipann_tf.evaluation.evaluate import evaluate
from vipann_tf.evaluation.intervals import RESAMPLES
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.evaluation.result_files import COMPARE_CSV, METRICS_JSON
from vipann_tf.evaluation.stored_results import StoredResults, read_results
from vipann_tf.files.paths import StrPath
from vipann_tf.files.staging import staged_directory
from vipann_tf.saved_model.connection import model_name

__all__ = ["compare", "evaluate_models", "model_names"]


def compare(
    directories: Sequence[StrPath],
    out: StrPath,
    *,
    resamples: int = RESAMPLES,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Compare results of `evaluate` and write a directory.

    Args:
      directories: Results directories. On each dataset and split, the others are compared with the
        first one.
      out: Directory to make.
      resamples: Number of resamples of the intervals of the differences.
      overwrite: Whether to replace an earlier comparison.
      on_progress: Called with the number of results directories done and their total.

    Returns:
      The rows of compare.csv: first the numbers, then the differences.

    Raises:
      UserError: If a directory holds no results, or two disagree on what is true.
    """
    results = [read_results(path) for path in directories]
    names = model_names(results)
    with staged_directory(out, mark=COMPARE_CSV, overwrite=overwrite) as stage:
        rows = number_rows(results, names)
        for done, differences in enumerate(difference_rows(results, names, resamples), start=1):
            rows += differences
            if on_progress is not None:
                on_progress(done, len(results))
        write_csv(rows, Path(stage) / COMPARE_CSV)
        (Path(stage) / "compare.md").write_text(markdown(rows), encoding="utf-8")
        write_uncertainty_figure(results, names, Path(stage) / "uncertainty.png")
        page = render_comparison(rows, uncertainty_comparison(results, names))
        (Path(stage) / "compare.html").write_text(page, encoding="utf-8")
    return rows


def evaluate_models(
    places: Sequence[StrPath],
    datasets: Sequence[StrPath],
    out: StrPath,
    *,
    ood: Sequence[StrPath] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Evaluate the models among the places, and return all results directories.

    Args:
      places: Results directories and model directories.
      datasets: Dataset directories on which each of the models is evaluated.
      out: Directory in which the results of the models are written as `<model>-<dataset>`, numbered
        if a name repeats; results of earlier calls are replaced.
      ood: Dataset directories of sounds that the models were not made for.
      on_progress: Called as `evaluate` does, model by model.

    Raises:
      UserError: A place is neither, models or datasets are missing, or a model and a dataset do not
        match.
    """
    models = {place: _open(place) for place in places if not _has_results(place)}
    if models and not datasets:
        raise UserError(
            f"{next(iter(models))} is a model; say on which data to evaluate it (--data DIR)"
        )
    if datasets and not models:
        raise UserError(
            f"data {datasets[0]} was given, but no model to evaluate on it: every argument holds "
            "results already"
        )
    # Check that everything matches before hours of evaluation.
    for tested, data in itertools.product(models.values(), datasets):
        tested.check(data)
    found: list[str] = []
    for place in places:
        if place not in models:
            found.append(str(place))
            continue
        for data in datasets:
            folders = _numbered(f"{out}/{model_name(place)}-{Path(data).resolve().name}")
            folder = next(name for name in folders if name not in found)
            evaluate(place, data, folder, ood=ood, overwrite=True, on_progress=on_progress)
            found.append(folder)
    return found


def model_names(results: Sequence[StoredResults]) -> list[str]:
    """Return a name for the model of each result.

    It is the last part of the model's path, or the path of the results if two models share it.
    """
    last = [Path(result.summary["model"]).name for result in results]
    seen = [(*result.place, name) for result, name in zip(results, last, strict=True)]
    twice = {key[2] for key in seen if seen.count(key) > 1}
    return [
        result.path if name in twice else name for result, name in zip(results, last, strict=True)
    ]


def _has_results(place: StrPath) -> bool:
    return (Path(place) / METRICS_JSON).exists()


def _open(place: StrPath) -> ModelUnderTest:
    try:
        return ModelUnderTest.open(place)
    except UserError as error:
        raise UserError(f"{place} holds neither results nor a model: {error}") from error


def _numbered(folder: str) -> Iterator[str]:
    """Yield folder, folder-2, folder-3, ..., since models of two folds may share a name."""
    return itertools.chain([folder], (f"{folder}-{n}" for n in itertools.count(2)))
