"""Deep ensembles: their draws go round the draws of their members, everywhere alike."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import networks
from tests.helpers.exported_models import LABELS, ask, small_info
from vipann_tf.errors import UserError
from vipann_tf.evaluation.inference import predict_batches
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.models.draw_statistics import estimate_statistics
from vipann_tf.models.loss import probabilities
from vipann_tf.models.randomness import Draw
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.ensembling import common_data, ensemble
from vipann_tf.saved_model.export import export
from vipann_tf.saved_model.load import load_model, load_signatures
from vipann_tf.saved_model.metadata import TrainingData, read_model_info
from vipann_tf.saved_model.reexport import reexport
from vipann_tf.saved_model.stored_calibration import Calibration
from vipann_tf.uncertainty import decomposition

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_warmup")]
CLOSE = {"rtol": 0, "atol": 1e-5}
SEED = 11
# Members of different kinds, widths and temperatures: a random trunk, a random head, and neither.
MEMBERS = {
    "det": ("deterministic", {}, 1.0),
    "wide": ("deterministic", {"width": 1 / 8}, 2.0),
    "det-flip": ("det-flip", {}, 0.5),
    "flip": ("flipout", {}, 1.5),
}
MIXED = ["wide", "det-flip", "flip"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ensemble")


@pytest.fixture(scope="module")
def members(folder):
    """Model directories and Keras networks by name."""
    made = {}
    for number, (name, (kind, changes, temperature)) in enumerate(MEMBERS.items()):
        network = networks.network(kind, {"task": "multiclass", **changes}, seed=number)
        info = small_info(network, num_draws=2, seed=SEED)
        info = info.model_copy(update={"calibration": Calibration(temperature=temperature)})
        export(network, folder / name, info, LABELS)
        made[name] = network
    return made


def probs_of(members, waveforms, draws):
    """Probabilities [T, batch, labels] of pairs of a name and the number of its draw."""
    rows = []
    for name, number in draws:
        draw = Draw(tf.constant(SEED, tf.int64), tf.constant(number, tf.int64))
        logits = members[name].run(tf.constant(waveforms), draw=draw)
        rows.append(probabilities(logits / MEMBERS[name][2], "multiclass"))
    return tf.stack(rows)


@pytest.fixture(scope="module")
def mixed(folder, members):
    """Three kinds, one with twice the weight: four draws per round, two rounds."""
    path = folder / "mixed"
    ensemble([folder / name for name in MIXED], path, weights=[1, 1, 2], num_draws=8)
    order = ["wide", "det-flip", "flip", "flip"]
    numbers = [1, 1, 1, 2]
    further = [1, 2, 3, 4]  # a network that has no other draws repeats its one
    draws = [*zip(order, numbers, strict=True), *zip(order, further, strict=True)]
    return path, load_signatures(path), draws


def test_draws_go_round_the_members(mixed, members, waveforms):
    _, loaded, draws = mixed
    expected = probs_of(members, waveforms, draws)
    answer = ask(
        loaded, "monte_carlo", waveform=waveforms, num_samples=np.int32(8), seed=np.int64(SEED)
    )
    np.testing.assert_allclose(
        answer["sample_probabilities"].swapaxes(0, 1), expected.numpy(), **CLOSE
    )
    whole = decomposition.decompose(expected, "multiclass")
    served = ask(loaded, "serving_default", waveform=waveforms)
    for name in ("probabilities", "total", "epistemic", "label_aleatoric"):
        np.testing.assert_allclose(served[name], getattr(whole, name), **CLOSE)
    alone = ask(loaded, "serving_default", waveform=waveforms[1:2])
    np.testing.assert_allclose(alone["probabilities"][0], served["probabilities"][1], **CLOSE)


def test_evaluation_makes_the_same_draws(mixed, members, waveforms):
    path, _, draws = mixed
    network, _ = load_model(path)
    batches = [
        {
            "waveform": tf.constant(part),
            "labels": tf.zeros([len(part), 5]),
            "clip_id": tf.constant([f"{i}" for i in range(len(part))]),
        }
        for part in (waveforms[:2], waveforms[2:])
    ]
    found = predict_batches(network, batches, num_draws=8, seed=SEED, keep_draws=True)
    expected = probs_of(members, waveforms, draws)
    np.testing.assert_allclose(
        probabilities(found.sample_logits, "multiclass"), expected, rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(
        found.decomposition.epistemic,
        decomposition.decompose(expected, "multiclass").epistemic,
        rtol=0,
        atol=1e-4,
    )
    assert ModelUnderTest.open(path).num_networks == 8


def test_the_mean_and_the_embeddings_of_all_members(mixed, members, waveforms):
    _, loaded, _ = mixed
    means = {name: members[name].run(tf.constant(waveforms)).numpy() for name in MIXED}
    weights = {"flip": 2}
    expected = sum(weights.get(name, 1) * means[name] / MEMBERS[name][2] for name in MIXED) / sum(
        weights.get(name, 1) for name in MIXED
    )
    answer = ask(loaded, "posterior_mean", waveform=waveforms)
    np.testing.assert_allclose(answer["logits"], expected, rtol=0, atol=1e-4)
    embeddings = [members[name].run(tf.constant(waveforms), stop="embedding") for name in MIXED]
    np.testing.assert_allclose(
        ask(loaded, "embed", waveform=waveforms)["embedding"],
        np.concatenate(embeddings, axis=1),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ["det", "det-flip"])
def test_an_ensemble_of_one_is_its_member(folder, members, waveforms, name):
    path = folder / f"one-{name}"
    ensemble([folder / name], path)
    mine, theirs = read_model_info(path), read_model_info(folder / name)
    assert mine.seed == theirs.seed
    ours = connect(path).ask(waveforms)
    for key, value in connect(folder / name).ask(waveforms).items():
        np.testing.assert_allclose(ours[key], value, **CLOSE)


def test_deterministic_members_make_one_round(folder, members, waveforms):
    path = folder / "deep"
    ensemble([folder / "det", folder / "wide"], path)
    info = read_model_info(path)
    assert (info.num_draws, info.origin, info.draw_storage) == (2, "ensemble", "sampled")
    assert [member["origin"] for member in info.members] == ["pretrain", "pretrain"]
    expected = probs_of(members, waveforms, [("det", 1), ("wide", 1)])
    answer = connect(path).ask(waveforms)
    np.testing.assert_allclose(answer["probabilities"], tf.reduce_mean(expected, 0), **CLOSE)
    assert answer["epistemic"].min() > 1e-4
    # However many draws an evaluation asks for, there are two networks.
    assert ModelUnderTest.open(path, num_draws=20).num_networks == 2


def test_weights_are_kept_by_whole_rounds(mixed, waveforms):
    path, loaded, _ = mixed
    with pytest.raises(UserError, match="num_draws is 6, but the ensemble has 4 draws per round"):
        ModelUnderTest.open(path, num_draws=6)
    with pytest.raises(UserError, match="num_draws is 6"):
        reexport(path, path.parent / "six", num_draws=6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="multiple of 4"):
        ask(
            loaded,
            "monte_carlo",
            waveform=waveforms[:1],
            num_samples=np.int32(6),
            seed=np.int64(1),
        )
    with pytest.raises(UserError, match="'stored' is for single Flipout models"):
        reexport(path, path.parent / "stored", draw_storage="stored")


def test_a_new_export_in_lower_precision(mixed, waveforms):
    path, _, _ = mixed
    reexport(path, path.parent / "lower", precision="bfloat16", num_draws=4)
    lower, higher = (
        connect(name, num_draws=4, seed=SEED).ask(waveforms)
        for name in (path.parent / "lower", path)
    )
    np.testing.assert_allclose(lower["probabilities"], higher["probabilities"], atol=0.05)


def test_members_bring_the_statistics_of_their_draws(folder, members, waveforms):
    network = members["flip"]
    shared = network.run(tf.constant(waveforms), stop="shared")
    statistics = estimate_statistics(network, [shared], num_draws=2, seed=SEED)
    reexport(folder / "flip", folder / "own", draw_statistics=statistics)
    path = folder / "with-statistics"
    ensemble([folder / "own", folder / "det"], path)
    info = read_model_info(path)
    assert (info.batch_norm, info.num_draws, info.seed) == ("draw", 4, SEED)
    own, det = (connect(folder / name).ask(waveforms) for name in ("own", "det"))
    expected = (own["probabilities"] + det["probabilities"]) / 2
    np.testing.assert_allclose(connect(path).ask(waveforms)["probabilities"], expected, **CLOSE)
    # A new export reads them back.
    reexport(path, folder / "licensed", licence="CC0")
    again = connect(folder / "licensed").ask(waveforms)["probabilities"]
    np.testing.assert_allclose(again, expected, **CLOSE)
    with pytest.raises(UserError, match="of 2 draws of seed 11, but would make 3 of seed 11"):
        ensemble([folder / "own", folder / "det"], folder / "more", num_draws=6)


def test_members_must_fit(folder, members, waveforms):
    info = read_model_info(folder / "det")
    reexport(folder / "det", folder / "lower", precision="bfloat16")
    export(members["det"], folder / "other", info, [*LABELS[:-1], "owl"])
    cases = {
        "lower": "has precision bfloat16, and .* float32",
        "other": "has other labels than",
    }
    for name, message in cases.items():
        with pytest.raises(UserError, match=message):
            ensemble([folder / "det", folder / name], folder / "never")
    with pytest.raises(UserError, match=r"weights are \[2\] for 2 models"):
        ensemble([folder / "det", folder / "wide"], folder / "never", weights=[2])
    ensemble([folder / "det"], folder / "nested")
    with pytest.raises(UserError, match="is an ensemble of 1 networks, and one network is needed"):
        ensemble([folder / "nested"], folder / "never")
    assert not (folder / "never").exists()


def test_held_out_is_what_no_member_was_trained_on(folder, members):
    info = read_model_info(folder / "det")
    data = TrainingData(dataset="tiny", splits=["fold5"], held_out=["fold1"], clips=40)
    swapped = info.model_copy(update={"data": data})
    found = common_data([info, swapped])
    assert found == TrainingData(dataset="tiny", splits=["fold1", "fold5"], held_out=[], clips=40)
    assert common_data([info, info]) == info.data
    foreign = info.model_copy(update={"data": data.model_copy(update={"dataset": "other"})})
    assert common_data([info, foreign]) is None
