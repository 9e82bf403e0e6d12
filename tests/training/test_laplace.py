"""The strategy det-laplace and the command laplace: what they fit, and what they refuse."""

import re

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from tests.helpers.light_model import light_version
from tests.helpers.tiny_training import eagerly, same_weights, transfer_recipe
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.models.loss import probabilities
from vipann_tf.models.randomness import Draw
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.load import load_model, load_signatures, read_variables
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.saved_model.stored_calibration import Calibration
from vipann_tf.training.laplace import add_laplace_head
from vipann_tf.training.transfer import transfer
from vipann_tf.uncertainty import decomposition
from vipann_tf.uncertainty.laplace import curvature

pytestmark = pytest.mark.slow
STEPS = ("training.steps=40", "optimizer.learning_rate=0.01", "export.num_draws=3")
PRIOR = "variational.laplace_precision=evidence"
POSTERIOR = {"fc_out/input_basis", "fc_out/output_basis", "fc_out/stddev"}


@pytest.fixture(scope="module")
def made(bases, events, tagging, tmp_path_factory):
    """Of each task: a det model, a Laplace head added to it, and its data set."""
    out = tmp_path_factory.mktemp("laplace")
    found = {}
    for task, data, fold in (("multiclass", events, 1), ("multilabel", tagging, None)):
        det, laplace = out / f"det-{task}", out / f"laplace-{task}"
        with pytest.MonkeyPatch.context() as patch, eagerly(patch):
            recipe = transfer_recipe("det", "fixed", *STEPS, PRIOR)
            transfer(recipe, bases["deterministic"], data, det, test_fold=fold)
            add_laplace_head(det, data, laplace)
        found[task] = det, laplace, data
    return found


every_task = pytest.mark.parametrize("task", ["multiclass", "multilabel"])


def training_set(laplace, data):
    """Embeddings with a last column of ones, probabilities and labels of the training clips."""
    network, info = load_model(laplace)
    batches = list(evaluation_batches(data, info.data.splits, 32))
    embeddings = np.concatenate([network.run(b["waveform"], stop="embedding") for b in batches])
    logits = network.run(tf.constant(embeddings), start="embedding")
    probs = probabilities(logits, info.architecture.task).numpy()
    labels = np.concatenate([batch["labels"] for batch in batches])
    return np.hstack([embeddings, np.ones([len(embeddings), 1])]), probs, labels


@every_task
def test_the_posterior_is_that_of_the_training_clips(made, task):
    _, laplace, data = made[task]
    features, probs, labels = training_set(laplace, data)
    factors = curvature(features, probs, task)
    values = read_variables(laplace)
    mean = np.vstack([values["fc_out/kernel"], values["fc_out/bias"]]).astype(np.float64)
    true = np.log(probs) if task == "multiclass" else np.log(np.where(labels, probs, 1 - probs))
    nll = -(true * labels).sum() if task == "multiclass" else -true.sum()

    training = read_model_info(laplace).training
    assert training["laplace_clips"] == len(features) == read_model_info(laplace).data.clips
    # No other precision of a grid has more evidence.
    grid = np.geomspace(1e-4, 1e6, 401)
    evidence = [factors.log_evidence(nll, mean, precision) for precision in grid]
    assert training["laplace_log_evidence"] >= max(evidence) - 1e-3
    best = grid[np.argmax(evidence)]
    assert training["laplace_precision"] == pytest.approx(best, rel=0.1)
    assert 1e-3 < best < 1e5  # not at an end of the range
    assert "laplace_warning" not in training

    # Eigenvectors of equal eigenvalues are not unique, covariances are.
    expected = factors.posterior(mean, training["laplace_precision"])
    for row in (0, 7, len(mean) - 1):
        rotated = (values["fc_out/input_basis"][row] ** 2) @ (values["fc_out/stddev"] ** 2)
        ours = (values["fc_out/output_basis"] * rotated) @ values["fc_out/output_basis"].T
        rotated = (expected.input_basis[row] ** 2) @ (expected.stddev**2)
        theirs = (expected.output_basis * rotated) @ expected.output_basis.T
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


