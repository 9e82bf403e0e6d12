"""Evaluation of a model on splits of a data set, as a directory of results.

metrics.json       every number, with intervals; documented in `evaluation/summary.py`
predictions.csv    one row per clip
reliability.png    the reliability diagram
report.html        everything, for readers
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from vipann_tf.evaluation.class_pages import clips_to_hear
from vipann_tf.evaluation.clip_cards import clips_to_show, outside_to_show
from vipann_tf.evaluation.inference import Predictions
from vipann_tf.evaluation.model_under_test import BATCH, ModelUnderTest
from vipann_tf.evaluation.plots import reliability_diagram
from vipann_tf.evaluation.prediction_sets import from_metadata
from vipann_tf.evaluation.report import Extent, check_extent, write_report
from vipann_tf.evaluation.result_files import METRICS_JSON, PREDICTIONS_CSV
from vipann_tf.evaluation.results import Answers, Results, write_clip_csv
from vipann_tf.evaluation.splits import evaluation_splits, unfamiliar_splits
from vipann_tf.evaluation.summary import summarise
from vipann_tf.files.paths import StrPath
from vipann_tf.files.staging import staged_directory
from vipann_tf.models.ensemble_architecture import EnsembleArchitecture
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.metadata import ModelInfo
from vipann_tf.uncertainty.calibration import reliability

__all__ = ["METRICS_JSON", "describe", "evaluate"]

# Directory and splits of a set of clips.
_Place = tuple[StrPath, list[str]]


def evaluate(
    model: StrPath,
    data: StrPath,
    out: StrPath,
    *,
    split: str | None = None,
    num_draws: int | None = None,
    seed: int | None = None,
    ood: Sequence[StrPath] = (),
    command: str = "",
    overwrite: bool = False,
    report: Extent = "full",
    on_progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Score a model and write a results directory.

    Args:
      model: Model directory.
      data: Dataset directory with the model's labels.
      out: Directory to make; it appears when it is complete.
      split: Split to score; by default the one held out in training, or `eval`.
      num_draws: Number of draws; by default that of `serving_default`.
      seed: Seed of the draws; by default that of `serving_default`.
      ood: Dataset directories of sounds that the model was not made for, of any labels.
      command: The command that the report names as its origin.
      overwrite: Whether to replace earlier results.
      report: "small" leaves out of the report what makes it large: interactive figures, and the
        sounds of pages of classes. For many evaluations, of which few are read.
      on_progress: Called with the number of clips answered and their total.

    Returns:
      The content of metrics.json.

    Raises:
      UserError: Model and data do not match, or a name is wrong.
    """
    check_extent(report)
    tested = ModelUnderTest.open(model, num_draws=num_draws, seed=seed)
    dataset = tested.check(data)
    splits = dataset.check_splits([split] if split else evaluation_splits(tested.info, dataset))
    outside = _outside(tested, ood)
    with staged_directory(out, mark=METRICS_JSON, overwrite=overwrite) as stage:
        places = {"": (data, splits), **outside}
        predictions = _predict_all(tested, places, on_progress)
        answers = {
            name: Answers.from_decomposition(
                found.clip_ids, found.decomposition, found.logits, found.groups
            )
            for name, found in predictions.items()
        }
        conformal = tested.info.calibration.conformal
        results = Results(
            model=str(model),
            dataset=dataset.name,
            split=", ".join(splits),
            task=dataset.task,
            labels=tuple(dataset.labels),
            answers=answers.pop(""),
            truth=predictions[""].truth,
            num_draws=tested.num_networks,
            seed=tested.seed,
            command=command,
            description=describe(tested.info),
            outside=answers,
            standard_error=predictions[""].standard_error,
            sets=from_metadata(conformal) if conformal is not None else None,
            calibrated_on=tuple(tested.info.calibration.fitted_on),
            thresholds=tested.info.calibration.detection,
        )
        summary = summarise(results)
        shown = {name for group in clips_to_show(results).values() for name in group}
        if report == "full":
            shown.update(clips_to_hear(results))
        heard = {
            name: _waveforms(*outside[name], ids) for name, ids in outside_to_show(results).items()
        }
        _write(results, summary, Path(stage), _waveforms(data, splits, shown), heard, report)
    return summary


def _predict_all(
    tested: ModelUnderTest,
    places: Mapping[str, _Place],
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, Predictions]:
    """Predict several sets of clips; progress counts all of them together."""
    total = sum(read_dataset_info(data).count(names) for data, names in places.values())
    found: dict[str, Predictions] = {}
    done = 0

    def show(clips: int, _: int) -> None:
        if on_progress is not None:
            on_progress(done + clips, total)

    for name, (data, names) in places.items():
        found[name] = tested.predict(data, names, on_progress=show)
        done += len(found[name].clip_ids)
    return found


def _write(
    results: Results,
    summary: dict,
    folder: Path,
    waveforms: Mapping[str, np.ndarray],
    outside: Mapping[str, Mapping[str, np.ndarray]],
    report: Extent,
) -> None:
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (folder / METRICS_JSON).write_text(text + "\n", encoding="utf-8")
    write_clip_csv(results, folder / PREDICTIONS_CSV)
    reliability_diagram(
        reliability(results.answers.probs, results.truth, results.task),
        folder / "reliability.png",
        title=f"{results.dataset} {results.split}",
    )
    write_report(results, summary, folder / "report.html", waveforms, outside, report)


def describe(info: ModelInfo) -> dict[str, str]:
    """Return rows that describe the model and its training."""
    network = info.architecture
    parts = (
        {"network": network.summary}
        if isinstance(network, EnsembleArchitecture)
        else {
            "network": f"ResNet-{network.depth}, width {network.width:g}",
            "trunk, head": f"{network.trunk}, {network.head}",
        }
    )
    rows = {
        **parts,
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


def _outside(tested: ModelUnderTest, directories: Sequence[StrPath]) -> dict[str, _Place]:
    """Return the place of each out-of-distribution set by the name of its data set."""
    places: dict[str, _Place] = {}
    for directory in directories:
        dataset = tested.check(directory, any_labels=True)
        name = dataset.name if dataset.name not in places else f"{dataset.name} ({directory})"
        places[name] = (directory, unfamiliar_splits(dataset))
    return places


def _waveforms(
    data: StrPath, splits: Sequence[str], clip_ids: Collection[str]
) -> dict[str, np.ndarray]:
    """Read the waveforms of some clips of a dataset directory."""
    found = {}
    for batch in evaluation_batches(data, splits, BATCH):
        names = [name.decode() for name in batch["clip_id"].numpy()]
        for name, waveform in zip(names, batch["waveform"].numpy(), strict=True):
            if name in clip_ids:
                found[name] = waveform
    return found
