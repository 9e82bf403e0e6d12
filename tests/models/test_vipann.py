"""The VIPANN model: what its draws have in common, what they do not, and its variables."""

import itertools
import json
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special

from tests.helpers import networks
from tests.helpers.networks import KINDS, STOCHASTIC
from tests.helpers.paths import ROOT
from vipann_tf.models.loss import probabilities
from vipann_tf.models.randomness import Draw, randomness
from vipann_tf.models.vipann import VIPANN

CLIPS = networks.waveforms(7)
# Where the first random layer is: a trunk's before the pooled features, a head's after them.
STAGES = {
    "deterministic": ("pooled", "embedding", "shared", "logits"),
    "dropout": ("shared", "pooled", "embedding", "logits"),
    "flipout": ("shared", "pooled", "embedding", "logits"),
    "imported": ("shared", "pooled", "embedding", "logits"),
    "det-flip": ("pooled", "shared", "embedding", "logits"),
    "det-laplace": ("pooled", "embedding", "shared", "logits"),
    # Its first dropout comes right after the pooled features.
    "drop-head": ("shared", "pooled", "embedding", "logits"),
}


def ask(model, clips, draw):
    shared = model.run(clips, stop="shared")
    return probabilities(model.run(shared, start="shared", draw=draw), "multilabel").numpy()


@pytest.mark.parametrize("kind", list(KINDS))
def test_two_halves_are_the_network(tiny, kind):
    model = tiny(kind)
    logits = model(CLIPS)
    assert (logits.shape, logits.dtype) == ((7, 5), tf.float32)
    expected = probabilities(logits, "multilabel")
    np.testing.assert_allclose(ask(model, CLIPS, None), expected, rtol=1e-5, atol=1e-6)
    assert np.ptp(expected, axis=0).min() > 3e-3  # the clips matter


@pytest.mark.parametrize("kind", list(STAGES))
@pytest.mark.parametrize("draw", [Draw(3, 2), None])
def test_every_way_from_stage_to_stage_is_the_network(tiny, kind, draw):
    kinds = {"trunk": "deterministic", "head": "dropout"}
    model = networks.network("det-flip", kinds) if kind == "drop-head" else tiny(kind)
    assert model.stages == ("waveform", "log_mel", *STAGES[kind])
    with randomness(draw):
        expected = model(CLIPS)
    values = tf.constant(CLIPS)
    for start, stop in itertools.pairwise(model.stages):
        values = model.run(values, start=start, stop=stop, draw=draw)
        at_once = model.run(CLIPS, stop=stop, draw=draw)
        np.testing.assert_allclose(values, at_once, rtol=1e-4, atol=1e-4, err_msg=stop)
        logits = model.run(values, start=stop, draw=draw)
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5, err_msg=stop)
    np.testing.assert_array_equal(model.run(CLIPS, stop="waveform"), CLIPS)


@pytest.mark.parametrize("kind", STOCHASTIC)
def test_draws_differ_after_the_shared_stage_alone(tiny, kind):
    model = tiny(kind)
    after = model.stages[model.stages.index("shared") + 1]
    for stage in model.stages:
        one, other = (model.run(CLIPS, stop=stage, draw=Draw(3, index)) for index in (1, 2))
        differ = model.stages.index(stage) >= model.stages.index(after)
        assert (np.abs(one - other).max() > 1e-4) == differ, stage


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"stop": "prefix"}, "stage is 'prefix'; it must be one of log_mel, pooled, shared"),
        (
            {"start": "embedding", "stop": "shared"},
            "stop is 'shared', which is before start, 'embedding'; .* pooled, shared, embedding",
        ),
        ({"start": "pooled", "stop": "waveform"}, "stage is 'waveform'; it must be one of"),
    ],
)
def test_stages_that_do_not_go_together(tiny, names, message):
    with pytest.raises(ValueError, match=message):
        tiny("det-flip").run(tf.zeros([1, 32000]), **names)


