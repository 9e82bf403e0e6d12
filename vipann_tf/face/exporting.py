"""Versions of a model with other serving settings (`vipann-tf export`), or of a new network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath

if TYPE_CHECKING:
    from vipann_tf.models.architecture import Signs
    from vipann_tf.models.vipann import VIPANN
    from vipann_tf.saved_model.metadata import DrawStorage, Precision

__all__ = ["export"]


def export(
    model: StrPath | VIPANN,
    out: StrPath,
    *,
    labels: Sequence[str] | None = None,
    clip_seconds: float | None = None,
    num_draws: int | None = None,
    seed: int | None = None,
    precision: Precision | None = None,
    draw_storage: DrawStorage | None = None,
    signs: Signs | None = None,
    dropout: bool | None = None,
    statistics_data: StrPath | None = None,
    seconds: float | None = None,
    version: int | None = None,
    metrics: Sequence[StrPath] = (),
    licence: str | None = None,
) -> Path:
    """Write a version of a model; an argument that is `None` keeps the model's value.

    Args:
      model: Model directory; or a network in memory that your own code has trained.
      out: Model directory to add the version to; it may be `model`.
      labels: Network: names of its labels in the order of its outputs.
      clip_seconds: Network: length of the clips that it was trained on, in seconds.
      num_draws: Number of draws of `serving_default`; 20 for a network.
      seed: Seed of those draws.
      precision: Precision of the computations; variables stay float32.
      draw_storage: Whether the networks are drawn in each request, or kept in the SavedModel.
      signs: Where Flipout convolutions draw their signs.
      dropout: Whether dropout stays active in the draws (Monte Carlo dropout).
      statistics_data: Dataset directory on which to estimate the BatchNorm statistics of each draw.
      seconds: The only length of waveforms to accept.
      version: Number of the version; by default the next one.
      metrics: `metrics.json` files of evaluations, for the model card.
      licence: Licence of the weights, for the model card.

    Returns:
      The version folder.

    Raises:
      UserError: There is no model, it cannot be served with these settings, or the number is not
        above the others.
    """
    if not isinstance(model, (str, os.PathLike)):
        of_directories = {
            "signs": signs,
            "dropout": dropout,
            "statistics_data": statistics_data,
        }
        for name, value in of_directories.items():
            if value is not None:
                raise UserError(
                    f"{name} is for a model directory; export the network first, then its directory"
                )
        settings = {
            "num_draws": num_draws,
            "seed": seed,
            "precision": precision,
            "draw_storage": draw_storage,
            "fixed_seconds": seconds,
            "licence": licence,
        }
        return _export_network(model, out, labels, clip_seconds, version, metrics, settings)
    for name, given in {"labels": labels, "clip_seconds": clip_seconds}.items():
        if given is not None:
            raise UserError(f"{name} is for a network in memory; a model directory has its own")

    from vipann_tf.saved_model.reexport import reexport

    statistics = None
    if statistics_data is not None:
        from vipann_tf.evaluation.draw_statistics import draw_statistics

        statistics = draw_statistics(
            model, statistics_data, num_draws=num_draws, seed=seed, signs=signs
        )
    return reexport(
        model,
        out,
        num_draws=num_draws,
        seed=seed,
        precision=precision,
        draw_storage=draw_storage,
        signs=signs,
        dropout=dropout,
        draw_statistics=statistics,
        fixed_seconds=seconds,
        evaluations=metrics,
        licence=licence,
        version=version,
    )


def _export_network(
    network: VIPANN,
    out: StrPath,
    labels: Sequence[str] | None,
    clip_seconds: float | None,
    version: int | None,
    metrics: Sequence[StrPath],
    settings: dict[str, Any],
) -> Path:
    """Write a version of a network; settings are fields of its metadata, or `None`."""
    from vipann_tf.audio.logmel import SAMPLE_RATE_HZ
    from vipann_tf.models.vipann import VIPANN
    from vipann_tf.recipes import Export
    from vipann_tf.saved_model.export import add_version, default_draw_storage
    from vipann_tf.saved_model.metadata import MIN_SECONDS, ModelInfo
    from vipann_tf.saved_model.reexport import read_metrics

    if not isinstance(network, VIPANN):
        raise UserError(f"model is a {type(network).__name__}; give a model directory or a VIPANN")
    count = network.architecture.labels
    names = [] if labels is None or isinstance(labels, str) else list(labels)
    if len(names) != count or len(set(names)) != count:
        raise UserError(f"labels is {labels!r}; give the {count} different names of the network")
    if clip_seconds is None or not MIN_SECONDS <= clip_seconds < float("inf"):
        raise UserError(
            f"clip_seconds is {clip_seconds}; say how long the clips were that trained the "
            f"network, {MIN_SECONDS:g} s or more"
        )
    default = Export()
    values: dict[str, Any] = {"num_draws": default.num_draws, "seed": default.seed or 0}
    values |= {name: value for name, value in settings.items() if value is not None}
    values.setdefault(
        "draw_storage", default_draw_storage(network.architecture, values["num_draws"])
    )
    info = ModelInfo(
        origin="keras",
        architecture=network.architecture,
        sample_rate_hz=SAMPLE_RATE_HZ,
        clip_seconds=clip_seconds,
        variables=[],
        metrics={key: value for file in metrics for key, value in read_metrics(file).items()},
        **values,
    )
    return add_version(network, out, info, names, version=version)
