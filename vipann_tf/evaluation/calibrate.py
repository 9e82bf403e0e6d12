"""Calibration of a trained model on clips that did not train it.

Two repairs, both fitted after training: one temperature for the logits of every draw
(`uncertainty.temperature`), and thresholds of prediction sets (`uncertainty.conformal`). Every clip
of the split serves the fit that is stored. What the repair is worth is measured by cross-fitting:
the clips are dealt into folds, and each fold is judged by what was fitted on the others alone.
Clips that trained the model are refused: it is surer of them than of any other.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.evaluation.evaluate import BATCH, check_labels, default_splits
from vipann_tf.evaluation.inference import predict_batches
from vipann_tf.evaluation.metrics import metrics
from vipann_tf.evaluation.prediction_sets import fit_sets, set_statistics, stored
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.metadata import Calibration, ModelInfo, read_labels, read_model_info
from vipann_tf.saved_model.reexport import reexport
from vipann_tf.uncertainty.bootstrap import Interval
from vipann_tf.uncertainty.conformal import METHODS
from vipann_tf.uncertainty.temperature import fit_temperature, scaled_probabilities

__all__ = ["Calibrated", "calibrate", "check_not_trained_on", "fit_calibration"]

FOLDS = 5
VALIDATION_SPLITS = ("validation", "valid", "val", "dev")
# Logits of all draws are held at once, and some copies while fitting.
MAX_LOGIT_BYTES = 2**30


@dataclass(frozen=True)
class Calibrated:
    """What a calibration found.

    Attributes:
      calibration: To be stored with the model; `fitted_on` is still empty.
      clips: Number of clips it was fitted on.
      before: `metrics.metrics` of the clips at temperature 1.
      after: The same, each clip at the temperature that was fitted on the other folds.
      sets: `set_statistics`, pooled over folds: each fold's sets by thresholds of the others.
    """

    calibration: Calibration
    clips: int
    before: dict
    after: dict
    sets: dict


def calibrate(
    model: str | os.PathLike,
    data: str | os.PathLike,
    out: str | os.PathLike,
    *,
    splits: Sequence[str] = (),
    samples: int | None = None,
    seed: int | None = None,
    coverage: float = 0.9,
    method: str = "aps",
    on_progress: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Fits temperature and prediction sets and writes the model anew with them.

    Args:
      model: Model directory; a calibration that it has is replaced.
      data: Dataset directory with the model's labels.
      out: Model directory to add a version to; it may be `model`.
      splits: To fit on; by default a validation split, else what was held out in training.
      samples, seed: Draws; by default those of `serving_default`, which the thresholds are for.
      coverage: Probability in (0, 1) that a prediction set is to hold the truth.
      method: Of multiclass sets, "aps" or "threshold".
      on_progress: Called with the clips answered and their total.

    Returns:
      What was found, `fitted_on` filled in.

    Raises:
      UserError: Model and data do not go together, the clips trained the model, or an argument is
        not allowed.
    """
    info, dataset = read_model_info(model), read_dataset_info(data)
    check_labels(read_labels(model), dataset, model, data)
    names = dataset.check_splits(list(splits) or _default_splits(info, dataset))
    check_not_trained_on(info, dataset, names)
    if not 0 < coverage < 1:
        raise UserError(f"coverage is {coverage}; it must lie between 0 and 1")
    if method not in METHODS:
        raise UserError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    samples = info.samples if samples is None else samples
    if samples < 1:
        raise UserError(f"samples is {samples}; use 1 or more")
    clips = dataset.count(names)
    size = 4 * clips * len(dataset.labels) * (samples if info.architecture.stochastic else 1)
    if size > MAX_LOGIT_BYTES:
        raise UserError(
            f"{samples} draws of {clips} clips are {size / 2**30:.1f} GiB of logits; use at most "
            f"--samples {max(1, samples * MAX_LOGIT_BYTES // size)}, or a smaller split"
        )
    network, _ = load_model(model)
    found = predict_batches(
        network,
        evaluation_batches(data, names, BATCH),
        samples=samples,
        seed=info.seed if seed is None else seed,
        keep_draws=True,
        on_progress=on_progress,
        clips=clips,
    )
    result = fit_calibration(
        found.sample_logits, found.truth, dataset.task, coverage=coverage, method=method
    )
    fitted_on = [f"{dataset.name}/{name}" for name in names]
    calibration = result.calibration.model_copy(update={"fitted_on": fitted_on})
    reexport(model, out, calibration=calibration)
    return Calibrated(calibration, result.clips, result.before, result.after, result.sets)