@pytest.mark.parametrize("kind", STOCHASTIC)
def test_a_draw_made_beforehand_is_the_draw(tiny, kind):
    model = tiny(kind)
    draw = model.draw(3, 2)
    flipout = {layer.name for layer in model.bayesian_layers}
    assert set(draw.kernels) == ({"fc_out"} if kind == "det-laplace" else flipout)
    made = ask(model, CLIPS, draw)
    np.testing.assert_allclose(made, ask(model, CLIPS, Draw(3, 2)), rtol=1e-6)
    for other in (Draw(3, 1), Draw(4, 2), None):
        assert np.abs(made - ask(model, CLIPS, other)).max() > 1e-3


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("draw", [Draw(3, 2), None])
def test_a_clip_has_one_answer_alone_and_in_a_batch(tiny, kind, draw):
    together = ask(tiny(kind), CLIPS, draw)
    alone = np.concatenate([ask(tiny(kind), CLIPS[i : i + 1], draw) for i in (0, 3, 6)])
    np.testing.assert_allclose(alone, together[[0, 3, 6]], atol=1e-5)


def test_a_deterministic_network_has_one_draw(tiny):
    model = tiny("deterministic")
    np.testing.assert_array_equal(ask(model, CLIPS, model.draw(3, 2)), ask(model, CLIPS, None))
    assert not model.bayesian_layers and float(model.kl()) == 0


def fingerprint():
    """Of a draw: a checksum of its kernels, and its probabilities."""
    model = networks.network("flipout")
    draw = model.draw(3, 2)
    kernels = [draw.kernels[name].numpy().tobytes() for name in sorted(draw.kernels)]
    return {"kernels": zlib.crc32(b"".join(kernels)), "probs": ask(model, CLIPS, draw).tolist()}


