"""One training step: the loss it reports, the gradients it follows, replicas and precisions."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from scipy import special

from tests.helpers import networks
from vipann_tf.models.architecture import STAGE_BLOCKS
from vipann_tf.models.loss import probabilities
from vipann_tf.models.objective import Objective
from vipann_tf.models.randomness import TrainingNoise, randomness
from vipann_tf.models.vipann import VIPANN

CLIPS = 4
BATCH = {"waveform": networks.waveforms(CLIPS), "labels": networks.multi_hot(CLIPS)}


def prepared(model, objective=None, *, learning_rate=1.0, clips=10, **kwargs):
    model.compile(
        tf_keras.optimizers.SGD(learning_rate),
        objective=objective or Objective(),
        clips=clips,
        seed=6,
        **kwargs,
    )
    return model


def values(model):
    return {name: variable.numpy() for name, variable in model.named_variables().items()}


def floats(results):
    return {name: float(value) for name, value in results.items()}


def training_logits(model, step=0):
    """Of the network that a step trains; run before it, for it changes BatchNorm's statistics."""
    noise = TrainingNoise(tf.constant(6, tf.int64), tf.constant(step, tf.int64))
    with randomness(noise):
        return model.network(model.frontend(BATCH["waveform"]), training=True).numpy()


@pytest.mark.parametrize(("nll_reduction", "kl_reduction"), [("sum", "mean"), ("mean", "sum")])
def test_reported_loss(nll_reduction, kl_reduction):
    objective = Objective(
        nll_reduction=nll_reduction, kl_reduction=kl_reduction, kl_weight=3, kl_warmup_steps=4
    )
    model = prepared(networks.network(), objective, learning_rate=0.0)
    for step, factor in [(0, 0.0), (1, 0.75)]:
        logits, labels = training_logits(model, step), BATCH["labels"]
        bernoulli = special.xlog1py(1 - labels, -special.expit(logits)) + special.xlogy(
            labels, special.expit(logits)
        )
        per_clip = -(bernoulli.sum(-1) if nll_reduction == "sum" else bernoulli.mean(-1))
        results = floats(model.train_step(BATCH))
        assert results["nll"] == pytest.approx(per_clip.mean(), rel=1e-4)
        assert results["kl"] == pytest.approx(float(model.kl(kl_reduction)), rel=1e-6)
        assert results["kl_scale"] == pytest.approx(factor / 10, rel=1e-6)
        loss = results["nll"] + results["kl_scale"] * results["kl"]
        assert results["loss"] == pytest.approx(loss, rel=1e-6)


def expected_kl_gradient(before, name):
    """Of KL(N(loc, stddev^2) || N(0, 1)) summed over weights, by the variable of a layer."""
    if name.endswith("kernel_loc"):
        return before[name]
    rho = before[name].astype(np.float64)
    stddev = np.logaddexp(0, rho)
    return (stddev - 1 / stddev) * special.expit(rho)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_kl_reaches_mean_and_standard_deviation(reduction):
    clips, weight = 10, 1.0 if reduction == "sum" else 500.0
    steps = {}
    for kl_weight in (0.0, weight):
        objective = Objective(kl_reduction=reduction, kl_weight=kl_weight)
        model = prepared(networks.network(), objective, clips=clips)
        before = values(model)
        model.train_step(BATCH)
        after = values(model)
        steps[kl_weight] = {name: before[name] - after[name] for name in before}
    bayesian = [name for name in before if name.endswith(("kernel_loc", "kernel_rho"))]
    assert len(bayesian) == 2 * (23 + 2)
    for name in before:
        difference = steps[weight][name] - steps[0.0][name]
        if name in bayesian:
            expected = weight / clips * expected_kl_gradient(before, name)
            expected /= before[name].size if reduction == "mean" else 1
            np.testing.assert_allclose(difference, expected, rtol=1e-2, atol=5e-6, err_msg=name)
            assert np.abs(steps[0.0][name]).max() > 0, name  # the NLL reaches it, too
        else:
            np.testing.assert_allclose(difference, 0, atol=5e-6, err_msg=name)


