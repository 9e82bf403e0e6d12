"""How good a model is and what would improve it: `vipann-tf compare`, `calibrate` and `rank`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, overload

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.scans.ranking import RankedWindow, is_scan, rank_windows, similar_windows
from vipann_tf.uncertainty.conformal import Method
from vipann_tf.uncertainty.thresholds import Wanted

if TYPE_CHECKING:  # these import TensorFlow
    from vipann_tf.evaluation.calibrate import Calibrated
    from vipann_tf.evaluation.comparison_rows import Row
    from vipann_tf.evaluation.rank import Ranked

__all__ = ["calibrate", "compare", "rank"]

OnProgress = Callable[[int, int], None]
By = Literal["epistemic", "aleatoric", "total"]


def compare(
    results: Sequence[StrPath],
    out: StrPath,
    *,
    data: Sequence[StrPath] = (),
    ood: Sequence[StrPath] = (),
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Row]:
    """Compare models: numbers, and differences on the same clips.

    Args:
      results: Results of `evaluate`, and models, which are evaluated on `data` first. On each
        dataset and split, the others are compared with the first one.
      out: Directory to make; results of models are written to `out`-results.
      data: Dataset directories on which models are evaluated.
      ood: Dataset directories of sounds that the models were not made for.
      overwrite: Whether to replace an earlier comparison.
      on_progress: Called with the number of clips answered and their total, model by model, then
        with the number of results compared and their total.

    Returns:
      The rows of compare.csv, first the numbers, then the differences.

    Raises:
      UserError: A place holds neither results nor a model, models lack data, or two results
        disagree on what is true.
    """
    from vipann_tf.evaluation.compare import compare as run
    from vipann_tf.evaluation.compare import evaluate_models

    folder = f"{os.fspath(out)}-results"
    places = evaluate_models(results, data, folder, ood=ood, on_progress=on_progress)
    return run(places, out, overwrite=overwrite, on_progress=on_progress)


def calibrate(
    model: StrPath,
    data: StrPath,
    out: StrPath,
    *,
    splits: Sequence[str] = (),
    coverage: float = 0.9,
    method: Method = "aps",
    precision: float | None = None,
    recall: float | None = None,
    num_draws: int | None = None,
    seed: int | None = None,
    on_progress: OnProgress | None = None,
) -> Calibrated:
    """Fit a temperature, prediction sets and thresholds, and write a new version of the model.

    Args:
      model: Model directory.
      data: Dataset directory with the model's labels.
      out: Model directory to add a version to; it may be `model`.
      splits: Splits to fit on, which did not train the model; by default a validation split, else
        the ones held out.
      coverage: Target probability that a prediction set holds the truth.
      method: How multiclass sets are made.
      precision: Choose the smallest threshold for each label with which at least this share of its
        detections is right.
      recall: Choose the largest threshold for each label that finds at least this share of the
        clips with the label.
      num_draws: Number of draws; by default that of the export.
      seed: Seed of the draws; by default that of the export.
      on_progress: Called with the number of clips answered and their total.

    Returns:
      What was fitted, and what it is worth on other clips.

    Raises:
      UserError: Model and data do not match, the clips trained the model, or an argument is not
        allowed.
    """
    if precision is not None and recall is not None:
        raise UserError(
            f"precision {precision:g} and recall {recall:g} were given; a threshold is chosen "
            "for one of them, so leave the other out"
        )
    wanted = None
    if precision is not None:
        wanted = Wanted("precision", precision)
    elif recall is not None:
        wanted = Wanted("recall", recall)

    from vipann_tf.evaluation.calibrate import calibrate as run

    return run(
        model,
        data,
        out,
        splits=splits,
        num_draws=num_draws,
        seed=seed,
        coverage=coverage,
        method=method,
        wanted=wanted,
        on_progress=on_progress,
    )


@overload
def rank(
    model: StrPath,
    data: StrPath,
    *,
    by: By = ...,
    top: int = ...,
    diversity: bool = ...,
    splits: Sequence[str] = ...,
    num_draws: int | None = ...,
    seed: int | None = ...,
    on_progress: OnProgress | None = ...,
) -> list[Ranked]: ...


@overload
def rank(
    model: StrPath,
    data: None = ...,
    *,
    by: By = ...,
    top: int = ...,
    diversity: bool = ...,
    label: str | None = ...,
    by_recorder: bool = ...,
    like: StrPath | None = ...,
) -> list[RankedWindow]: ...


@overload
def rank(
    model: StrPath,
    data: StrPath | None = ...,
    *,
    by: By = ...,
    top: int = ...,
    diversity: bool = ...,
    splits: Sequence[str] = ...,
    label: str | None = ...,
    by_recorder: bool = ...,
    like: StrPath | None = ...,
    num_draws: int | None = ...,
    seed: int | None = ...,
    on_progress: OnProgress | None = ...,
) -> list[Ranked] | list[RankedWindow]: ...


def rank(
    model: StrPath,
    data: StrPath | None = None,
    *,
    by: By = "epistemic",
    top: int = 20,
    diversity: bool = False,
    splits: Sequence[str] = (),
    label: str | None = None,
    by_recorder: bool = False,
    like: StrPath | None = None,
    num_draws: int | None = None,
    seed: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[Ranked] | list[RankedWindow]:
    """List clips of a dataset, or windows of a scan, to label next.

    Args:
      model: Model directory, which ranks the clips of `data`; or a directory of `scan`.
      data: Dataset directory of any labels; none for a scan.
      by: Uncertainty to rank by.
      top: Number of clips.
      diversity: Whether to prefer clips unlike those ranked before.
      splits: Dataset: splits to choose from; by default all that the model was not trained on.
      label: Scan: rank by the uncertainty of this label.
      by_recorder: Scan: whether to list `top` windows of each recorder, which are folders.
      like: Scan with embeddings: rank by likeness to this sound instead.
      num_draws: Dataset: number of draws; by default that of the export.
      seed: Dataset: seed of the draws; by default that of the export.
      on_progress: Dataset: called with the number of clips answered and their total.

    Returns:
      The clips or windows; the first one is the one to label first.

    Raises:
      UserError: An argument is not allowed or belongs to the other kind.
    """
    of_datasets = {"data": data, "splits": splits, "num_draws": num_draws, "seed": seed}
    if is_scan(model):
        for name, given in of_datasets.items():
            if given is not None and given != ():
                raise UserError(f"{model} is a scan, which is ranked itself; leave {name} out")
        if like is None:
            return rank_windows(
                model, by=by, top=top, label=label, diversity=diversity, by_recorder=by_recorder
            )
        if diversity or label is not None or by_recorder:
            raise UserError(
                "like ranks by likeness alone; leave diversity, label and by_recorder out"
            )
        from vipann_tf.scans.example import embed_example

        return similar_windows(model, embed_example(model, like), top=top)
    of_scans = {"label": label, "by_recorder": by_recorder or None, "like": like}
    for name, value in of_scans.items():
        if value is not None:
            raise UserError(f"{name} is for scans, and {model} is none; give a directory of scan")
    if data is None:
        raise UserError("rank needs data, the dataset directory whose clips the model ranks")

    from vipann_tf.evaluation.rank import rank as run

    return run(
        model,
        data,
        by=by,
        top=top,
        diversity=diversity,
        splits=splits,
        num_draws=num_draws,
        seed=seed,
        on_progress=on_progress,
    )
