"""Every shipped recipe trains: two steps of a narrow network on the smallest data."""

import pathlib

import pytest
from tiny import log_rows

from vipann_tf.recipe import PretrainRecipe, TransferRecipe, load_recipe
from vipann_tf.saved_model.metadata import read_info
from vipann_tf.training.pretrain import pretrain
from vipann_tf.training.transfer import transfer

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"
SMALL = ("training.steps=2", "training.batch_size=4", "export.samples=1")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", sorted(x.stem for x in RECIPES.glob("pretrain/*.yaml")))
def test_pretraining(tagging, tmp_path, name):
    shape = ["model.width=0.0625", "model.depth=22", "data.train=[train]"]
    recipe = load_recipe(PretrainRecipe, f"pretrain/{name}", [*SMALL, *shape])
    pretrain(recipe, tagging, tmp_path / "m")
    assert len(log_rows(tmp_path / "m")) == 2
    assert read_info(tmp_path / "m").recipe == recipe.model_dump(mode="json")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", sorted(x.stem for x in RECIPES.glob("transfer/*.yaml")))
def test_transfer(bases, events, tmp_path, name):
    settings = [*SMALL, "strategy=det-flip", "data.train=[fold1,fold2]"]
    recipe = load_recipe(TransferRecipe, f"transfer/{name}", settings)
    transfer(recipe, bases["deterministic"], events, tmp_path / "m")
    assert len(log_rows(tmp_path / "m")) == 2
    assert read_info(tmp_path / "m").recipe["mode"] == recipe.mode
    if "_" in name:  # the mode is part of the name
        assert name.endswith(recipe.mode)
