"""The transfer strategies, without TensorFlow: those of the VI-PANN paper, and det-laplace.

| strategy    | base          | trunk                   | new head                       |
| ----------- | ------------- | ----------------------- | ------------------------------ |
| det         | deterministic | deterministic           | deterministic                  |
| drop        | dropout       | MC dropout              | MC dropout                     |
| flip        | flipout       | Flipout posterior, kept | Flipout                        |
| det-flip    | deterministic | deterministic           | Flipout                        |
| det-laplace | deterministic | deterministic           | deterministic, then its last   |
|             |               |                         | layer gets a Laplace posterior |
"""

from typing import NamedTuple

from vipann_tf.choices import Strategy
from vipann_tf.errors import UserError
from vipann_tf.models.architecture import Head, Kind
from vipann_tf.recipes import TransferRecipe


class Kinds(NamedTuple):
    """The kinds of the network parts before and after a transfer.

    Attributes:
      base: Kind of the trunk of the base.
      trunk: Kind of the new trunk.
      head: Kind of the new head.
    """

    base: Kind
    trunk: Kind
    head: Head


STRATEGIES: dict[Strategy, Kinds] = {
    "det": Kinds("deterministic", "deterministic", "deterministic"),
    "drop": Kinds("dropout", "dropout", "dropout"),
    "flip": Kinds("flipout", "flipout", "flipout"),
    "det-flip": Kinds("deterministic", "deterministic", "flipout"),
    "det-laplace": Kinds("deterministic", "deterministic", "laplace"),
}


def kinds_of(recipe: TransferRecipe) -> Kinds:
    """Return the kinds of the strategy of a recipe.

    Raises:
      UserError: The recipe has no strategy, or asks for MOPED although nothing becomes Flipout.
    """
    if recipe.strategy is None:
        raise UserError(f"no strategy is given; choose one of {', '.join(STRATEGIES)}")
    kinds = STRATEGIES[recipe.strategy]
    if recipe.variational.moped_delta is None:
        return kinds
    if recipe.strategy == "flip":
        return kinds._replace(base="deterministic")
    if kinds.head == "flipout" and recipe.keep_head:
        return kinds
    raise UserError(
        f"variational.moped_delta needs strategy flip, not {recipe.strategy}: it starts a "
        "Flipout trunk from a deterministic base, or with keep_head the Flipout head of det-flip"
    )


def fits(base: Kind, wanted: Kind) -> bool:
    """Return whether a trunk of kind `wanted` can start from one of kind `base`.

    Monte Carlo dropout adds no weights, and networks of both kinds are trained with dropout: a
    deterministic and a dropout base can replace each other.
    """
    return base == wanted or {base, wanted} == {"deterministic", "dropout"}


def strategies_for(kind: Kind) -> str:
    """Return the strategies that start from a kind of network, as text for a message."""
    return " or ".join(name for name, kinds in STRATEGIES.items() if fits(kind, kinds.base))
