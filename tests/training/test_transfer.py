"""Transfer: what each strategy and mode trains, keeps and starts from."""

import json
import shutil

import numpy as np
import pytest

from tests.helpers.tiny_training import log_rows, transfer_recipe
from vipann_tf.errors import UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.training.strategies import STRATEGIES
from vipann_tf.training.transfer import (
    training_splits,
    transfer,
    transferred_architecture,
)
from vipann_tf.training.warm_start import start_from

BASE_OF = {strategy: kinds.base for strategy, kinds in STRATEGIES.items()}
HEAD = ("fc1", "fc_out")


def is_head(name: str) -> bool:
    return name.split("/")[0] in HEAD


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("mode", ["fixed", "finetune"])
@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_what_is_trained(bases, events, tmp_path, strategy, mode):
    base = bases[BASE_OF[strategy]]
    recipe = transfer_recipe(strategy, mode)
    seen = []
    transfer(recipe, base, events, tmp_path / "m", test_fold=2, on_progress=seen.append)

    info = read_model_info(tmp_path / "m")
    _, trunk, head = STRATEGIES[strategy]
    assert (info.architecture.trunk, info.architecture.head) == (trunk, head)
    assert (info.architecture.task, info.architecture.labels) == ("multiclass", 10)
    assert info.data.held_out == ["fold2"]
    assert info.data.splits == ["fold1", "fold3", "fold4", "fold5"]
    assert info.recipe["strategy"] == strategy and info.recipe["mode"] == mode
    assert info.draw_storage == ("stored" if strategy == "det-flip" else "sampled")
    assert info.base["origin"] == "pretrain"
    assert not (tmp_path / "m" / "training").exists()

    before, after = read_variables(base), read_variables(tmp_path / "m")
    for name in after:
        if is_head(name):
            continue
        same = np.array_equal(before[name], after[name])
        assert same == (mode == "fixed"), f"{name} {'kept' if same else 'changed'}"

    rows = log_rows(tmp_path / "m")
    assert [row["step"] for row in rows] == [1, 2] == [progress.step for progress in seen]
    for row, progress in zip(rows, seen, strict=True):
        assert row["loss"] == pytest.approx(row["nll"] + row["kl"] * row["kl_scale"], rel=1e-5)
        assert progress.loss == row["loss"] and progress.steps == 2
        bayesian = head == "flipout"
        assert (row["kl"] > 0) == bayesian
        assert row["kl_scale"] == pytest.approx(1 / info.data.clips)


