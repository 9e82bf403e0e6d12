"""The cells of a study, and parts of it. No TensorFlow in here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product

from vipann_tf.active.settings import STRATEGIES
from vipann_tf.errors import UserError
from vipann_tf.models.architecture import Kind
from vipann_tf.recipes import PretrainRecipe, TransferRecipe, load_recipe
from vipann_tf.study.recipe import PLAIN, Block, StudyRecipe, Upstream
from vipann_tf.training.strategies import fits, kinds_of

__all__ = [
    "ACTIVE",
    "ENSEMBLE",
    "Cell",
    "cells",
    "pretrain_recipe",
    "select",
    "shard",
    "transfer_recipe",
    "upstream_kind",
]


# The strategy whose cells are deep ensembles of other cells.
ENSEMBLE = "ens"
# The mode whose cells are learning curves; see `recipe.Active`.
ACTIVE = "active"


@dataclass(frozen=True)
class Cell:
    """One training with its evaluation.

    Attributes:
      downstream: Name of the target data set.
      upstream: Name of the pretrained network.
      strategy: Strategy of the transfer, or `ens`.
      mode: Mode of the transfer, or `active`.
      variant: Name of the options that differ from the plain ones.
      fraction: Share of the training clips.
      seed: Seed of the training.
      fold: The held-out fold; `None` if there are no folds.
    """

    downstream: str
    upstream: str
    strategy: str
    mode: str
    variant: str
    fraction: float
    seed: int
    fold: int | None

    @property
    def values(self) -> dict[str, str]:
        """The values by which `--only` can choose."""
        return {field.name: _text(getattr(self, field.name)) for field in fields(self)}

    @property
    def arm(self) -> str:
        """The name of its arm, without data set, fold and seed."""
        name = f"{self.strategy}-{self.mode}"
        if self.variant != PLAIN:
            name += f"-{self.variant}"
        if self.fraction != 1:
            name += f"-{100 * self.fraction:g}pct"
        return name

    @property
    def name(self) -> str:
        """Its name in the study, which is also its path."""
        last = f"seed{self.seed}" if self.fold is None else f"seed{self.seed}-fold{self.fold}"
        return f"{self.downstream}/{self.upstream}/{self.arm}/{last}"


def cells(recipe: StudyRecipe) -> list[Cell]:
    """List all cells of a study once; the folds of an arm are together.

    Raises:
      UserError: A part of the grid is impossible: a strategy has no upstream model to start from, a
        mode has no recipe, or a recipe has a mistake.
    """
    kinds = {name: upstream_kind(upstream) for name, upstream in recipe.upstream.items()}
    found: dict[Cell, None] = {}
    for block in recipe.grid:
        for cell in _cells_of(recipe, block, kinds):
            found[cell] = None
    return list(found)


def _cells_of(recipe: StudyRecipe, block: Block, kinds: dict[str, Kind]) -> Iterator[Cell]:
    names = block.downstream or list(recipe.downstream)
    for name, strategy, mode, variant, fraction in product(
        names, block.strategies, block.modes, block.variants, block.fractions
    ):
        downstream = recipe.downstream[name]
        if mode == ACTIVE and strategy not in STRATEGIES:
            raise UserError(
                f"mode active trains heads on features, by {', '.join(STRATEGIES)}; leave "
                f"{strategy} out of the block"
            )
        example = Cell(name, "", strategy, mode, variant, fraction, 0, None)
        wanted = kinds_of(transfer_recipe(recipe, example)).base
        bases = _bases(block.upstream, kinds, wanted)
        if not bases:
            raise UserError(
                f"{strategy} with {variant} options starts from a {wanted} network, and the study "
                f"names none: {', '.join(f'{x} is {kind}' for x, kind in kinds.items())}"
            )
        folds = [x for x in downstream.fold_numbers if not block.folds or x in block.folds]
        for base, seed, fold in product(bases, block.seeds, folds):
            yield Cell(name, base, strategy, mode, variant, fraction, seed, fold)


def _bases(named: list[str] | None, kinds: dict[str, Kind], wanted: Kind) -> list[str]:
    """Return the upstream networks to start from: those named that fit, or all of that kind.

    A network of a kind that fits as well is taken only if it is named, or if there is no other.
    """
    fitting = [name for name in named or kinds if fits(kinds[name], wanted)]
    equal = [name for name in fitting if kinds[name] == wanted]
    return fitting if named else equal or fitting


def transfer_recipe(recipe: StudyRecipe, cell: Cell) -> TransferRecipe:
    """Return the recipe of a cell: its mode's, changed by its variant and its own values.

    For an ensemble it is that of its first member.

    Raises:
      UserError: The mode has no recipe, or the recipe has a mistake.
    """
    by_mode = recipe.downstream[cell.downstream].recipes
    if cell.mode not in by_mode:
        raise UserError(
            f"downstream {cell.downstream} has no recipe for mode {cell.mode}, only for "
            f"{', '.join(by_mode) or 'none'}; add it, or leave the mode out of the grid"
        )
    transfer = by_mode[cell.mode]
    is_ensemble = cell.strategy == ENSEMBLE
    own = {
        "strategy": recipe.ensemble.strategy if is_ensemble else cell.strategy,
        "mode": "fixed" if cell.mode == ACTIVE else cell.mode,
        "data": {"fraction": cell.fraction},
        "training": {"seed": cell.seed * recipe.ensemble.members if is_ensemble else cell.seed},
    }
    changes = [transfer.settings, recipe.variants.get(cell.variant, {}), own]
    return load_recipe(TransferRecipe, transfer.recipe, changes)


def pretrain_recipe(upstream: Upstream) -> PretrainRecipe:
    """Return the recipe of an upstream model that is to be trained."""
    return load_recipe(PretrainRecipe, upstream.recipe, [upstream.settings])


def upstream_kind(upstream: Upstream) -> Kind:
    """Return the kind of an upstream model's trunk."""
    return upstream.kind or pretrain_recipe(upstream).model.kind


