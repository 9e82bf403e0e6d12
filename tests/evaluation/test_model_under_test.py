"""A model applied to a data set: what it refuses, and in which precision it answers."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from tests.helpers.light_model import write_light_model
from vipann_tf import datasets
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.models.loss import probabilities
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.prepare import prepare
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.uncertainty.decomposition import decompose


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Clips of 1 s at 32 and at 16 kHz, and an untrained model of either precision for them."""
    root = tmp_path_factory.mktemp("under_test")
    source = datasets.load("synthetic", None, task="multiclass", clips=10, seconds=1.0)
    dataset = prepare(source, root / "data", workers=1)
    prepare(source, root / "slow", sample_rate_hz=16_000, workers=1)
    for precision in ("float32", "bfloat16"):
        write_light_model(root / precision, dataset, precision=precision)
    return root


@pytest.mark.parametrize("command", ["evaluate", "calibrate", "compare", "rank", "ood"])
def test_clips_of_another_rate_are_refused(made, tmp_path, command):
    arguments = [command, made / "float32", "--data", made / "slow"]
    if command == "ood":
        arguments = ["evaluate", made / "float32", "--data", made / "data", "--ood", made / "slow"]
    if command != "rank":
        arguments += ["--out", tmp_path / "out"]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 1
    expected = (
        f"Error: {made / 'slow'} has a sample rate of 16000 Hz, but {made / 'float32'} takes 32000 "
        "Hz; prepare the data set again at that rate\n"
    )
    assert result.stderr.endswith(expected)
    assert not list(tmp_path.iterdir())


def test_draws_are_those_of_the_export_unless_chosen(made):
    tested = ModelUnderTest.open(made / "float32")
    assert (tested.num_draws, tested.seed, tested.num_networks) == (2, 4, 2)
    tested = ModelUnderTest.open(made / "float32", num_draws=1, seed=0)
    assert (tested.num_draws, tested.seed, tested.num_networks) == (1, 0, 1)
    with pytest.raises(UserError, match="num_draws is 0; use 1 or more"):
        ModelUnderTest.open(made / "float32", num_draws=0)


def test_a_deterministic_network_has_one_draw(made, tmp_path):
    dataset = ModelUnderTest.open(made / "float32").check(made / "data")
    write_light_model(tmp_path / "one", dataset, head="deterministic")
    assert ModelUnderTest.open(tmp_path / "one", num_draws=7).num_networks == 1


def test_other_labels_are_refused_unless_they_do_not_matter(made, tmp_path):
    dataset = ModelUnderTest.open(made / "float32").check(made / "data")
    fewer = dataset.model_copy(update={"labels": dataset.labels[:-1]})
    write_light_model(tmp_path / "fewer", fewer)
    tested = ModelUnderTest.open(tmp_path / "fewer")
    with pytest.raises(UserError, match="does not answer the labels of .*'9 labels' against '10 l"):
        tested.check(made / "data")
    assert tested.check(made / "data", any_labels=True) == dataset


@pytest.mark.parametrize("model, data", [(1, 10), (10, 1), (10, 12)])
def test_recordings_slowed_otherwise_are_refused(made, tmp_path, model, data):
    """A model of bats, slowed ten times, and data at another speed; also those of --ood."""
    info = read_dataset_info(made / "data")
    write_light_model(tmp_path / "model", info.model_copy(update={"time_expansion": model}))
    shutil.copytree(made / "data", tmp_path / "data")
    other = info.model_copy(update={"time_expansion": data})
    (tmp_path / "data" / "dataset.json").write_text(other.model_dump_json())
    tested = ModelUnderTest.open(tmp_path / "model")
    assert tested.info.time_expansion == model
    for any_labels in (False, True):
        message = (
            f"slowed {data:g} times, but .* slowed {model:g} times; .*--time-expansion {model:g}"
        )
        with pytest.raises(UserError, match=message):
            tested.check(tmp_path / "data", any_labels=any_labels)


def test_a_model_computes_in_the_precision_of_its_export(made):
    """By hand, draw by draw; bfloat16 has 8 bits, so the two precisions answer differently."""
    found, expected = {}, {}
    (batch,) = evaluation_batches(made / "data", ["fold5"], 10)
    for precision, policy in {"float32": "float32", "bfloat16": "mixed_bfloat16"}.items():
        tested = ModelUnderTest.open(made / precision, num_draws=3)
        predictions = tested.predict(made / "data", ["fold5"])
        found[precision] = predictions.decomposition.probabilities
        network = tested.network.twin(dtype=policy)
        draws = [
            network.draw(tf.constant(4, tf.int64), tf.constant(i, tf.int64)) for i in (1, 2, 3)
        ]
        logits = tf.stack([network.run(batch["waveform"], draw=draw) for draw in draws])
        probs = probabilities(logits, "multiclass")
        expected[precision] = decompose(probs, "multiclass").probabilities

    def difference(one, other):
        return float(np.abs(one - other).max())

    assert found["bfloat16"].dtype == np.float32
    between = difference(expected["float32"], expected["bfloat16"])
    assert difference(found["float32"], expected["float32"]) < between / 5
    assert difference(found["bfloat16"], expected["bfloat16"]) < between / 5
