"""Recipes: what they accept, what they refuse and how they say so."""

import pathlib

import pytest

from tests.helpers.paths import RECIPES
from vipann_tf.errors import UserError
from vipann_tf.recipes import PretrainRecipe, TransferRecipe, find_recipe, load_recipe
from vipann_tf.study.recipe import StudyRecipe

SHIPPED = sorted(str(file.relative_to(RECIPES)) for file in RECIPES.rglob("*.yaml"))


def write(tmp_path, text: str) -> pathlib.Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults_are_complete():
    """The resolved recipe says every value, and reading it again gives the same recipe."""
    for kind in (PretrainRecipe, TransferRecipe):
        recipe = load_recipe(kind, None)
        assert kind.model_validate(recipe.model_dump(mode="json")) == recipe


def test_a_file_and_overrides(tmp_path):
    file = write(tmp_path, "model: {kind: flipout, width: 0.25}\ntraining: {epochs: 3}\n")
    recipe = load_recipe(
        PretrainRecipe,
        file,
        ["model.width=0.5", "data.train=[fold1, fold2]", "optimizer.clip_norm=null"],
    )
    assert recipe.model.kind == "flipout"
    assert recipe.model.width == 0.5
    assert recipe.training.epochs == 3
    assert recipe.data.train == ["fold1", "fold2"]
    assert recipe.optimizer.clip_norm is None


def test_the_last_override_counts():
    recipe = load_recipe(TransferRecipe, None, ["training.seed=1", "training.seed=2"])
    assert recipe.training.seed == 2


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            ["optimizer.learning_rat=1"],
            "unknown key optimizer.learning_rat; did you mean learning_rate?",
        ),
        (["optimiser.learning_rate=1"], "unknown key optimiser; did you mean optimizer?"),
        (["training.zzz=1"], "unknown key training.zzz; allowed are batch_size, epochs"),
        (["model.depth=50"], "model.depth is 50: input should be 22, 38 or 54"),
        (
            ["model.kind=bayes"],
            "model.kind is 'bayes': input should be 'deterministic', 'dropout' or",
        ),
        (
            ["training.batch_size=0"],
            "training.batch_size is 0: input should be greater than or equal",
        ),
        (
            ["training.batch_size=many"],
            "training.batch_size is 'many': input should be a valid integer",
        ),
        (
            ["optimizer.learning_rate=-1"],
            "optimizer.learning_rate is -1: input should be greater than 0",
        ),
        (["data.train=fold1"], "data.train is 'fold1': input should be a valid list"),
        (
            ["objective.kl_reduction=max"],
            "objective.kl_reduction is 'max': input should be 'sum' or 'mean'",
        ),
    ],
)
def test_wrong_values(settings, message):
    with pytest.raises(UserError) as error:
        load_recipe(PretrainRecipe, None, settings)
    assert str(error.value).startswith("recipe (the defaults): ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "setting, message",
    [
        ("optimizer.learning_rate", "--set 'optimizer.learning_rate' is not KEY=VALUE"),
        ("=3", "--set '=3' is not KEY=VALUE"),
        ("training.seed=[1", "--set 'training.seed=[1': the value is not YAML"),
    ],
)
def test_malformed_overrides(setting, message):
    with pytest.raises(UserError) as error:
        load_recipe(PretrainRecipe, None, [setting])
    assert message in str(error.value)


def test_an_override_below_a_value(tmp_path):
    file = write(tmp_path, "mode: fixed\n")
    with pytest.raises(UserError, match="mode is a value, not a section"):
        load_recipe(TransferRecipe, file, ["mode.x=1"])


@pytest.mark.parametrize(
    "text, message",
    [
        ("- a\n- b\n", "holds a list; a recipe is a YAML mapping"),
        ("model: {depth: [", "is not YAML"),
        ("model:\n", "model is None"),
    ],
)
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(UserError) as error:
        load_recipe(PretrainRecipe, write(tmp_path, text))
    assert message in str(error.value)


def test_an_empty_file_is_the_defaults(tmp_path):
    assert load_recipe(TransferRecipe, write(tmp_path, "")) == load_recipe(TransferRecipe, None)


def test_a_pretraining_recipe_is_none_of_transfer(tmp_path):
    with pytest.raises(UserError, match="unknown key model; "):
        load_recipe(TransferRecipe, write(tmp_path, "model: {depth: 22}\n"))


def test_shipped_recipes_are_found_by_name():
    assert find_recipe("pretrain/quickstart_flipout").samefile(
        RECIPES / "pretrain" / "quickstart_flipout.yaml"
    )
    with pytest.raises(
        UserError, match="no recipe pretrain/quickstart_flipot: .*pretrain/quickstart_flipout"
    ):
        find_recipe("pretrain/quickstart_flipot")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes(name):
    kinds = {"pretrain": PretrainRecipe, "transfer": TransferRecipe, "studies": StudyRecipe}
    load_recipe(kinds[pathlib.Path(name).parent.name], RECIPES / name)
    header = [
        line
        for line in (RECIPES / name).read_text(encoding="utf-8").splitlines()
        if line[:1] == "#"
    ]
    for field in ("# Command: ", "# Source: ", "# Cost: "):
        assert any(line.startswith(field) for line in header), f"{name} says no {field}"
    # The command names this very file.
    assert any(name.removesuffix(".yaml") in line for line in header)