def test_a_frozen_trunk_stays_as_it_is():
    model = networks.network("imported", {"head": "flipout"})
    model.freeze_trunk()
    prepared(model, Objective(kl_reduction="sum"))
    before = values(model)
    head = sum(float(layer.kl()) for layer in model.bayesian_layers[-2:])
    results = model.train_step(BATCH)
    assert float(results["kl"]) == pytest.approx(head, rel=1e-6)
    for name, value in values(model).items():
        if name.startswith(("fc1/", "fc_out/")):
            assert np.abs(value - before[name]).max() > 0, name
        else:  # BatchNorm's statistics included
            np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_training_uses_the_statistics_of_the_batch():
    model = prepared(networks.network("deterministic"), learning_rate=0.0)
    before = values(model)
    model.train_step(BATCH)
    after = values(model)
    log_mel = model.frontend(BATCH["waveform"]).numpy()
    expected = 0.9 * before["bn0/moving_mean"] + 0.1 * log_mel.mean(axis=(0, 1))
    np.testing.assert_allclose(after["bn0/moving_mean"], expected, rtol=1e-5)
    for name, value in after.items():
        moved = "moving_" in name
        assert (np.abs(value - before[name]).max() > 0) == moved, name


def test_noise_is_that_of_the_step():
    model = prepared(networks.network("dropout"), learning_rate=0.0)
    losses = [float(model.train_step(BATCH)["nll"]) for _ in range(2)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)
    model.optimizer.iterations.assign(0)
    assert float(model.train_step(BATCH)["nll"]) == pytest.approx(losses[0], rel=1e-5)


def test_features_instead_of_waveforms():
    results = []
    for cached in (True, False):
        model = networks.network("det-flip")
        model.freeze_trunk()
        prepared(model, start="pooled" if cached else "waveform")
        batch = BATCH
        if cached:
            pooled = model.run(BATCH["waveform"], stop="pooled")
            batch = {"features": pooled, "labels": BATCH["labels"]}
        results.append((floats(model.train_step(batch)), values(model)))
    (cached, with_features), (whole, with_waveforms) = results
    assert cached == pytest.approx(whole, rel=1e-5)
    for name, value in with_features.items():
        np.testing.assert_allclose(value, with_waveforms[name], rtol=1e-4, atol=1e-5)


def test_a_step_before_compile_says_what_to_do():
    with pytest.raises(ValueError, match=r"not compiled.* compile\(optimizer, objective="):
        VIPANN(networks.architecture("deterministic", width=1 / 64)).train_step(BATCH)


def test_augmentations_change_inputs_and_labels():
    seen = []

    def on_waveform(waveform, labels, noise):
        seen.append((tuple(waveform.shape), int(noise.seed), int(noise.step)))
        return 0.5 * waveform, 1 - labels

    def on_log_mel(log_mel, labels, noise):
        seen.append((tuple(log_mel.shape), int(noise.seed), int(noise.step)))
        return log_mel + 20 * np.log10(2), labels  # the frontend's answer to twice the amplitude

    plain = prepared(networks.network(), learning_rate=0.0)
    inverted = {**BATCH, "labels": 1 - BATCH["labels"]}
    expected = floats(plain.train_step(inverted))
    changes = {"augment_waveform": on_waveform, "augment_log_mel": on_log_mel}
    augmented = prepared(networks.network(), learning_rate=0.0, **changes)
    assert floats(augmented.train_step(BATCH)) == pytest.approx(expected, rel=1e-4)
    assert seen == [((4, 32000), 6, 0), ((4, 101, 64), 6, 0)]
    assert float(plain.train_step(BATCH)["nll"]) != pytest.approx(expected["nll"], rel=1e-2)


