"""Evaluation of a model on a dataset's splits, as a directory of results.

metrics.json       every number, with intervals; documented in `evaluation/summary.py`
predictions.csv    a row a clip
reliability.png    the reliability diagram
report.html        all of it, to be read
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.evaluation.clip_cards import clips_to_show
from vipann_tf.evaluation.inference import predict_batches
from vipann_tf.evaluation.plots import reliability_diagram
from vipann_tf.evaluation.prediction_sets import restored
from vipann_tf.evaluation.report import write_report
from vipann_tf.evaluation.results import Answers, Results, write_clip_csv
from vipann_tf.evaluation.summary import summarise
from vipann_tf.files.staging import staged_directory
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.schema import DatasetInfo, read_dataset_info
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.metadata import ModelInfo, read_labels, read_model_info
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
    ood: Sequence[str | os.PathLike] = (),
    command: str = "",
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
      ood: Dataset directories of sounds that the model was not made for; their labels do not matter.
      command: What the report says it was made by.
      overwrite: Whether to replace earlier results.
      on_progress: Called with the clips answered and their total.

    Returns:
      The content of metrics.json.

    Raises:
      UserError: Model and data do not go together, or a name is wrong.
    """
    info, dataset = read_model_info(model), read_dataset_info(data)
    check_labels(read_labels(model), dataset, model, data)
    splits = dataset.check_splits([split] if split else default_splits(info, dataset))
    samples = info.samples if samples is None else samples
    seed = info.seed if seed is None else seed
    if samples < 1:
        raise UserError(f"samples is {samples}; use 1 or more")
    outside, conformal = _outside(ood, info), info.calibration.conformal
    total = dataset.count(splits) + sum(
        read_dataset_info(d).count(names) for d, names in outside.values()
    )
    with staged_directory(out, mark=METRICS_JSON, overwrite=overwrite) as stage:
        network, _ = load_model(model)
        done = 0

        def ask(directory, names):
            nonlocal done
            predictions = predict_batches(
                network,
                evaluation_batches(directory, names, BATCH),
                samples=samples,
                seed=seed,
                temperature=info.calibration.temperature,
                on_progress=lambda n, _: on_progress(done + n, total) if on_progress else None,
            )
            done += len(predictions.clip_ids)
            answers = Answers.from_decomposition(
                predictions.clip_ids, predictions.decomposition, predictions.logits
            )
            return predictions, answers

        predictions, answers = ask(data, splits)
        results = Results(
            model=str(model),
            dataset=dataset.name,
            split=", ".join(splits),
            task=dataset.task,
            labels=tuple(dataset.labels),
            answers=answers,
            truth=predictions.truth,
            draws=samples if info.architecture.stochastic else 1,
            seed=seed,
            command=command,
            description=describe(info),
            outside={name: ask(*place)[1] for name, place in outside.items()},
            standard_error=predictions.standard_error,
            sets=restored(conformal) if conformal is not None else None,
            calibrated_on=tuple(info.calibration.fitted_on),
        )
        summary = summarise(results)
        stage = Path(stage)
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (stage / METRICS_JSON).write_text(text + "\n", encoding="utf-8")
        write_clip_csv(results, stage / "predictions.csv")
        reliability_diagram(
            reliability(answers.probs, results.truth, results.task),
            stage / "reliability.png",
            title=f"{dataset.name} {results.split}",
        )
        shown = {name for group in clips_to_show(results).values() for name in group}
        write_report(results, summary, stage / "report.html", _waveforms(data, splits, shown))
    return summary


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


def describe(info: ModelInfo) -> dict[str, str]:
    """Rows for a reader on the model and its training."""
    network = info.architecture
    rows = {
        "network": f"ResNet-{network.depth}, width {network.width:g}",
        "trunk, head": f"{network.trunk}, {network.head}",
        "made by": " ".join(
            str(word)
            for word in (info.origin, info.recipe.get("strategy"), info.recipe.get("mode"))
            if word
        ),
    }
    if info.data is not None:
        rows["trained on"] = (
            f"{info.data.clips} clips of {info.data.dataset} ({', '.join(info.data.splits)})"
        )
    if info.calibration.fitted_on:
        rows["calibrated on"] = ", ".join(info.calibration.fitted_on)
    if info.calibration.temperature != 1.0:
        rows["temperature"] = f"{info.calibration.temperature:.3f}"
    return rows


def _outside(directories, info: ModelInfo) -> dict[str, tuple[str, list[str]]]:
    """Name -> (directory, splits) of each out-of-distribution set: its eval or test, or all of it."""
    places = {}
    for directory in directories:
        dataset = read_dataset_info(directory)
        if dataset.sample_rate_hz != info.sample_rate_hz:
            raise UserError(
                f"{directory} has {dataset.sample_rate_hz} Hz, the model takes "
                f"{info.sample_rate_hz} Hz; prepare it anew"
            )
        splits = [name for name in ("eval", "test") if name in dataset.splits]
        name = dataset.name if dataset.name not in places else f"{dataset.name} ({directory})"
        places[name] = (directory, splits or list(dataset.splits))
    return places


def _waveforms(data, splits, clip_ids: set[str]) -> dict[str, np.ndarray]:
    """Waveforms of some clips of a dataset directory."""
    found = {}
    for batch in evaluation_batches(data, splits, BATCH):
        for name, waveform in zip(batch["clip_id"].numpy(), batch["waveform"].numpy()):
            if name.decode() in clip_ids:
                found[name.decode()] = waveform
    return found
