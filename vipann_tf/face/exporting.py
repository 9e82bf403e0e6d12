"""A version of a model with other serving settings: `vipann-tf export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vipann_tf.files.paths import StrPath

if TYPE_CHECKING:
    from vipann_tf.models.architecture import Signs
    from vipann_tf.saved_model.metadata import DrawStorage, Precision

__all__ = ["export"]


def export(
    model: StrPath,
    out: StrPath,
    *,
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
      model: Model directory.
      out: Model directory to add the version to; it may be `model`.
      num_draws: Number of draws of `serving_default`.
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