@every_task
def test_uncertainty_grows_away_from_the_training_clips(made, task):
    """In a direction that few clips have, and that the mean of the weights does not see."""
    _, laplace, data = made[task]
    features, _, _ = training_set(laplace, data)
    network, _ = load_model(laplace)
    kernel = network.named_variables()["fc_out/kernel"].numpy()
    unseen = np.linalg.svd(kernel.T)[2][kernel.shape[1] :].T  # a basis of what W^T maps to 0
    inside = features[:, :-1] @ unseen
    away = unseen @ np.linalg.eigh(inside.T @ inside)[1][:, 0]
    start = features[0, :-1]
    scale = np.linalg.norm(start)

    epistemic, means = [], []
    for distance in (0.0, 1.0, 3.0, 10.0):
        x = tf.constant((start + distance * scale * away)[np.newaxis], tf.float32)
        x = network.run(x, start="embedding", stop="shared")
        probs = [
            probabilities(network.run(x, start="shared", draw=Draw(1, index)), task)
            for index in range(1, 41)
        ]
        epistemic.append(float(decomposition.decompose(tf.stack(probs), task).epistemic[0]))
        means.append(network.run(x, start="shared").numpy())
    np.testing.assert_allclose(means, np.broadcast_to(means[0], np.shape(means)), atol=1e-3)
    assert np.all(np.diff(epistemic) > 0), epistemic
    assert epistemic[-1] > 1.5 * epistemic[0]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("optimizer.ema_momentum=0.5", "training.precision=mixed_bfloat16", "data.fraction=0.5"),
        ("validation.splits=[fold2]", "validation.patience=1", "validation.num_draws=2"),
    ],
    ids=["plain", "averaged", "validated"],
)
def test_the_strategy_is_det_and_then_the_command(bases, events, tmp_path, settings):
    for strategy in ("det", "det-laplace"):
        recipe = transfer_recipe(strategy, "finetune", *settings)
        transfer(recipe, bases["deterministic"], events, tmp_path / strategy, test_fold=1)
    trained = read_variables(tmp_path / "det")
    found = read_variables(tmp_path / "det-laplace")
    assert found.keys() - trained.keys() == POSTERIOR
    for name, value in trained.items():
        np.testing.assert_array_equal(found[name], value)
    version = add_laplace_head(tmp_path / "det", events, tmp_path / "command")
    assert same_weights(tmp_path / "command", tmp_path / "det-laplace")
    info, other = read_model_info(version), read_model_info(tmp_path / "det-laplace")
    other.training["seconds"] = info.training["seconds"]
    assert info == other
    assert (info.architecture.head, info.draw_storage) == ("laplace", "sampled")
    assert info.recipe["strategy"] == "det-laplace"


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("wanted", ["weights", "25"])
def test_the_precision_is_what_the_recipe_or_the_option_says(made, bases, events, tmp_path, wanted):
    det, _, data = made["multiclass"]
    arguments = ["laplace", str(det), "--data", str(data), "--out", str(tmp_path / "option")]
    arguments += ["--prior-precision", wanted]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    recipe = transfer_recipe(
        "det-laplace", "fixed", *STEPS, f"variational.laplace_precision={wanted}"
    )
    transfer(recipe, bases["deterministic"], events, tmp_path / "recipe", test_fold=1)
    values = read_variables(tmp_path / "recipe")
    weights = np.append(values["fc_out/kernel"], values["fc_out/bias"])
    expected = 25 if wanted == "25" else 1 / np.mean(np.square(weights, dtype=np.float64))
    for name in ("option", "recipe"):
        info = read_model_info(tmp_path / name)
        assert info.training["laplace_precision"] == pytest.approx(expected, rel=1e-6)
        assert info.recipe == recipe.model_dump(mode="json")
    # The largest standard deviation is that of the prior, where the clips say nothing.
    assert values["fc_out/stddev"].max() == pytest.approx(expected**-0.5, rel=1e-3)


@pytest.mark.parametrize("wanted", ["wide", "0", "-2", "nan", "inf"])
def test_precisions_that_are_none(made, tmp_path, wanted):
    det, _, data = made["multiclass"]
    arguments = ["laplace", str(det), "--data", str(data), "--out", str(tmp_path / "m")]
    result = CliRunner().invoke(main, [*arguments, "--prior-precision", wanted])
    assert result.exit_code == 1
    assert re.search(f"is '?{wanted}'?; (use|give) evidence, weights or a number", result.output)


@pytest.mark.usefixtures("eager")
def test_an_interrupted_training_gives_the_same_model(bases, events, tmp_path, monkeypatch):
    def run(out):
        recipe = transfer_recipe("det-laplace", "fixed")
        transfer(recipe, bases["deterministic"], events, tmp_path / out, test_fold=1)

    run("once")
    with monkeypatch.context() as patch:
        patch.setattr("vipann_tf.training.fit.export", _fail)
        with pytest.raises(UserError, match=r"can't write the model in .*: no room; make room"):
            run("twice")
    run("twice")
    assert same_weights(tmp_path / "once", tmp_path / "twice")


def _fail(*arguments, **options):
    raise OSError("no room")


@pytest.mark.usefixtures("eager")
def test_a_transfer_can_start_from_a_laplace_model(made, events, tmp_path):
    _, laplace, data = made["multiclass"]
    before = read_variables(laplace)
    for strategy in ("det", "det-flip", "det-laplace"):
        recipe = transfer_recipe(strategy, "fixed", "training.steps=1")
        transfer(recipe, laplace, events, tmp_path / strategy, test_fold=1)
        after = read_variables(tmp_path / strategy)
        np.testing.assert_array_equal(after["bn0/gamma"], before["bn0/gamma"])
        assert bool(POSTERIOR & after.keys()) == (strategy == "det-laplace")
    still = ("training.steps=1", "optimizer.learning_rate=1e-9", "keep_head=true")
    transfer(transfer_recipe("det", "fixed", *still), laplace, data, tmp_path / "kept", test_fold=1)
    kept = read_variables(tmp_path / "kept")
    np.testing.assert_allclose(kept["fc_out/kernel"], before["fc_out/kernel"], atol=1e-6)