def fit_calibration(
    sample_logits, truth, task: str, *, coverage: float = 0.9, method: str = "aps", seed: int = 0
) -> Calibrated:
    """Fits temperature and prediction sets, and measures both by cross-fitting.

    The stored thresholds are those of the cross-fitted probabilities, so that no clip's score
    profits from a temperature that it helped to fit.

    Args:
      sample_logits: Logits of every draw at temperature 1, `[draws, clips, labels]`.
      truth: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      coverage: Probability in (0, 1) that a prediction set is to hold the truth.
      method: Of multiclass sets, "aps" or "threshold".
      seed: Deals the clips into folds.

    Raises:
      UserError: If there are fewer than two clips, or an argument is not allowed.
    """
    sample_logits, truth = np.asarray(sample_logits), np.asarray(truth)
    clips = len(truth)
    if clips < 2:
        raise UserError(f"the split has {clips} clips; a calibration needs at least 2")
    folds = np.random.default_rng(seed).permutation(clips) % min(FOLDS, clips)
    probs, judged = np.empty(truth.shape), []
    for fold in np.unique(folds):
        held_out = folds == fold
        others = ~held_out
        fit = fit_temperature(sample_logits[:, others], truth[others], task)
        scaled = scaled_probabilities(sample_logits, task, fit.temperature)
        probs[held_out] = scaled[held_out]
        sets = fit_sets(scaled[others], truth[others], task, coverage=coverage, method=method)
        judged.append((set_statistics(sets, probs[held_out], truth[held_out]), int(held_out.sum())))
    temperature = fit_temperature(sample_logits, truth, task).temperature
    predictor = fit_sets(probs, truth, task, coverage=coverage, method=method)
    return Calibrated(
        Calibration(temperature=temperature, conformal=stored(predictor, clips)),
        clips,
        metrics(scaled_probabilities(sample_logits, task, 1.0), truth, task),
        metrics(probs, truth, task),
        _pooled(judged),
    )


def check_not_trained_on(info: ModelInfo, dataset: DatasetInfo, splits: Sequence[str]) -> None:
    """Raises a `UserError` where clips of these splits trained the model or its base."""
    trainings = [info.data.model_dump()] if info.data is not None else []
    if (info.base or {}).get("data"):
        trainings.append(info.base["data"])
    for training in trainings:
        used = sorted(set(splits) & set(training["splits"]))
        if training["dataset"] == dataset.name and used:
            held = training["held_out"] or [
                n for n in dataset.splits if n not in training["splits"]
            ]
            free = f"use {', '.join(held)}" if held else "use clips that it was not trained on"
            raise UserError(
                f"split {', '.join(used)} of {dataset.name} trained the model, which is surer of "
                f"those clips than of others; {free}"
            )


def _default_splits(info: ModelInfo, dataset: DatasetInfo) -> list[str]:
    for name in VALIDATION_SPLITS:
        if name in dataset.splits:
            return [name]
    return default_splits(info, dataset)


def _pooled(judged: list[tuple[dict, int]]) -> dict:
    """Statistics of all folds: means weighted by their clips."""
    weights = [clips for _, clips in judged]

    def mean(name):
        values = [statistics[name] for statistics, _ in judged]
        values = [v.value if isinstance(v, Interval) else v for v in values]
        known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
        if not known:
            return None
        return float(np.average([v for v, _ in known], weights=[w for _, w in known]))

    first = judged[0][0]
    names = [name for name in first if name not in ("wanted", "sizes")]
    return {"wanted": first["wanted"], **{name: mean(name) for name in names}}
