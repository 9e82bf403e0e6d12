"""Decomposition against float64 NumPy and SciPy, by hand, and in a loop inside a SavedModel."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import decomposition as dec
from vipann_tf.uncertainty.arrays import TASKS


def _binary(p):
    return scipy.special.entr(p) + scipy.special.entr(1.0 - p)


def _oracle(samples, task):
    """Return what the definitions say, in float64, of [draws, ..., labels]."""
    samples = samples.astype(np.float64)
    mean = samples.mean(0)
    out = {
        "probabilities": mean,
        "label_total": _binary(mean),
        "label_aleatoric": _binary(samples).mean(0),
    }
    out["label_epistemic"] = out["label_total"] - out["label_aleatoric"]
    if task == "multilabel":
        for name in ("total", "aleatoric", "epistemic"):
            out[name] = out[f"label_{name}"].sum(-1)
    else:
        out["total"] = scipy.stats.entropy(mean, axis=-1)
        out["aleatoric"] = scipy.stats.entropy(samples, axis=-1).mean(0)
        out["epistemic"] = out["total"] - out["aleatoric"]
    return out


def _samples(task, draws=7, shape=(3, 2), labels=5, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(1, *shape, labels)) * 3 + spread * rng.normal(
        size=(draws, *shape, labels)
    )
    if task == "multilabel":
        return scipy.special.expit(logits).astype(np.float32)
    return scipy.special.softmax(logits, axis=-1).astype(np.float32)


def _moments(samples):
    moments = dec.start(samples.shape[1:])
    for probs in samples:
        moments = dec.add(moments, probs)
    return moments


def _streamed(samples, task, dtype=tf.float32):
    return dec.finish(_moments(samples), task, dtype)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("shape", [(), (4,), (3, 2)])
def test_matches_the_definitions_in_float64(task, shape):
    samples = _samples(task, shape=shape)
    want = _oracle(samples, task)
    for result in (_streamed(samples, task), dec.decompose(samples, task)):
        for name, value in result._asdict().items():
            assert value.dtype == tf.float32
            np.testing.assert_allclose(value, want[name], rtol=2e-6, atol=2e-7, err_msg=name)


@pytest.mark.parametrize("task", TASKS)
def test_small_epistemic_survives_a_thousand_float32_draws(task):
    # 500 labels, logits that move by 0.01: the epistemic part is 1e-5 of the total.
    samples = _samples(task, draws=1000, shape=(2,), labels=500, spread=0.01)
    want = _oracle(samples, task)
    got = _streamed(samples, task)
    assert np.all(want["epistemic"] < 1e-4 * want["total"])
    np.testing.assert_allclose(got.epistemic, want["epistemic"], rtol=1e-5)
    variance = dec.variance_parts(_moments(samples)).label_epistemic
    np.testing.assert_allclose(variance, samples.astype(float).var(0), rtol=1e-5, atol=1e-14)


def test_by_hand():
    ln2 = math.log(2.0)
    samples = np.array([[1.0, 0.5, 0.0], [0.0, 0.5, 0.0]])
    multilabel = dec.decompose(samples, "multilabel")
    np.testing.assert_allclose(multilabel.label_total, [ln2, ln2, 0.0])
    np.testing.assert_allclose(multilabel.label_aleatoric, [0.0, ln2, 0.0])
    np.testing.assert_allclose(multilabel.label_epistemic, [ln2, 0.0, 0.0])
    np.testing.assert_allclose(multilabel.total, 2 * ln2)
    np.testing.assert_allclose(multilabel.epistemic, ln2)
    variance = dec.variance_parts(_moments(samples))
    np.testing.assert_allclose(variance.label_epistemic, [0.25, 0.0, 0.0])
    np.testing.assert_allclose(variance.label_aleatoric, [0.0, 0.25, 0.0])
    multiclass = dec.decompose(np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]), "multiclass")
    np.testing.assert_allclose(multiclass.total, 1.5 * ln2)  # of (1/4, 1/2, 1/4)
    np.testing.assert_allclose(multiclass.aleatoric, ln2)
    np.testing.assert_allclose(multiclass.epistemic, 0.5 * ln2)


@pytest.mark.parametrize("task", TASKS)
def test_one_draw_has_no_epistemic_part(task):
    samples = _samples(task, draws=1, shape=(101,), labels=13)
    for run in (_streamed, tf.function(_streamed), tf.function(_streamed, jit_compile=True)):
        result = run(samples, task)
        assert not np.any(result.epistemic)
        assert not np.any(result.label_epistemic)
        assert np.all(result.total > 0)
    assert not np.any(dec.variance_parts(_moments(samples)).label_epistemic)


@pytest.mark.parametrize("task", TASKS)
def test_never_negative_and_parts_add_up(task):
    same = np.repeat(_samples(task, draws=1, shape=(50,)), 3, axis=0)  # three equal draws
    result = dec.decompose(same, task)
    assert np.all(result.label_epistemic >= 0) and np.all(result.epistemic >= 0)
    assert np.all(result.epistemic < 1e-14)
    samples = _samples(task, shape=(50,)).astype(np.float64)
    result = dec.decompose(samples, task)
    np.testing.assert_allclose(result.aleatoric + result.epistemic, result.total, rtol=1e-12)
    p, variance = result.probabilities, dec.variance_parts(_moments(samples), tf.float64)
    np.testing.assert_allclose(sum(variance), p * (1 - p), rtol=1e-12)
    np.testing.assert_allclose(variance.label_aleatoric, (samples * (1 - samples)).mean(0))


@pytest.mark.parametrize("task", TASKS)
def test_certain_probabilities_are_finite(task):
    result = dec.decompose(np.array([[[1.0, 0.0]], [[1.0, 0.0]]], np.float32), task)
    for name, value in result._asdict().items():
        assert np.all(np.isfinite(value)), name
        if name != "probabilities":
            np.testing.assert_array_equal(value, np.zeros(value.shape), err_msg=name)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32, tf.float64])
def test_dtype_is_preserved(dtype):
    samples = tf.cast(_samples("multilabel"), dtype)
    assert {value.dtype for value in dec.decompose(samples, "multilabel")} == {dtype}
    assert {value.dtype for value in _streamed(samples, "multilabel", dtype)} == {dtype}


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_any_split_of_the_draws_gives_the_same_moments(cut):
    samples = _samples("multiclass")
    merged = dec.merge(_moments(samples[:cut]), _moments(samples[cut:]))
    got = dec.finish(merged, "multiclass")
    want = dec.decompose(samples, "multiclass")
    for name, value in got._asdict().items():
        np.testing.assert_allclose(value, want._asdict()[name], rtol=1e-6, atol=1e-9, err_msg=name)


def test_loops_inside_a_saved_model_with_unknown_batch_and_draws(tmp_path):
    """Moments are loop variables; the graph needs core ops only."""

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 5]), tf.TensorSpec([], tf.int32)])
        def __call__(self, logits, draws):
            def body(t, moments):
                noise = tf.random.stateless_normal(tf.shape(logits), tf.stack([t, 7]))
                return t + 1, dec.add(moments, tf.nn.softmax(logits + noise))

            _, moments = tf.while_loop(
                lambda t, _: t < draws, body, (0, dec.start(tf.shape(logits)))
            )
            return dec.finish(moments, "multiclass")._asdict()

    tf.saved_model.save(Module(), str(tmp_path / "m"))
    logits = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)
    got = tf.saved_model.load(str(tmp_path / "m"))(logits, 9)
    samples = np.stack(
        [tf.nn.softmax(logits + tf.random.stateless_normal((4, 5), (t, 7))) for t in range(9)]
    )
    want = _oracle(samples, "multiclass")
    for name, value in got.items():
        np.testing.assert_allclose(value, want[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_epistemic_of_beta_draws_matches_the_closed_form():
    """P ~ Beta(a, b): E h(p) has a closed form in digamma functions; tolerance from its spread."""
    a, b, draws = 2.0, 5.0, 20_000
    p = np.random.default_rng(1).beta(a, b, size=(draws, 1, 1))
    digamma = scipy.special.digamma
    mean = a / (a + b)
    want = -mean * (digamma(a + 1) - digamma(a + b + 1)) - (1 - mean) * (
        digamma(b + 1) - digamma(a + b + 1)
    )
    got = dec.decompose(p, "multilabel")
    error = _binary(p).std() / math.sqrt(draws)
    np.testing.assert_allclose(float(got.aleatoric[0]), want, atol=4 * error)
    np.testing.assert_allclose(float(got.epistemic[0]), _binary(mean) - want, atol=8 * error)


def test_unknown_task_is_named():
    for call in (
        lambda: dec.decompose(np.ones((1, 1, 2)), "binary"),
        lambda: dec.finish(dec.start((1, 2)), "binary"),
    ):
        with pytest.raises(UserError, match="task is 'binary'; it must be one of multilabel, mul"):
            call()
