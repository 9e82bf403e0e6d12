"""Cells that are made from other cells without training. No TensorFlow in here.

| cell | made from |
| --- | --- |
| variant that changes `export` alone | the plain cell, exported anew |
| strategy det-laplace | the det cell, by a Laplace approximation of its last layer |
| strategy ens | the cells of several seeds, as a deep ensemble |

A variant of det-laplace that changes `variational.laplace_precision` alone has the plain det cell.
"""

from dataclasses import replace

from vipann_tf.study.grid import ACTIVE, ENSEMBLE, Cell
from vipann_tf.study.recipe import PLAIN, StudyRecipe

__all__ = ["is_new_export", "sources"]


def sources(recipe: StudyRecipe, cell: Cell) -> list[Cell]:
    """Return the cells that a cell is made from; none if it is trained."""
    if cell.mode == ACTIVE:
        return []
    if is_new_export(recipe, cell):
        return [replace(cell, variant=PLAIN)]
    if cell.strategy == "det-laplace":
        changes = recipe.variants.get(cell.variant, {})
        same = [*changes] == ["variational"] and [*changes["variational"]] == ["laplace_precision"]
        return [replace(cell, strategy="det", variant=PLAIN if same else cell.variant)]
    if cell.strategy == ENSEMBLE:
        count = recipe.ensemble.members
        return [
            replace(cell, strategy=recipe.ensemble.strategy, seed=count * cell.seed + member)
            for member in range(count)
        ]
    return []


def is_new_export(recipe: StudyRecipe, cell: Cell) -> bool:
    """Return whether a cell differs from the plain one in its export alone."""
    return recipe.variants.get(cell.variant, {}).keys() == {"export"}