@pytest.mark.usefixtures("eager")
def test_kl_is_that_of_the_layers_being_trained(bases, events, tmp_path):
    """At the first step the head's posterior is the initial one, so its KL is known."""
    recipe = transfer_recipe("flip", "fixed", "training.steps=1", "objective.kl_reduction=sum")
    transfer(recipe, bases["flipout"], events, tmp_path / "m", test_fold=1)
    model = new_model(recipe, bases["flipout"], events)
    s = recipe.variational.initial_stddev
    expected = sum(
        np.sum(np.log(1 / s) + (s**2 + layer.kernel_loc.numpy() ** 2) / 2 - 0.5)
        for layer in model.bayesian_layers
        if layer.name in HEAD
    )
    assert log_rows(tmp_path / "m")[0]["kl"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("eager")
def test_cached_features_give_the_same_network(bases, events, tmp_path):
    """A shift of less than one sample is none, but an augmentation that forbids the cache."""
    for name, settings in {"cached": [], "plain": ["augment.time_shift_s=1e-9"]}.items():
        recipe = transfer_recipe("det-flip", "fixed", "training.steps=4", *settings)
        transfer(recipe, bases["deterministic"], events, tmp_path / name, test_fold=1)
    cached, plain = read_variables(tmp_path / "cached"), read_variables(tmp_path / "plain")
    for name in cached:
        np.testing.assert_allclose(cached[name], plain[name], rtol=0, atol=1e-5, err_msg=name)
    rows = log_rows(tmp_path / "cached"), log_rows(tmp_path / "plain")
    for one, other in zip(*rows, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def new_model(recipe, base, events) -> VIPANN:
    architecture = transferred_architecture(
        recipe, read_model_info(base).architecture, 10, "multiclass", "base"
    )
    return VIPANN(architecture, trunk_flipout={"prior": recipe.variational.prior})


def load_trunk(model, base, variational):
    start_from(model, base, variational, wanted=lambda layer: layer not in HEAD)


def trunk_layers(model: VIPANN):
    return [layer for layer in model.bayesian_layers if layer.name not in HEAD]


def test_flip_starts_with_the_posterior_of_its_base(bases, events):
    recipe = transfer_recipe("flip", "finetune")
    model = new_model(recipe, bases["flipout"], events)
    base = read_variables(bases["flipout"])
    load_trunk(model, base, recipe.variational)
    for layer in trunk_layers(model):
        np.testing.assert_array_equal(layer.kernel_loc, base[f"{layer.name}/kernel_loc"])
        np.testing.assert_array_equal(layer.kernel_rho, base[f"{layer.name}/kernel_rho"])
        assert float(layer.kl()) > 1  # from N(0, 1)


def test_a_pretrained_prior_is_the_posterior_of_the_base(bases, events):
    recipe = transfer_recipe("flip", "finetune", "variational.prior=pretrained")
    model = new_model(recipe, bases["flipout"], events)
    load_trunk(model, read_variables(bases["flipout"]), recipe.variational)
    for layer in trunk_layers(model):
        # Of log(s0 / s) + ratio^2 / 2 - 1 / 2 only rounding is left.
        assert abs(float(layer.kl())) < 1e-6 * layer.kernel_loc.shape.num_elements()
    head = [layer for layer in model.bayesian_layers if layer.name in HEAD]
    assert all(float(layer.kl()) > 1 for layer in head)


def test_moped_takes_means_and_spreads_from_deterministic_weights(bases, events):
    recipe = transfer_recipe("flip", "finetune", "variational.moped_delta=0.2")
    base = read_variables(bases["deterministic"])
    model = new_model(recipe, bases["deterministic"], events)
    load_trunk(model, base, recipe.variational)
    for layer in trunk_layers(model):
        kernel = base[f"{layer.name}/kernel"]
        np.testing.assert_array_equal(layer.kernel_loc, kernel)
        np.testing.assert_allclose(
            layer.kernel_stddev(), np.maximum(0.2 * np.abs(kernel), 1e-6), rtol=1e-3
        )
    stats = "bn0/moving_mean"
    np.testing.assert_array_equal(model.named_variables()[stats], base[stats])


@pytest.mark.parametrize("strategy", list(STRATEGIES))
@pytest.mark.parametrize("kind", ["deterministic", "dropout", "flipout"])
def test_strategy_and_base_must_go_together(bases, events, strategy, kind):
    recipe = transfer_recipe(strategy, "fixed")
    architecture = read_model_info(bases[kind]).architecture
    without_flipout = {"deterministic", "dropout"}
    if kind == BASE_OF[strategy] or {kind, BASE_OF[strategy]} == without_flipout:
        made = transferred_architecture(recipe, architecture, 10, "multiclass", "base")
        assert made.depth == 22 and made.width == 0.0625
        return
    fitting = "flip" if kind == "flipout" else "det or drop or det-flip or det-laplace"
    with pytest.raises(UserError) as error:
        transferred_architecture(recipe, architecture, 10, "multiclass", "base")
    assert str(error.value) == (
        f"strategy {strategy} starts from a {BASE_OF[strategy]} base, but base is {kind}; "
        f"use {fitting} for it"
    )


def test_signs_are_those_of_the_base_or_of_the_recipe(bases, events):
    for settings, signs in {(): "channel", ("signs=activation",): "activation"}.items():
        model = new_model(transfer_recipe("flip", "finetune", *settings), bases["flipout"], events)
        assert {layer.signs for layer in trunk_layers(model)} == {signs}


def test_signs_go_with_flip_alone(bases, events):
    recipe = transfer_recipe("det-flip", "finetune", "signs=activation")
    with pytest.raises(
        UserError, match="signs is 'activation', but strategy det-flip has a determ"
    ):
        new_model(recipe, bases["deterministic"], events)


def test_moped_goes_with_flip_alone(bases, events):
    recipe = transfer_recipe("det", "finetune", "variational.moped_delta=0.2")
    architecture = read_model_info(bases["deterministic"]).architecture
    with pytest.raises(UserError, match="moped_delta needs strategy flip, not det"):
        transferred_architecture(recipe, architecture, 10, "multiclass", "base")


def test_no_strategy(bases, events, tmp_path):
    recipe = transfer_recipe("det", "fixed").model_copy(update={"strategy": None})
    with pytest.raises(UserError, match="choose one of det, drop, flip, det-flip, det-laplace"):
        transfer(recipe, bases["deterministic"], events, tmp_path / "m", test_fold=1)


def test_splits(events):
    dataset = read_dataset_info(events)
    assert training_splits(dataset, None, 5) == (["fold1", "fold2", "fold3", "fold4"], ["fold5"])
    assert training_splits(dataset, ["fold1", "fold5"], 5) == (["fold1"], ["fold5"])
    assert training_splits(dataset, ["fold1", "fold2"], None) == (
        ["fold1", "fold2"],
        ["fold3", "fold4", "fold5"],
    )
    with pytest.raises(UserError, match="test fold 7 is unknown; dataset .* has 1, 2, 3, 4, 5"):
        training_splits(dataset, None, 7)
    with pytest.raises(UserError, match="has the splits fold1, .*say which fold"):
        training_splits(dataset, None, None)
    with pytest.raises(UserError, match="split 'dusk' is unknown"):
        training_splits(dataset, ["dusk"], None)


def test_no_folds(tagging):
    with pytest.raises(UserError, match="test fold 1 is unknown; dataset .* has no folds"):
        training_splits(read_dataset_info(tagging), None, 1)


def test_sample_rates_must_agree(bases, events, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(events, data)
    content = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps({**content, "sample_rate_hz": 16000}))
    with pytest.raises(UserError, match="sample rate of 16000 Hz, but .* takes 32000 Hz; prepare"):
        transfer(transfer_recipe("det", "fixed"), bases["deterministic"], data, tmp_path / "m")