def select(found: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """Return the chosen cells.

    Args:
      found: All cells.
      only: Texts `key=value,...`, each selecting the cells with all these values; `|` separates
        several values of a key. Cells that any text selects are chosen; without a text, all are.

    Raises:
      UserError: A key is unknown, or no cell has such a value.
    """
    if not only:
        return list(found)
    chosen: dict[Cell, None] = {}
    for text in only:
        wanted = _parsed(text, found)
        for cell in found:
            if all(cell.values[key] in values for key, values in wanted.items()):
                chosen[cell] = None
    if not chosen:
        raise UserError(f"--only {' --only '.join(only)}: the study has no such cell; see --list")
    return [cell for cell in found if cell in chosen]


def _parsed(text: str, found: Sequence[Cell]) -> dict[str, list[str]]:
    allowed = [field.name for field in fields(Cell)]
    wanted = {}
    for part in text.split(","):
        key, equals, values = (x.strip() for x in part.partition("="))
        if not equals or key not in allowed:
            raise UserError(
                f"--only {text!r}: {part.strip()!r} is not key=value with one of the keys "
                f"{', '.join(allowed)}"
            )
        there = list(dict.fromkeys(cell.values[key] for cell in found))
        wanted[key] = values.split("|")
        for value in wanted[key]:
            if value not in there:
                raise UserError(
                    f"--only {text!r}: no {key} is {value!r}; there are {', '.join(there)}"
                )
    return wanted


def shard(found: Sequence[Cell], text: str | None) -> list[Cell]:
    """Return the cells for one of several machines: `2/5` is the second of five parts.

    A part is every fifth cell, so expensive and cheap cells are spread evenly.

    Raises:
      UserError: The text is not a valid part.
    """
    if text is None:
        return list(found)
    index, slash, count = text.partition("/")
    numbers = slash and index.isdecimal() and count.isdecimal()
    if not numbers or not 1 <= int(index) <= int(count):
        raise UserError(f"--shard is {text!r}; give i/n with i from 1 to n, such as 1/4")
    return list(found[int(index) - 1 :: int(count)])


def _text(value: str | float | None) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
