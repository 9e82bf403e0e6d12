"""Evaluation of a model on a dataset's splits: metrics.json, predictions.csv, a reliability diagram."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.evaluation.inference import Predictions, predict_batches
from vipann_tf.evaluation.metrics import metrics
from vipann_tf.evaluation.plots import reliability_diagram
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.schema import DatasetInfo, read_info
from vipann_tf.records.staging import staged_directory
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.metadata import ModelInfo, read_labels
from vipann_tf.saved_model.metadata import read_info as read_model_info
from vipann_tf.uncertainty.calibration import reliability

METRICS_JSON = "metrics.json"
BATCH = 16


def evaluate(
    model: str | os.PathLike,
    data: str | os.PathLike,
    out: str | os.PathLike,
    *,
    split: str | None = None,
    samples: int | None = None,
    seed: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Scores a model and writes a results directory.

    Args:
      model: Model directory.
      data: Dataset directory with the model's labels.
      out: Directory to make; it appears when complete.
      split: Split to score; by default what was held out in training, or `eval`.
      samples, seed: Draws; by default those of `serving_default`.
      overwrite: Whether to replace earlier results.
      on_progress: Called with the clips answered and their total.

    Returns:
      The content of metrics.json.

    Raises:
      UserError: Model and data do not go together, or a name is wrong.
    """
    info, dataset = read_model_info(model), read_info(data)
    check_labels(read_labels(model), dataset, model, data)
    splits = dataset.check_splits([split] if split else default_splits(info, dataset))
    samples = info.samples if samples is None else samples
    seed = info.seed if seed is None else seed
    if samples < 1:
        raise UserError(f"samples is {samples}; use 1 or more")
    with staged_directory(out, mark=METRICS_JSON, overwrite=overwrite) as stage:
        network, _ = load_model(model)
        predictions = predict_batches(
            network,
            evaluation_batches(data, splits, BATCH),
            samples=samples,
            seed=seed,
            on_progress=on_progress,
            clips=dataset.count(splits),
        )
        results = {
            "model": str(model),
            "dataset": dataset.name,
            "splits": splits,
            "task": dataset.task,
            "samples": samples if info.architecture.stochastic else 1,
            "seed": seed,
            "metrics": metrics(
                predictions.decomposition.probabilities, predictions.labels, dataset.task
            ),
            "uncertainty": {
                name: float(np.mean(getattr(predictions.decomposition, name)))
                for name in ("total", "aleatoric", "epistemic")
            },
        }
        stage = Path(stage)
        (stage / METRICS_JSON).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        write_predictions(stage / "predictions.csv", predictions, dataset.labels)
        reliability_diagram(
            reliability(predictions.decomposition.probabilities, predictions.labels, dataset.task),
            stage / "reliability.png",
            title=f"{dataset.name} {', '.join(splits)}",
        )
    return results


def check_labels(labels: list[str], dataset: DatasetInfo, model, data) -> None:
    """Raises a `UserError` where a model's outputs are not the dataset's labels, in order."""
    if labels != dataset.labels:
        differing = next(
            (pair for pair in zip(labels, dataset.labels) if pair[0] != pair[1]),
            (f"{len(labels)} labels", f"{len(dataset.labels)} labels"),
        )
        raise UserError(
            f"{model} does not answer the labels of {data}: {differing[0]!r} against "
            f"{differing[1]!r}; evaluate on the data set it was trained on, or transfer it first"
        )


def default_splits(info: ModelInfo, dataset: DatasetInfo) -> list[str]:
    """What was held out when the model was trained on this dataset, else `eval` or `test`."""
    if info.data is not None and info.data.dataset == dataset.name and info.data.held_out:
        return info.data.held_out
    for name in ("eval", "test"):
        if name in dataset.splits:
            return [name]
    raise UserError(
        f"say which split to evaluate on (--split): dataset {dataset.name} has "
        f"{', '.join(dataset.splits)}, and the model does not say which of them was held out"
    )


def write_predictions(path: Path, predictions: Predictions, labels: list[str]) -> None:
    """A row a clip: truth, uncertainty in nats, and the probability of every label."""
    result = predictions.decomposition
    with open(path, "w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["clip_id", "labels", "total", "aleatoric", "epistemic", *labels])
        for i, clip_id in enumerate(predictions.clip_ids):
            truth = ";".join(labels[j] for j in np.flatnonzero(predictions.labels[i]))
            parts = (result.total[i], result.aleatoric[i], result.epistemic[i])
            writer.writerow([clip_id, truth, *(f"{x:.6g}" for x in (*parts, *result.probabilities[i]))])
