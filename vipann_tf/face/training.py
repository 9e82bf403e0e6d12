"""Training: `vipann-tf pretrain` and `transfer`, from a recipe's name to a model directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vipann_tf.choices import Devices, Mode, Strategy
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.recipes import PretrainRecipe, TrainingRecipe, TransferRecipe, load_recipe
from vipann_tf.training.progress import Progress

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["Settings", "cross_validate", "pretrain", "transfer"]

# Values that replace those of a recipe: {"training": {"epochs": 5}}, {"training.epochs": 5} or
# ["training.epochs=5"].
Settings = Mapping[str, Any] | Sequence[str]
# Called with the name of a training, such as `seed0` or `fold1`, and its progress.
OnProgress = Callable[[str, Progress], None]
Recipe = TypeVar("Recipe", bound=TrainingRecipe)


def pretrain(
    recipe: StrPath | PretrainRecipe,
    data: StrPath,
    out: StrPath,
    *,
    base: StrPath | None = None,
    settings: Settings = (),
    allow_empty_labels: bool = False,
    devices: Devices = "auto",
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Train a network on many sounds; an interrupted call resumes when it is repeated.

    Args:
      recipe: A recipe, its YAML file, or the name of a shipped one such as
        `pretrain/small_flipout`.
      data: Dataset directory; its task determines the likelihood.
      out: Model directory to make.
      base: Model of the same shape and labels to start from; a deterministic one starts a Flipout
        network (MOPED). By default, weights are random.
      settings: Values that replace those of the recipe, such as `{"training.epochs": 5}`.
      allow_empty_labels: Whether to train even if a label has no clip.
      devices: What shares every batch.
      overwrite: Whether to replace a model or an unfinished run.
      on_progress: Called after every step.

    Returns:
      The version folder. Of several processes that train together, one writes it, and the others
      return `out`.

    Raises:
      UserError: An argument is wrong, a label has no clip to train on, or training failed.
    """
    resolved = _resolved(PretrainRecipe, recipe, settings, allow_empty_labels)

    from vipann_tf.training.distribution import make_distribution
    from vipann_tf.training.pretrain import pretrain as run

    version = run(
        resolved,
        data,
        out,
        base=base,
        distribution=make_distribution(devices),
        overwrite=overwrite,
        on_progress=on_progress,
    )
    return version or Path(out)


