"""Trainings that start from the weights of another model."""

import numpy as np
import pytest

from tests.helpers.tiny_training import log_rows, pretrain_recipe, transfer_recipe
from vipann_tf.errors import UserError
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.training.pretrain import pretrain
from vipann_tf.training.transfer import transfer
from vipann_tf.training.warm_start import MIN_STDDEV

# Steps of this size leave the weights where they started, to the tolerance below.
STILL = ("training.steps=1", "optimizer.learning_rate=1e-9")
MOPED = "variational.moped_delta=0.1"


def stddev(rho):
    return np.logaddexp(0, rho)


@pytest.mark.usefixtures("eager")
def test_a_flipout_network_starts_around_a_deterministic_one(bases, tagging, tmp_path):
    recipe = pretrain_recipe("flipout", MOPED, *STILL)
    pretrain(recipe, tagging, tmp_path / "m", base=bases["deterministic"])
    base, model = read_variables(bases["deterministic"]), read_variables(tmp_path / "m")
    kernels = [name for name in model if name.endswith("/kernel_loc")]
    assert len(kernels) > 10
    for name in kernels:
        kernel = base[name.replace("kernel_loc", "kernel")]
        np.testing.assert_allclose(model[name], kernel, atol=1e-7)
        width = stddev(model[name.replace("kernel_loc", "kernel_rho")])
        np.testing.assert_allclose(width, np.maximum(0.1 * np.abs(kernel), MIN_STDDEV), rtol=1e-3)
    # The published head is deterministic: it is kept as it is.
    np.testing.assert_allclose(model["fc_out/kernel"], base["fc_out/kernel"], atol=1e-7)
    info = read_model_info(tmp_path / "m")
    assert (info.origin, info.base["origin"]) == ("pretrain", "pretrain")


@pytest.mark.usefixtures("eager")
def test_a_dropout_network_starts_with_the_weights_of_a_deterministic_one(bases, tagging, tmp_path):
    pretrain(
        pretrain_recipe("dropout", *STILL), tagging, tmp_path / "m", base=bases["deterministic"]
    )
    base, model = read_variables(bases["deterministic"]), read_variables(tmp_path / "m")
    assert base.keys() == model.keys()
    np.testing.assert_allclose(model["fc1/kernel"], base["fc1/kernel"], atol=1e-7)


@pytest.mark.usefixtures("eager")
def test_a_kept_head_starts_from_that_of_the_base(bases, events, tmp_path):
    transfer(
        transfer_recipe("det", "fixed"),
        bases["deterministic"],
        events,
        tmp_path / "det",
        test_fold=1,
    )
    recipe = transfer_recipe("det-flip", "fixed", "keep_head=true", MOPED, *STILL)
    transfer(recipe, tmp_path / "det", events, tmp_path / "det-flip", test_fold=1)
    base, model = read_variables(tmp_path / "det"), read_variables(tmp_path / "det-flip")
    for layer in ("fc1", "fc_out"):
        kernel = base[f"{layer}/kernel"]
        np.testing.assert_allclose(model[f"{layer}/kernel_loc"], kernel, atol=1e-7)
        width = stddev(model[f"{layer}/kernel_rho"])
        np.testing.assert_allclose(width, np.maximum(0.1 * np.abs(kernel), MIN_STDDEV), rtol=1e-3)
        np.testing.assert_allclose(model[f"{layer}/bias"], base[f"{layer}/bias"], atol=1e-7)


def test_wrong_bases(bases, events, tagging, tmp_path):
    def refused(match, *settings, kind="flipout", base="deterministic", data=tagging):
        with pytest.raises(UserError, match=match):
            pretrain(pretrain_recipe(kind, *settings), data, tmp_path / "m", base=bases[base])

    refused("layer conv_block1.conv1 is Flipout, but determin.*moped_delta=0.1")
    refused("has width 0.0625, but the recipe asks for 0.125", MOPED, "model.width=0.125")
    refused("has depth 22, but the recipe asks for 54", MOPED, "model.depth=54")
    refused("base has no conv_block1.conv1/kernel; ", kind="deterministic", base="flipout")
    refused("does not answer the labels", MOPED, "data.train=[fold1]", data=events)
    with pytest.raises(UserError, match="does not answer the labels"):
        transfer(
            transfer_recipe("det", "fixed", "keep_head=true"),
            bases["deterministic"],
            events,
            tmp_path / "m",
            test_fold=1,
        )


@pytest.mark.usefixtures("eager")
def test_an_empirical_prior_is_that_of_trunk_and_head(bases, events, tmp_path):
    """At the start the divergence of a layer is the sum of log(s0 / s) over its weights."""
    settings = ("variational.prior=empirical", "variational.initial_stddev=auto", *STILL)
    recipe = transfer_recipe("flip", "finetune", "objective.kl_reduction=sum", *settings)
    transfer(recipe, bases["flipout"], events, tmp_path / "m", test_fold=1)
    model = read_variables(tmp_path / "m")
    expected = 0.0
    for name in model:
        if name.endswith("/kernel_loc"):
            width = stddev(np.float64(model[name.replace("kernel_loc", "kernel_rho")]))
            best = np.sqrt(np.mean(np.float64(model[name]) ** 2 + width**2))
            expected += np.sum(np.log(best / width))
    assert log_rows(tmp_path / "m")[0]["kl"] == pytest.approx(expected, rel=1e-4)
