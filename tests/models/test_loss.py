"""The terms of the loss against SciPy and arithmetic by hand."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from vipann_tf.models.loss import kl_scale, negative_log_likelihood, probabilities
from vipann_tf.models.objective import Objective

LOGITS = np.random.default_rng(1).normal(0, 4, [6, 5]).astype(np.float32)
HARD = np.random.default_rng(2).integers(0, 2, [6, 5]).astype(np.float32)
ONE_HOT = np.eye(5, dtype=np.float32)[[0, 3, 4, 1, 1, 2]]


@pytest.mark.parametrize(("reduction", "reduce"), [("sum", np.sum), ("mean", np.mean)])
def test_multilabel_is_a_product_of_bernoullis(reduction, reduce):
    expected = reduce(-stats.bernoulli.logpmf(HARD, special.expit(np.float64(LOGITS))), axis=-1)
    ours = negative_log_likelihood(LOGITS, HARD, "multilabel", reduction)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_multiclass_is_categorical():
    expected = -special.log_softmax(np.float64(LOGITS), axis=-1)[ONE_HOT == 1]
    for reduction in ("sum", "mean"):  # one label a clip: nothing to reduce
        ours = negative_log_likelihood(LOGITS, ONE_HOT, "multiclass", reduction)
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("task", "labels"), [("multilabel", HARD), ("multiclass", ONE_HOT)])
def test_mixed_labels_mix_the_losses(task, labels):
    def loss(labels):
        return negative_log_likelihood(LOGITS, labels, task).numpy()

    other = labels[::-1]
    mixed = 0.3 * loss(labels) + 0.7 * loss(other)
    np.testing.assert_allclose(loss(0.3 * labels + 0.7 * other), mixed, rtol=1e-5)


def test_probabilities():
    logits = LOGITS.reshape([2, 3, 5])  # leading axes are kept
    sigmoid, softmax = special.expit(logits), special.softmax(logits, axis=-1)
    np.testing.assert_allclose(probabilities(logits, "multilabel"), sigmoid, rtol=1e-5)
    np.testing.assert_allclose(probabilities(logits, "multiclass"), softmax, rtol=1e-5)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_float32_whatever_the_logits(task):
    logits = tf.cast(LOGITS, tf.bfloat16)
    exact = tf.cast(logits, tf.float32)
    assert probabilities(logits, task).dtype == tf.float32
    np.testing.assert_array_equal(probabilities(logits, task), probabilities(exact, task))
    np.testing.assert_array_equal(
        negative_log_likelihood(logits, HARD, task), negative_log_likelihood(exact, HARD, task)
    )


@pytest.mark.parametrize(
    ("objective", "factors"),
    [
        (Objective(), [1, 1, 1, 1]),
        (Objective(kl_weight=0.5), [0.5, 0.5, 0.5, 0.5]),
        (Objective(kl_weight=0), [0, 0, 0, 0]),
        (Objective(kl_warmup_steps=4), [0, 0.25, 1, 1]),
        (Objective(kl_weight=3, kl_warmup_steps=4), [0, 0.75, 3, 3]),
        (Objective(kl_warmup_steps=4, kl_cycle_steps=7), [0, 0.25, 1, 0.5]),
    ],
)
def test_kl_scale_at_steps_0_1_4_and_100(objective, factors):
    scales = [kl_scale(objective, tf.constant(step, tf.int64), 50) for step in (0, 1, 4, 100)]
    np.testing.assert_allclose(scales, np.array(factors) / 50, rtol=1e-6)
    assert {scale.dtype for scale in scales} == {tf.float32}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"kl_weight": -1}, r"kl_weight\n.*greater than or equal to 0.*input_value=-1"),
        ({"kl_warmup_steps": -2}, r"kl_warmup_steps\n.*greater than or equal to 0.*input_value=-2"),
        ({"kl_reduction": "max"}, r"kl_reduction\n.*'sum' or 'mean'.*input_value='max'"),
        ({"nll_reduction": "max"}, r"nll_reduction\n.*'sum' or 'mean'.*input_value='max'"),
        ({"kl_cycle_steps": 3}, r"kl_warmup_steps 0; a cycle needs a rise"),
        ({"kl_wieght": 1}, r"kl_wieght\n.*Extra inputs are not permitted"),
    ],
)
def test_wrong_objective(argument, message):
    with pytest.raises(ValueError, match=message):
        Objective(**argument)
