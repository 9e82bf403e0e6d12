"""What earlier versions wrote goes on working: recipe keys, metadata, options."""

import json
import pathlib

import pytest
import yaml

from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.recipes import PretrainRecipe, TransferRecipe, load_recipe
from vipann_tf.saved_model.metadata import ModelInfo
from vipann_tf.study.recipe import StudyRecipe

FORMER = pathlib.Path(__file__).parent / "goldens" / "former_vipann.json"
OLD = {"export": {"samples": 7, "draws": "sampled"}, "validation": {"samples": 3}}


def values(recipe):
    return recipe.export.num_draws, recipe.export.draw_storage, recipe.validation.num_draws


@pytest.mark.parametrize("kind", [PretrainRecipe, TransferRecipe])
def test_keys_of_recipes(kind, tmp_path):
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(OLD))
    assert values(load_recipe(kind, tmp_path / "old.yaml")) == (7, "sampled", 3)
    # An override by either name replaces the value of either name.
    for settings in (["export.samples=9"], ["export.num_draws=9"], [{"export": {"samples": 9}}]):
        assert values(load_recipe(kind, tmp_path / "old.yaml", settings)) == (9, "sampled", 3)
    new = {"export": {"num_draws": 5}}
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(new))
    assert load_recipe(kind, tmp_path / "new.yaml", ["export.samples=9"]).export.num_draws == 9
    # The resolved recipe in the metadata of an old model.
    assert values(kind.model_validate(OLD)) == (7, "sampled", 3)


def test_both_names_at_once_are_refused(tmp_path):
    (tmp_path / "both.yaml").write_text("export: {samples: 7, num_draws: 8}\n")
    with pytest.raises(UserError, match="samples is the former name of num_draws, and both"):
        load_recipe(TransferRecipe, tmp_path / "both.yaml")


def test_keys_of_studies():
    recipe = load_recipe(StudyRecipe, "studies/smoke", ["evaluation.samples=9"])
    assert recipe.evaluation.num_draws == 9


def test_metadata_of_models():
    """Those of the model that was shipped before the keys had their present names."""
    text = FORMER.read_text(encoding="utf-8")
    old = json.loads(text)
    assert (old["samples"], old["draws"]) == (20, "stored")
    info = ModelInfo.model_validate_json(text)
    assert (info.num_draws, info.draw_storage) == (20, "stored")


@pytest.mark.parametrize(
    ("command", "arguments", "parameter", "value"),
    [
        ("evaluate", ["m", "--data", "d", "--out", "o", "--samples", "3"], "num_draws", 3),
        ("predict", ["m", "a.wav", "--samples=4"], "num_draws", 4),
        ("export", ["m", "--out", "o", "--draws", "stored"], "draw_storage", "stored"),
    ],
)
def test_options_of_commands(command, arguments, parameter, value):
    with main.make_context("vipann-tf", [command]) as root:
        found = main.get_command(root, command)
        context = found.make_context(command, list(arguments), parent=root)
        assert context.params[parameter] == value
        assert "--samples" not in found.get_help(context)