def test_two_replicas_train_as_one_device(monkeypatch):
    """Noise, BatchNorm, NLL and KL of the global batch, whatever devices it is spread over."""
    # A block in each of two stages: the others would repeat them.
    monkeypatch.setitem(STAGE_BLOCKS, 22, (1, 0, 0, 1))
    objective = Objective(kl_reduction="sum", kl_weight=0.01)
    devices = tf.config.list_logical_devices("CPU")
    assert len(devices) == 2, "tests/conftest.py makes two"
    rate, outcomes = 0.02, []
    # Not by collective operations, whose keys another strategy in this process can confuse.
    mirrored = tf.distribute.MirroredStrategy(
        devices, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    for strategy in (tf.distribute.get_strategy(), mirrored):
        with strategy.scope():
            # Every kind of noise: signs an activation, signs an example, dropout.
            model = networks.network("imported", {"head": "flipout"}, synchronized=True)
            prepared(model, objective, learning_rate=rate)

        def part(context):
            size = CLIPS // context.num_replicas_in_sync
            first = context.replica_id_in_sync_group * size
            return {name: value[first : first + size] for name, value in BATCH.items()}

        def step(batch, strategy=strategy, model=model):
            results = strategy.run(model.train_step, args=(batch,))
            return {name: strategy.reduce("SUM", v, axis=None) for name, v in results.items()}

        batch = strategy.experimental_distribute_values_from_function(part)
        before = values(model)
        steps = [floats(step(batch))]
        changes = {name: (before[name] - value) / rate for name, value in values(model).items()}
        steps += [floats(step(batch)) for _ in range(2)]
        outcomes.append((steps, changes))
    (one, changes), (two, changes_by_two) = outcomes
    for first, second in zip(one, two, strict=True):
        assert second == pytest.approx(first, rel=1e-5)
    for name, change in changes.items():
        # Across replicas, Keras computes variances as E[x^2] - E[x]^2, which costs some digits.
        np.testing.assert_allclose(changes_by_two[name], change, rtol=1e-3, atol=2e-4, err_msg=name)


@pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)]
)
def test_steps_reduce_the_loss(dtype):
    rates = {"dropout_conv": 0, "dropout_dense": 0, "dropout_block": 0}
    model = VIPANN(networks.architecture("imported", head="flipout", **rates), dtype=dtype)
    model.compile(
        tf_keras.optimizers.Adam(3e-3), objective=Objective(kl_reduction="mean"), clips=1000, seed=6
    )
    losses = [floats(model.train_step(BATCH))["loss"] for _ in range(8)]
    assert np.mean(losses[-2:]) < 0.8 * np.mean(losses[:2]), losses
    assert {variable.dtype for variable in model.variables} == {tf.float32}
    assert model.kl().dtype == model(BATCH["waveform"]).dtype == tf.float32


def test_bfloat16_answers_as_float32_does(tiny):
    mixed = networks.network("flipout", dtype="mixed_bfloat16")
    for name, variable in tiny("flipout").named_variables().items():
        np.testing.assert_array_equal(variable, mixed.named_variables()[name])
    computed_in = {layer.name: layer.compute_dtype for layer in mixed.network.parts()}
    in_float32 = {name for name, dtype in computed_in.items() if dtype == "float32"}
    assert in_float32 == {"bn0", "fc_out"}
    draw = mixed.draw(3, 2)
    shared = mixed.run(BATCH["waveform"], stop="shared")
    np.testing.assert_array_equal(shared, tiny("flipout").run(BATCH["waveform"], stop="shared"))
    full, low = (
        probabilities(model.run(shared, start="shared", draw=draw), "multilabel")
        for model in (tiny("flipout"), mixed)
    )
    assert np.abs(low - full).max() < 0.02
    assert mixed.run(BATCH["waveform"], stop="embedding").dtype == tf.float32