def test_the_command_and_what_it_exports(made, tmp_path):
    """The SavedModel answers as the evaluation does, for each clip alone, too."""
    det, _, data = made["multilabel"]
    arguments = ["laplace", str(det), "--data", str(data), "--out", str(tmp_path / "m")]
    result = CliRunner().invoke(main, [*arguments, "--num-draws", "4"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    clips = read_model_info(det).data.clips
    assert f"Laplace posterior of the last layer from {clips} clips: prior precision" in (
        result.output
    )
    assert "serving_default averages 4 draws" in result.output
    answers = ModelUnderTest.open(tmp_path / "m").predict(data, ["eval"])
    waveforms = [batch["waveform"] for batch in evaluation_batches(data, ["eval"], 32)]
    loaded = load_signatures(tmp_path / "m")
    together = loaded.signatures["serving_default"](waveform=tf.concat(waveforms, 0))
    for name in ("probabilities", "epistemic"):
        expected = getattr(answers.decomposition, name)
        np.testing.assert_allclose(together[name], expected, rtol=0, atol=1e-5)
        alone = loaded.signatures["serving_default"](waveform=waveforms[0][:1])
        np.testing.assert_allclose(alone[name][0], expected[0], rtol=0, atol=1e-5)
    assert answers.decomposition.epistemic.min() > 1e-6
    card = (tmp_path / "m" / "1" / "README.md").read_text(encoding="utf-8")
    assert "laplace_precision" in card


@pytest.mark.usefixtures("eager")
def test_the_calibration_of_the_model_is_left_out(made, tmp_path):
    det, _, data = made["multiclass"]
    network, info = load_model(det)
    metrics = {"tiny/fold1": {"nll": 0.5}}
    calibrated = info.model_copy(
        update={"calibration": Calibration(temperature=2.0), "metrics": metrics}
    )
    light_version(network, tmp_path / "calibrated", calibrated, read_dataset_info(data).labels)
    add_laplace_head(tmp_path / "calibrated", data, tmp_path / "m")
    made_info = read_model_info(tmp_path / "m")
    assert (made_info.calibration.temperature, made_info.metrics) == (1.0, {})


@pytest.mark.usefixtures("eager")
def test_an_imported_model_takes_the_split_train(made, tmp_path):
    det, laplace, data = made["multilabel"]
    network, info = load_model(det)
    imported = info.model_copy(
        update={"origin": "import", "data": None, "base": None, "recipe": {}, "training": {}}
    )
    light_version(network, tmp_path / "imported", imported, read_dataset_info(data).labels)
    add_laplace_head(tmp_path / "imported", data, tmp_path / "m", precision="evidence")
    assert same_weights(tmp_path / "m", laplace)
    assert read_model_info(tmp_path / "m").recipe == {}


@pytest.mark.usefixtures("eager")
def test_what_is_refused(made, tmp_path):
    det, laplace, data = made["multiclass"]
    with pytest.raises(UserError, match="has a deterministic trunk and a laplace head; a Laplace"):
        add_laplace_head(laplace, data, tmp_path / "m")
    with pytest.raises(UserError, match="already|exists"):
        add_laplace_head(det, data, laplace)
    network, info = load_model(det)
    labels = read_dataset_info(data).labels
    for change, message in {
        "dataset": "was trained on another, but .* is synthetic.*; a Laplace posterior is that of",
        "clips": r"was trained on 9 clips of fold2, .*, but .* has \d+ there",
    }.items():
        trained = info.data.model_copy(update={change: {"dataset": "another", "clips": 9}[change]})
        other = info.model_copy(update={"data": trained})
        light_version(network, tmp_path / change, other, labels)
        with pytest.raises(UserError, match=message):
            add_laplace_head(tmp_path / change, data, tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.usefixtures("eager")
def test_a_head_of_zeros_is_warned_of(made, tmp_path):
    det, _, data = made["multiclass"]
    network, info = load_model(det)
    values = network.named_variables()
    for name in ("fc_out/kernel", "fc_out/bias"):
        values[name].assign(tf.zeros_like(values[name]))
    light_version(network, tmp_path / "zero", info, read_dataset_info(data).labels)
    arguments = ["laplace", str(tmp_path / "zero"), "--data", str(data), "--out"]
    result = CliRunner().invoke(main, [*arguments, str(tmp_path / "m")], catch_exceptions=False)
    assert "warning: the precision of the prior is the highest of its range, 1e+06" in result.output
    assert "highest of its" in read_model_info(tmp_path / "m").training["laplace_warning"]
