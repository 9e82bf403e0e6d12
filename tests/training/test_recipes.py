"""Every shipped recipe trains: two steps of a narrow network on the smallest data."""

import json

import pytest

from tests.helpers.paths import RECIPES
from tests.helpers.tiny_training import FEW_CLIPS, log_rows
from vipann_tf.recipes import PretrainRecipe, TransferRecipe, load_recipe
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.training.pretrain import pretrain
from vipann_tf.training.strategies import STRATEGIES
from vipann_tf.training.transfer import transfer

pytestmark = pytest.mark.slow

SMALL = ("training.steps=2", "training.batch_size=4", "export.num_draws=1", FEW_CLIPS)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", sorted(x.stem for x in RECIPES.glob("pretrain/*.yaml")))
def test_pretraining(tagging, tmp_path, name):
    shape = ["model.width=0.0625", "model.depth=22", "data.train=[train]"]
    recipe = load_recipe(PretrainRecipe, f"pretrain/{name}", [*SMALL, *shape])
    pretrain(recipe, tagging, tmp_path / "m")
    assert len(log_rows(tmp_path / "m")) == 2
    assert read_model_info(tmp_path / "m").recipe == recipe.model_dump(mode="json")


# The embedded default is a recipe of one strategy; the others take each.
FOR_ONE = {"quickstart": ["det-laplace"]}


def transfer_settings(strategy: str) -> list[str]:
    return [*SMALL, f"strategy={strategy}", "data.train=[fold1,fold2]"]


def distinct_trainings() -> dict[str, tuple[TransferRecipe, list[str]]]:
    """Return recipe and names by an id.

    Recipes that differ only in what is shortened here train the same network, and do so once.
    """
    found = {}
    for name in sorted(x.stem for x in RECIPES.glob("transfer/*.yaml")):
        for strategy in FOR_ONE.get(name, STRATEGIES):
            recipe = load_recipe(TransferRecipe, f"transfer/{name}", transfer_settings(strategy))
            # With the number of steps given, that of epochs is not read.
            content = recipe.model_dump(mode="json")
            content["training"]["epochs"] = None
            found.setdefault(json.dumps(content), (recipe, []))[1].append(name)
    return {
        f"{recipe.strategy}-{'-'.join(names)}": (recipe, names) for recipe, names in found.values()
    }


TRAININGS = distinct_trainings()


def test_every_recipe_is_among_the_trainings():
    named = {(name, recipe.strategy) for recipe, names in TRAININGS.values() for name in names}
    files = {x.stem for x in RECIPES.glob("transfer/*.yaml")}
    assert named == {
        (name, strategy) for name in files for strategy in FOR_ONE.get(name, STRATEGIES)
    }
    for recipe, names in TRAININGS.values():
        for name in names:
            if "_" in name:  # the mode is part of the name
                assert name.endswith(recipe.mode)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("training", list(TRAININGS))
def test_transfer(bases, events, tmp_path, training):
    recipe, _ = TRAININGS[training]
    transfer(recipe, bases[STRATEGIES[recipe.strategy].base], events, tmp_path / "m")
    assert len(log_rows(tmp_path / "m")) == 2
    assert read_model_info(tmp_path / "m").recipe == recipe.model_dump(mode="json")