def transfer(
    base: StrPath,
    data: StrPath,
    out: StrPath,
    *,
    strategy: Strategy | None = None,
    mode: Mode | None = None,
    test_fold: int | None = None,
    members: int = 1,
    parallel_members: int = 1,
    recipe: StrPath | TransferRecipe | None = None,
    settings: Settings = (),
    allow_empty_labels: bool = False,
    devices: Devices = "auto",
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Transfer a network to the labels of a dataset; an interrupted call resumes when repeated.

    `cross_validate` is `vipann-tf transfer --folds`.

    Args:
      base: Model directory of the pretrained network, or the name of a shipped one.
      data: Dataset directory.
      out: Model directory to make.
      strategy: Which layers are Bayesian, and how; by default that of the recipe.
      mode: Whether to train the head alone, or everything.
      test_fold: Fold to hold out.
      members: Number of networks: above 1, a deep ensemble of so many seeds.
      parallel_members: How many of them to train at once.
      recipe: A recipe, its YAML file, or the name of a shipped one; by default the default values.
      settings: Values that replace those of the recipe, such as `{"training.epochs": 5}`.
      allow_empty_labels: Whether to train even if a label has no clip.
      devices: What shares every batch.
      overwrite: Whether to replace a model or an unfinished run.
      on_progress: Called after every step with the name of the training (empty if it is one
        network) and its progress.

    Returns:
      The version folder. Of several processes that train together, one writes it, and the others
      return `out`.

    Raises:
      UserError: An argument is wrong, a label has no clip to train on, or training failed.
    """
    resolved = _resolved_transfer(recipe, strategy, mode, settings, allow_empty_labels)
    if parallel_members > 1 and members == 1:
        raise UserError(f"parallel members ({parallel_members}) are for members above 1, such as 5")
    distribution = _distribution(devices, parallel_members, "members")

    from vipann_tf.training.members import transfer_members
    from vipann_tf.training.transfer import transfer as run

    if members == 1:
        version = run(
            resolved,
            base,
            data,
            out,
            test_fold=test_fold,
            distribution=distribution,
            overwrite=overwrite,
            on_progress=on_progress and (lambda progress: on_progress("", progress)),
        )
    else:
        version = transfer_members(
            resolved,
            base,
            data,
            out,
            members=members,
            test_fold=test_fold,
            parallel=parallel_members,
            distribution=distribution,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    return version or Path(out)


def cross_validate(
    base: StrPath,
    data: StrPath,
    out: StrPath,
    *,
    folds: Sequence[int] | None = None,
    final: bool = False,
    parallel_folds: int = 1,
    strategy: Strategy | None = None,
    mode: Mode | None = None,
    members: int = 1,
    recipe: StrPath | TransferRecipe | None = None,
    settings: Settings = (),
    allow_empty_labels: bool = False,
    devices: Devices = "auto",
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Transfer once for each fold, evaluate each model on its fold, and summarise.

    Args:
      base: As in `transfer`, and so all that is not listed here.
      data: Dataset directory with folds.
      out: Directory to make, with a model for each fold and `cross_validation.json`.
      folds: Numbers of the folds to hold out in turn; by default all.
      final: Whether to train a model on all folds, too.
      parallel_folds: How many to train at once, each on its own GPU or on a share of the cores.
      strategy: Which layers are Bayesian, and how.
      mode: Whether to train the head alone, or everything.
      members: Number of networks of each model.
      recipe: A recipe, its YAML file, or the name of a shipped one.
      settings: Values that replace those of the recipe.
      allow_empty_labels: Whether to train even if a label has no clip.
      devices: What shares every batch.
      overwrite: Whether to replace models.
      on_progress: Called with the name of a training and its progress.

    Returns:
      The content of cross_validation.json.

    Raises:
      UserError: As in `transfer`.
    """
    resolved = _resolved_transfer(recipe, strategy, mode, settings, allow_empty_labels)
    distribution = _distribution(devices, parallel_folds, "folds")

    from vipann_tf.training.cross_validation import cross_validate as run

    return run(
        resolved,
        base,
        data,
        out,
        folds=folds,
        final=final,
        distribution=distribution,
        members=members,
        parallel=parallel_folds,
        overwrite=overwrite,
        on_progress=on_progress,
    )


def _resolved_transfer(
    recipe: StrPath | TransferRecipe | None,
    strategy: Strategy | None,
    mode: Mode | None,
    settings: Settings,
    allow_empty_labels: bool,
) -> TransferRecipe:
    chosen = {"strategy": strategy, "mode": mode}
    named = {key: value for key, value in chosen.items() if value is not None}
    return _resolved(TransferRecipe, recipe, settings, allow_empty_labels, named)


def _resolved(
    kind: type[Recipe],
    recipe: StrPath | Recipe | None,
    settings: Settings,
    allow_empty_labels: bool,
    chosen: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return a recipe with settings, then with what was chosen by arguments of its own."""
    if isinstance(settings, str):
        raise UserError(f"settings is {settings!r}; give a mapping, or a list: [{settings!r}]")
    changes: list[str | Mapping[str, Any]] = (
        [_nested(key, value) for key, value in settings.items()]
        if isinstance(settings, Mapping)
        else list(settings)
    )
    changes.append(chosen or {})
    if allow_empty_labels:
        changes.append({"data": {"allow_empty_labels": True}})
    if isinstance(recipe, TrainingRecipe):
        if not isinstance(recipe, kind):
            raise UserError(f"recipe is a {type(recipe).__name__}; a {kind.__name__} is needed")
        return load_recipe(kind, None, [recipe.model_dump(mode="json"), *changes])
    return load_recipe(kind, None if recipe is None else os.fspath(recipe), changes)


def _nested(key: str, value: Any) -> dict[str, Any]:
    """Return {"a": {"b": value}} for the key "a.b"."""
    first, dot, rest = key.partition(".")
    return {first: _nested(rest, value) if dot else value}


def _distribution(devices: Devices, parallel: int, what: str) -> tf.distribute.Strategy | None:
    """Return the devices of each step; `None` if each training gets a device of its own.

    In that case this process trains nothing and must leave the GPUs to the others.
    """
    from vipann_tf.training.distribution import make_distribution

    if parallel == 1:
        return make_distribution(devices)
    if devices not in ("auto", "none"):
        raise UserError(
            f"parallel {what} ({parallel}) get one device each, and devices={devices!r} shares "
            "each step among several; give one of them"
        )
    return None
