"""Making a deep ensemble out of the model directories of its members."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.models.ensemble import Ensemble
from vipann_tf.models.ensemble_architecture import EnsembleArchitecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.saved_model.export import check_vacant, export
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.metadata import (
    MAX_DRAWS,
    ModelInfo,
    TrainingData,
    read_labels,
    read_model_info,
    single_network,
)

__all__ = ["common_data", "ensemble"]

# What the metadata of an ensemble contain of each member.
MEMBER_FIELDS = {"origin", "data", "base", "recipe", "training", "metrics", "licence"}
# What must be equal.
_COMMON = ("sample_rate_hz", "precision", "fixed_seconds")


def ensemble(
    models: Sequence[StrPath],
    out: StrPath,
    *,
    weights: Sequence[int] | None = None,
    num_draws: int | None = None,
    seed: int | None = None,
    overwrite: bool = False,
    extras: Mapping[str, Path] | None = None,
) -> Path:
    """Write a model whose draws go round the networks of other models (arXiv 1612.01474).

    A member brings its weights, the temperature of its calibration, and the BatchNorm statistics of
    its draws. Its prediction sets and metrics are not those of the ensemble and are left out.

    Args:
      models: Model directories of the same labels, sample rate and precision.
      out: Model directory to make.
      weights: How often each member draws per round; once by default.
      num_draws: Number of draws, a multiple of the sum of the weights; by default one round if all
        members are deterministic, else as many rounds as the Bayesian members need for the draws
        of their own exports.
      seed: Seed of the draws; by default that of the first Bayesian member.
      overwrite: Whether to replace a model.
      extras: Files and folders to copy to assets.extra, by their names there.

    Returns:
      The version folder.

    Raises:
      UserError: The members do not fit together, or a number is not allowed.
    """
    check_vacant(out, overwrite=overwrite)
    if not models:
        raise UserError("an ensemble needs one model or more; none is given")
    infos = [read_model_info(model) for model in models]
    labels = read_labels(models[0])
    for model, info in zip(models, infos, strict=True):
        _check_fits(info, infos[0], model, models[0])
        if read_labels(model) != labels:
            raise UserError(
                f"{model} has other labels than {models[0]}; the members of an ensemble answer the "
                "same labels in the same order"
            )
    if weights is not None and (len(weights) != len(models) or min(weights) < 1):
        raise UserError(
            f"weights are {list(weights)} for {len(models)} models; give one whole number of 1 or "
            "more per model"
        )
    architecture = EnsembleArchitecture.of(
        [single_network(info, model) for model, info in zip(models, infos, strict=True)],
        weights=list(weights) if weights else None,
        temperatures=[info.calibration.temperature for info in infos],
    )
    if num_draws is None:
        num_draws = _default_draws(architecture, infos)
    seed = _seed(models, infos) if seed is None else seed
    info = ModelInfo(
        origin="ensemble",
        architecture=architecture,
        sample_rate_hz=infos[0].sample_rate_hz,
        clip_seconds=max(info.clip_seconds for info in infos),
        num_draws=num_draws,
        seed=seed,
        batch_norm="draw" if any(info.batch_norm == "draw" for info in infos) else "stored",
        precision=infos[0].precision,
        fixed_seconds=infos[0].fixed_seconds,
        variables=[],
        data=common_data(infos),
        base=_common([info.base for info in infos]),
        recipe=_common_recipe(infos),
        members=[info.model_dump(mode="json", include=MEMBER_FIELDS) for info in infos],
    )
    _check_statistics(models, infos, architecture, num_draws, seed)
    networks = []
    for model in models:
        network, _ = load_model(model)
        assert isinstance(network, VIPANN)  # as `single_network` has checked
        networks.append(network)
    return export(
        Ensemble(networks, architecture), out, info, labels, overwrite=overwrite, extras=extras
    )


def _check_fits(info: ModelInfo, first: ModelInfo, model: StrPath, name: StrPath) -> None:
    for field in _COMMON:
        mine, theirs = getattr(info, field), getattr(first, field)
        if mine != theirs:
            raise UserError(
                f"{model} has {field} {mine}, and {name} {theirs}; the members of an ensemble have "
                "the same; `vipann-tf export` changes precision and length"
            )


def _default_draws(architecture: EnsembleArchitecture, infos: Sequence[ModelInfo]) -> int:
    rounds = [
        -(-info.num_draws // weight)
        for info, weight, member in zip(
            infos, architecture.weights, architecture.members, strict=True
        )
        if member.stochastic
    ]
    most = MAX_DRAWS // architecture.round_size
    return architecture.round_size * min(max(rounds, default=1), max(most, 1))


def _seed(models: Sequence[StrPath], infos: Sequence[ModelInfo]) -> int:
    """Return the seed of the members with statistics, or else of the first Bayesian member."""
    bound = {
        info.seed: model
        for model, info in zip(models, infos, strict=True)
        if info.batch_norm == "draw"
    }
    if len(bound) > 1:
        raise UserError(
            "the BatchNorm statistics of the members' draws are of different seeds: "
            + ", ".join(f"{seed} in {model}" for seed, model in bound.items())
            + "; export them again with one --seed and --statistics-data"
        )
    bayesian = [info.seed for info in infos if info.architecture.stochastic]
    return next(iter(bound), next(iter(bayesian), infos[0].seed))


def _check_statistics(
    models: Sequence[StrPath],
    infos: Sequence[ModelInfo],
    architecture: EnsembleArchitecture,
    num_draws: int,
    seed: int,
) -> None:
    """Raise a `UserError` if a member lacks BatchNorm statistics of a draw that it would make."""
    rounds = num_draws // architecture.round_size
    for model, info, weight in zip(models, infos, architecture.weights, strict=True):
        if info.batch_norm != "draw":
            continue
        if info.num_draws < weight * rounds or info.seed != seed:
            raise UserError(
                f"{model} has BatchNorm statistics of {info.num_draws} draws of seed {info.seed}, "
                f"but would make {weight * rounds} of seed {seed}; choose fewer draws and its "
                "seed, or export it again with --statistics-data"
            )


def _common(values: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Return what all members have, if they have the same."""
    return values[0] if all(value == values[0] for value in values) else None


def _common_recipe(infos: Sequence[ModelInfo]) -> dict[str, Any]:
    """Return the recipe of the first member, if those of the others differ in the seed alone."""
    recipes = [
        {**info.recipe, "training": {**info.recipe.get("training", {}), "seed": None}}
        for info in infos
    ]
    return infos[0].recipe if _common(recipes) is not None else {}


def common_data(infos: Sequence[ModelInfo]) -> TrainingData | None:
    """Return what trained any member, if all were trained on one data set.

    Held out is only what no member was trained on.
    """
    datas = [info.data for info in infos]
    first = datas[0]
    if first is None or any(
        data is None or (data.dataset, data.time_expansion) != (first.dataset, first.time_expansion)
        for data in datas
    ):
        return None
    known = [data for data in datas if data is not None]
    splits = list(dict.fromkeys(name for data in known for name in data.splits))
    held = [
        name
        for name in first.held_out
        if all(name in data.held_out and name not in splits for data in known)
    ]
    return TrainingData(
        dataset=first.dataset,
        splits=splits,
        held_out=held,
        clips=max(data.clips for data in known),
        time_expansion=first.time_expansion,
    )