@pytest.mark.slow
def test_a_fresh_process_draws_the_same_network():
    here = fingerprint()
    program = (
        "import json; from tests.models.test_vipann import fingerprint\n"
        "print(json.dumps(fingerprint()))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    there = json.loads(output.splitlines()[-1])
    assert here["kernels"] == there["kernels"]
    np.testing.assert_allclose(here["probs"], there["probs"], atol=1e-6)


@pytest.mark.parametrize(
    ("task", "function"), [("multilabel", special.expit), ("multiclass", special.softmax)]
)
def test_probabilities_of_logits_and_temperature(task, function):
    model = networks.network("det-flip", {"task": task, "labels": 4})
    logits = model.run(CLIPS, draw=Draw(3, 2)).numpy()
    along = {"axis": -1} if task == "multiclass" else {}
    for temperature in (1, 2.5):
        expected = function(logits / temperature, **along)
        np.testing.assert_allclose(probabilities(logits / temperature, task), expected, rtol=1e-5)


def test_embedding_and_pooled_features_lead_to_the_logits(tiny):
    model = tiny("imported")
    variables = model.named_variables()
    pooled, embedding = (model.run(CLIPS, stop=stage) for stage in ("pooled", "embedding"))
    assert pooled.shape == embedding.shape == (7, 128)
    dense = pooled @ variables["fc1/kernel"] + variables["fc1/bias"]
    np.testing.assert_allclose(embedding, tf.nn.relu(dense), rtol=1e-4, atol=1e-4)
    logits = embedding @ variables["fc_out/kernel"] + variables["fc_out/bias"]
    np.testing.assert_allclose(model(CLIPS), logits, rtol=1e-4, atol=1e-4)


def expected_kl(layer):
    """By TFP: sum, and mean over weights."""
    stddev = np.logaddexp(0, np.float64(layer.kernel_rho))
    posterior = tfp.distributions.Normal(np.float64(layer.kernel_loc), stddev)
    kl = tfp.distributions.kl_divergence(posterior, tfp.distributions.Normal(np.float64(0), 0.5))
    return np.array([np.sum(kl), np.mean(kl)])


def test_kl_is_summed_over_the_layers_being_trained():
    model = networks.network("flipout", flipout={"prior_stddev": 0.5})
    terms = {layer.name: expected_kl(layer) for layer in model.bayesian_layers}
    assert len(terms) == 23 + 2
    expected = sum(terms.values())
    np.testing.assert_allclose([model.kl("sum"), model.kl("mean")], expected, rtol=1e-5)
    np.testing.assert_array_equal(model.kl(), model.kl("sum"))
    model.freeze_trunk()
    expected = terms["fc1"] + terms["fc_out"]
    np.testing.assert_allclose([model.kl("sum"), model.kl("mean")], expected, rtol=1e-5)
    assert {v.name.split("/")[-2] for v in model.trainable_variables} == {"fc1", "fc_out"}


def test_a_pretrained_prior_is_that_of_the_trunk():
    model = networks.network("flipout", trunk_flipout={"prior": "pretrained"})
    for layer in model.bayesian_layers[:-2]:
        layer.set_prior_to_posterior()
    fc1, fc_out = model.bayesian_layers[-2:]
    assert (fc1.prior, fc_out.prior) == ("normal", "normal")
    np.testing.assert_allclose(model.kl(), fc1.kl() + fc_out.kl(), rtol=1e-6)
    names = list(model.named_variables())
    assert not any("prior" in name for name in names)
    assert len(model.variables) == len(names) + 2 * 23


@pytest.mark.parametrize("kind", list(KINDS))
def test_named_variables(tiny, kind):
    model = tiny(kind)
    named = model.named_variables()
    assert {id(variable) for variable in named.values()} == {id(v) for v in model.variables}
    convolution = {"kernel_loc", "kernel_rho"} if KINDS[kind][0] == "flipout" else {"kernel"}
    dense = {"kernel_loc", "kernel_rho"} if KINDS[kind][1] == "flipout" else {"kernel"}
    bases = {"input_basis", "output_basis", "stddev"} if kind == "det-laplace" else set()
    norm = {"gamma", "beta", "moving_mean", "moving_variance"}
    expected = {
        "bn0": norm,
        "conv_block1.conv1": convolution,
        "stage1.block0.bn2": norm,
        "stage2.block0.shortcut.conv": convolution,
        "stage2.block0.shortcut.bn": norm,
        "conv_block_after1.conv2": convolution,
        "fc1": dense | {"bias"},
        "fc_out": dense | {"bias"} | bases,
    }
    for layer, names in expected.items():
        have = {name.rpartition("/")[-1] for name in named if name.rpartition("/")[0] == layer}
        assert have == names, layer
    trunk = {layer.name for layer in model.network.parts(stop="pooled") if layer.weights}
    assert trunk == {name.rpartition("/")[0] for name in named} - {"fc1", "fc_out"}


@pytest.mark.parametrize("depth", [22, 38, 54])
def test_noise_keys_are_distinct(depth):
    # A key is the checksum of a name: two that collided would have the same noise.
    model = VIPANN(networks.architecture("imported", depth=depth, width=1 / 64))
    names = [layer.name for layer in model.network.parts()]
    assert len(names) == len(set(names))
    keys = names + [f"{name}/{what}" for name in names for what in ("sign_in", "sign_out", "signs")]
    assert len({zlib.crc32(key.encode()) for key in keys}) == len(keys)


def test_assigned_values_must_fit():
    model = networks.network("det-flip", {"width": 1 / 64})
    bias = np.arange(5.0)
    model.assign({"fc_out/bias": bias}, partial=True)
    np.testing.assert_array_equal(model.named_variables()["fc_out/bias"], bias)
    with pytest.raises(ValueError, match="differ in bn0/beta, "):
        model.assign({"fc_out/bias": bias})
    with pytest.raises(ValueError, match="differ in fc3/bias$"):
        model.assign({"fc3/bias": bias}, partial=True)


@pytest.mark.slow
def test_a_twin_computes_otherwise_with_the_same_variables():
    model = networks.network("flipout", trunk_flipout={"prior": "pretrained"})
    activation = model.architecture.model_copy(update={"signs": "activation"})
    low, other = model.twin(dtype="mixed_bfloat16"), model.twin(architecture=activation)
    assert low.network.compute_dtype == "bfloat16" and other.network.compute_dtype == "float32"
    assert low.architecture == model.architecture and other.architecture == activation
    for twin in (low, other):
        for name, value in model.named_variables().items():
            np.testing.assert_array_equal(twin.named_variables()[name], value)
        assert twin.named_variables()["bn0/beta"] is not model.named_variables()["bn0/beta"]
    difference = np.abs(ask(model, CLIPS, None) - ask(low, CLIPS, None)).max()
    assert 0 < difference < 0.02


def test_names_of_all_initial_weights_depend_on_the_seed():
    first, again, other = (VIPANN(networks.architecture(), seed=seed) for seed in (1, 1, 2))
    pairs = zip(*(m.named_variables().items() for m in (first, again, other)), strict=True)
    for (name, value), (_, same), (_, different) in pairs:
        np.testing.assert_array_equal(value, same)
        if name.endswith("kernel_loc"):
            assert not np.isclose(value, different).all(), name
