"""How recipes and settings meet; the trainings themselves have tests of their own."""

import pytest

import vipann_tf as vt
from vipann_tf.face import training
from vipann_tf.recipes import load_recipe


def resolved(recipe=None, settings=(), strategy=None, mode=None, allow=False):
    return training._resolved_transfer(recipe, strategy, mode, settings, allow)


@pytest.mark.parametrize(
    "settings",
    [
        {"training": {"epochs": 5}, "strategy": "drop"},
        {"training.epochs": 5, "strategy": "drop"},
        ["training.epochs=5", "strategy=drop"],
    ],
)
@pytest.mark.parametrize("given", ["name", "value"])
def test_settings_replace_values_of_a_recipe(settings, given):
    shipped = load_recipe(vt.TransferRecipe, "transfer/small_fixed")
    recipe = shipped if given == "value" else "transfer/small_fixed"
    found = resolved(recipe, settings)
    assert (found.training.epochs, found.strategy) == (5, "drop")
    assert found.mode == shipped.mode and found.optimizer == shipped.optimizer
    assert shipped.training.epochs != 5


def test_arguments_of_their_own_win():
    found = resolved(None, {"strategy": "drop", "mode": "finetune"}, "det", "fixed", True)
    assert (found.strategy, found.mode, found.data.allow_empty_labels) == ("det", "fixed", True)
    assert resolved() == vt.TransferRecipe()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: resolved(settings="training.epochs=5"), r"give a mapping, or a list: \['train"),
        (lambda: resolved(settings={"training.epoch": 5}), "did you mean epochs"),
        (lambda: resolved(vt.PretrainRecipe()), "a PretrainRecipe; a TransferRecipe is needed"),
        (lambda: resolved("none"), "no recipe none"),
        (
            lambda: vt.transfer("a", "b", "c", parallel_members=2),
            r"parallel members \(2\) are for members above 1",
        ),
        (
            lambda: vt.transfer("a", "b", "c", members=2, parallel_members=2, devices="mirrored"),
            r"parallel members \(2\) get one device each, and devices='mirrored'",
        ),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(vt.UserError, match=message):
        call()


def test_a_network_by_its_name():
    network = vt.resnet54(7, "multilabel", trunk="dropout", width=1 / 64, seed=3)
    assert network.architecture == vt.Architecture(
        depth=54, width=1 / 64, trunk="dropout", head="dropout", labels=7, task="multilabel"
    )
    with pytest.raises(ValueError, match="multiple of 1/64"):
        vt.resnet54(7, "multilabel", width=0.3)
