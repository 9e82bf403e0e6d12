"""Options of a recipe that change a whole run: each has its effect."""

import csv

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.interruptions import Killed, killed_at
from tests.helpers.tiny_training import eagerly, same_weights, transfer_recipe
from vipann_tf.errors import UserError
from vipann_tf.evaluation.draw_statistics import draw_statistics
from vipann_tf.evaluation.inference import predict_batches
from vipann_tf.recipes import TransferRecipe, load_recipe
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.saved_model.load import load_model, read_variables
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.training import loop
from vipann_tf.training.transfer import transfer
from vipann_tf.uncertainty.metrics import metrics

pytestmark = pytest.mark.slow


@pytest.fixture
def train(bases, events, tmp_path):
    def run(name, *settings, strategy="det-flip", mode="fixed", **options):
        recipe = transfer_recipe(strategy, mode, *settings)
        transfer(recipe, bases["deterministic"], events, tmp_path / name, test_fold=1, **options)
        return tmp_path / name

    return run


def scores(model) -> list[dict[str, float]]:
    with open(
        model / "1" / "assets.extra" / "validation_log.csv", encoding="utf-8", newline=""
    ) as lines:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


@pytest.mark.usefixtures("eager")
def test_averaged_weights(train):
    plain = train("plain")
    assert same_weights(plain, train("none", "optimizer.ema_momentum=0.0"))
    slow = read_variables(train("slow", "optimizer.ema_momentum=0.999"))["fc_out/bias"]
    fast = read_variables(plain)["fc_out/bias"]
    # From 0, two steps of about the learning rate each; the average moved a thousandth part.
    assert np.abs(fast).max() > 1e-3 and 0 < np.abs(slow).max() < 4e-6


@pytest.mark.usefixtures("eager")
def test_a_slow_trunk(train, bases):
    model = train("m", "optimizer.trunk_learning_rate=1e-12", strategy="det", mode="finetune")
    before, after = read_variables(bases["deterministic"]), read_variables(model)
    for name in after:
        if name.endswith("/kernel") and not name.startswith("fc"):
            np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-8)
    # Adam's first step from a bias of 0 has the size of the learning rate.
    assert np.abs(after["fc_out/bias"]).max() > 5e-4


@pytest.mark.usefixtures("eager")
def test_statistics_of_draws(bases, events, tmp_path, train):
    """They are exported with the network, those of the training clips alone."""
    for name, setting in (("stored", []), ("draw", ["export.batch_norm=draw"])):
        recipe = transfer_recipe("flip", "fixed", *setting)
        transfer(recipe, bases["flipout"], events, tmp_path / name, test_fold=1)
    assert same_weights(tmp_path / "stored", tmp_path / "draw")
    network, info = load_model(tmp_path / "draw")
    assert info.batch_norm == "draw"
    expected = draw_statistics(tmp_path / "draw", events)
    assert network.draw_statistics.moments.keys() == expected.moments.keys()
    for name, moments in expected.moments.items():
        np.testing.assert_allclose(
            network.draw_statistics.moments[name], moments, rtol=1e-3, atol=1e-3
        )
    assert load_model(tmp_path / "stored")[0].draw_statistics is None
    for signs, expected in (("channel", "draw"), ("activation", "stored")):
        recipe = transfer_recipe("flip", "fixed", "export.batch_norm=auto", f"signs={signs}")
        transfer(recipe, bases["flipout"], events, tmp_path / signs, test_fold=1)
        assert read_model_info(tmp_path / signs).batch_norm == expected
    automatic = train("automatic", "export.batch_norm=auto")  # a deterministic trunk
    assert read_model_info(automatic).batch_norm == "stored"
    few = ("export.batch_norm=draw", "data.fraction=0.25", "training.batch_size=2")
    recipe = transfer_recipe("flip", "fixed", *few)
    with pytest.raises(UserError, match="needs 8 training clips or more; there are"):
        transfer(recipe, bases["flipout"], events, tmp_path / "few", test_fold=1)
    with pytest.raises(UserError, match="batch_norm is 'draw', but the trunk is deterministic"):
        train("refused", "export.batch_norm=draw")


VALIDATED = ("validation.splits=[fold3]", "validation.num_draws=3", "training.steps=4")


