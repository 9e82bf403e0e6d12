"""The strategies of transfer of the VI-PANN paper. No TensorFlow in here.

| strategy | base          | trunk                   | new head      |
| -------- | ------------- | ----------------------- | ------------- |
| det      | deterministic | deterministic           | deterministic |
| drop     | dropout       | MC dropout              | MC dropout    |
| flip     | flipout       | Flipout posterior, kept | Flipout       |
| det-flip | deterministic | deterministic           | Flipout       |
"""

from vipann_tf.errors import UserError
from vipann_tf.models.architecture import Kind
from vipann_tf.recipes import TransferRecipe

# strategy: (kind of the base's trunk, kind of the new trunk, kind of the new head)
STRATEGIES: dict[str, tuple[Kind, Kind, Kind]] = {
    "det": ("deterministic", "deterministic", "deterministic"),
    "drop": ("dropout", "dropout", "dropout"),
    "flip": ("flipout", "flipout", "flipout"),
    "det-flip": ("deterministic", "deterministic", "flipout"),
}


def base_kind(recipe: TransferRecipe) -> Kind:
    """The kind of network that a transfer starts from.

    Raises:
      UserError: The recipe has no strategy, or asks for MOPED where no trunk becomes Flipout.
    """
    if recipe.strategy is None:
        raise UserError(f"no strategy is given; choose one of {', '.join(STRATEGIES)}")
    if recipe.variational.moped_delta is None:
        return STRATEGIES[recipe.strategy][0]
    if recipe.strategy != "flip":
        raise UserError(
            f"variational.moped_delta goes with strategy flip, not {recipe.strategy}: it starts "
            "a Flipout trunk from a deterministic base"
        )
    return "deterministic"


def strategies_for(kind: Kind) -> str:
    """The strategies that start from a kind of network, as text."""
    return " or ".join(name for name, (base, _, _) in STRATEGIES.items() if base == kind)
