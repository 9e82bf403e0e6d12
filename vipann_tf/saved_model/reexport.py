"""Re-export of a model with other serving settings and the same weights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Architecture, Kind, Signs
from vipann_tf.models.draw_statistics import DrawStatistics
from vipann_tf.models.vipann import VIPANN
from vipann_tf.saved_model.export import add_version, check_served
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.metadata import (
    PER_LABEL,
    DrawStorage,
    Precision,
    read_labels,
    read_model_info,
    single_network,
)
from vipann_tf.saved_model.stored_calibration import Calibration
from vipann_tf.saved_model.versions import next_version


def reexport(
    model: StrPath,
    out: StrPath,
    *,
    num_draws: int | None = None,
    seed: int | None = None,
    precision: Precision | None = None,
    draw_storage: DrawStorage | None = None,
    signs: Signs | None = None,
    dropout: bool | None = None,
    fixed_seconds: float | None = None,
    calibration: Calibration | None = None,
    draw_statistics: DrawStatistics | None = None,
    licence: str | None = None,
    evaluations: Sequence[StrPath] = (),
    version: int | None = None,
) -> Path:
    """Write a new version of a model; an argument that is `None` keeps the model's value.

    Args:
      model: Model directory to read.
      out: Model directory to add the version to; it may be the same.
      num_draws: Number of draws of `serving_default`.
      seed: Seed of those draws.
      precision: Precision of the computation; variables are always float32.
      draw_storage: `sampled` draws the kernels in each request, `stored` keeps them in the
        SavedModel.
      signs: Where Flipout convolutions draw their signs; the posterior over weights is the same.
      dropout: Whether dropout stays active in the draws (Monte Carlo dropout), for a network whose
        trunk and head are `deterministic` or `dropout`: the weights are the same. A change leaves
        the calibration out.
      fixed_seconds: The only length of waveform to accept.
      calibration: Calibration of the logits of every draw. The model's metrics are left out if the
        calibration, the signs, the dropout or the statistics change.
      draw_statistics: BatchNorm statistics of each of the draws. A model that has statistics keeps
        them as long as its draws stay the same.
      licence: Licence of the weights, for the model card.
      evaluations: `metrics.json` files of evaluations, for the model card.
      version: Number of the version; by default one more than the highest in `out`.

    Returns:
      The version folder.

    Raises:
      UserError: There is no model, it cannot be served with these settings, or the number is not
        above the others.
    """
    chosen = {
        "num_draws": num_draws,
        "seed": seed,
        "precision": precision,
        "draw_storage": draw_storage,
        "fixed_seconds": fixed_seconds,
        "calibration": calibration,
        "licence": licence,
    }
    info = read_model_info(model)
    before = info.num_draws, info.seed, info.architecture
    info = info.model_copy(update={k: v for k, v in chosen.items() if v is not None})
    architecture = info.architecture
    if signs is not None:
        architecture = with_signs(single_network(info, model), signs, model)
    if dropout is not None:
        architecture = with_dropout(single_network(info, model), dropout, model)
        if architecture != info.architecture and calibration is None:
            info = info.model_copy(update={"calibration": Calibration()})
    if draw_statistics is not None:
        info = info.model_copy(update={"batch_norm": "draw"})
        if (draw_statistics.num_draws, draw_statistics.seed) != (info.num_draws, info.seed):
            raise ValueError(
                f"statistics of {draw_statistics.num_draws} draws of seed {draw_statistics.seed} "
                f"do not fit {info.num_draws} draws of seed {info.seed}"
            )
    elif info.batch_norm == "draw" and (info.num_draws, info.seed, architecture) != before:
        raise UserError(
            f"{model} has BatchNorm statistics of its draws, which other draws do not have; add "
            "--statistics-data DIR to estimate theirs"
        )
    changed = (
        calibration is not None or architecture != info.architecture or draw_statistics is not None
    )
    metrics = {} if changed else dict(info.metrics)
    for file in evaluations:
        metrics |= read_metrics(file)
    info = info.model_copy(update={"metrics": metrics, "architecture": architecture})
    check_served(info)  # before the weights are read
    next_version(out, version)
    network, _ = load_model(model)
    if architecture != network.architecture:
        assert isinstance(network, VIPANN) and isinstance(architecture, Architecture)
        network = network.twin(architecture=architecture)
    if draw_statistics is not None:
        network.draw_statistics = draw_statistics
    return add_version(network, out, info, read_labels(model), version=version)


def with_signs(architecture: Architecture, signs: Signs | None, name: StrPath) -> Architecture:
    """Return the architecture with other signs; unchanged for `None`.

    Raises:
      UserError: The architecture has no Flipout convolutions.
    """
    if signs is None:
        return architecture
    if architecture.trunk != "flipout":
        raise UserError(
            f"signs is {signs!r}, but the trunk of {name} is {architecture.trunk}: only Flipout "
            "convolutions draw signs"
        )
    return architecture.model_copy(update={"signs": signs})


def with_dropout(architecture: Architecture, active: bool, name: StrPath) -> Architecture:
    """Return the architecture with dropout active in the draws, or not.

    Raises:
      UserError: Trunk or head are neither deterministic nor dropout.
    """
    kinds = {architecture.trunk, architecture.head}
    if not kinds <= {"deterministic", "dropout"}:
        raise UserError(
            f"dropout is {'on' if active else 'off'}, but {name} has a {architecture.trunk} trunk "
            f"and a {architecture.head} head; it is for deterministic and dropout networks"
        )
    kind: Kind = "dropout" if active else "deterministic"
    return architecture.model_copy(update={"trunk": kind, "head": kind})


def read_metrics(file: StrPath) -> dict[str, dict[str, Any]]:
    """Read the metrics and intervals of an evaluation's metrics.json, by `<dataset>/<split>`.

    Scores of each label, if the file has some, are a list under `per_label`.

    Raises:
      UserError: The file can't be read or is not a metrics.json.
    """
    try:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
        split = document.get("split") or "+".join(document["splits"])
        found = dict(document["metrics"])
        if rows := document.get("per_label"):
            found[PER_LABEL] = [dict(row) for row in rows]
        return {f"{document['dataset']}/{split}": found}
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file} is not a metrics.json of `vipann-tf evaluate` "
            f"({type(error).__name__}: {error})"
        ) from error