@pytest.mark.usefixtures("eager")
def test_validation_scores_what_is_exported(train, events):
    model = train("m", *VALIDATED, "optimizer.ema_momentum=0.5", "validation.every_epochs=0.5")
    info = read_model_info(model)
    assert info.data.splits == ["fold2", "fold4", "fold5"] and info.data.held_out == ["fold1"]
    rows = scores(model)
    assert [row["step"] for row in rows] == [2, 4]  # an epoch is 12 clips: three steps

    network, _ = load_model(model)
    batches = evaluation_batches(events, ["fold3"], 4)
    answers = predict_batches(network, batches, num_draws=3, seed=info.seed)
    expected = metrics(answers.decomposition.probabilities, answers.truth, "multiclass")
    for name in ("accuracy", "macro_f1", "nll", "brier", "ece"):
        assert rows[-1][name] == pytest.approx(expected[name], abs=1e-5), name
    best = min(rows, key=lambda row: row["nll"])
    assert info.training["best_step"] == best["step"]
    assert info.training["best_value"] == pytest.approx(best["nll"])


@pytest.mark.usefixtures("eager")
def test_early_stopping_keeps_the_best_network(train, events):
    settings = (
        *VALIDATED,
        "training.steps=12",
        "validation.num_draws=1",
        "training.checkpoint_every_steps=2",
        "validation.every_epochs=0.1",
        "validation.patience=2",
        "optimizer.learning_rate=0.3",
    )
    model = train("m", *settings)
    info, rows = read_model_info(model), scores(model)
    values = [row["nll"] for row in rows]
    best = int(np.argmin(values))
    assert len(values) == best + 3 < 12  # two worse ones end it
    assert info.training["steps"] == len(values) and info.training["best_step"] == best + 1

    network, _ = load_model(model)
    batches = evaluation_batches(events, ["fold3"], 4)
    answers = predict_batches(network, batches, num_draws=1, seed=info.seed)
    found = metrics(answers.decomposition.probabilities, answers.truth, "multiclass")
    assert found["nll"] == pytest.approx(values[best], rel=1e-4)

    with pytest.raises(Killed):
        train("killed", *settings, on_progress=killed_at(3))
    again = train("killed", *settings)
    assert same_weights(again, model)
    assert scores(again) == rows


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            ["validation.splits=[fold2]", "data.train=[fold2,fold3]"],
            "validation.splits and data.train both have fold2",
        ),
        (
            ["validation.splits=[fold1]", "validation.patience=1"],
            "validation.patience would choose the network by fold1, which is held out",
        ),
        (["validation.splits=[fold9]"], "split 'fold9' is unknown"),
        (
            ["validation.splits=[fold2]", "validation.metric=map"],
            "validation.metric is map; a multiclass task has accuracy, macro_f1, nll, brier, ece",
        ),
    ],
)
def test_wrong_validation(train, settings, message):
    with pytest.raises(UserError) as error:
        train("m", *settings)
    assert message in str(error.value)


def test_patience_needs_splits():
    with pytest.raises(UserError, match="validation: patience needs splits to validate on"):
        load_recipe(TransferRecipe, None, ["validation.patience=3"])


def test_xla_compiles_the_step(train, monkeypatch):
    """With XLA a graph trains the same network, up to rounding.

    A Bayesian network would differ: XLA has other random numbers.
    """
    settings = ("training.steps=3", "dropout_dense=0")
    with pytest.MonkeyPatch.context() as patch, eagerly(patch):
        tf.config.run_functions_eagerly(False)
        plain = train("plain", *settings, strategy="det")
        compiled = []
        function = tf.function

        def spy(*args, **kwargs):
            compiled.append(kwargs.get("jit_compile", False))
            return function(*args, **kwargs)

        monkeypatch.setattr(loop.tf, "function", spy)
        fast = train("fast", *settings, "training.xla=true", strategy="det")
    assert any(compiled)
    one, other = read_variables(plain), read_variables(fast)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=2e-4, err_msg=name)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_precisions(train, precision):
    plain = read_variables(train("plain"))["fc_out/bias"]
    rounded = read_variables(train("m", f"training.precision={precision}"))["fc_out/bias"]
    assert not np.array_equal(plain, rounded)
    np.testing.assert_allclose(plain, rounded, atol=4e-3)
