"""A Flipout layer finds a known conditional distribution, and knows where it does not.

The logit is piecewise linear in one input, on knots of which the data cover the middle ones only.
Each knot has one weight, so the posterior is nearly independent a weight, as Flipout's is.
"""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import tf_keras

from vipann_tf.models.flipout import FlipoutDense
from vipann_tf.models.loss import negative_log_likelihood, probabilities
from vipann_tf.models.randomness import Draw, TrainingNoise, randomness
from vipann_tf.uncertainty.decomposition import decompose

KNOTS = np.linspace(-3, 3, 13)
TRUE_LOGITS = np.array([0, 0, 0, 0, -2.0, 1.0, 0.2, -1.0, 2.0, 0, 0, 0, 0])
INSIDE = np.linspace(-0.95, 0.95, 39)
OUTSIDE = np.array([-2.5, -2.0, 2.0, 2.5])
STEPS, DRAWS, PRIOR_STDDEV = 300, 100, 3.0


def _features(x: np.ndarray) -> np.ndarray:
    """Hat functions of the knots, float32 [inputs, knots]: they interpolate linearly."""
    spacing = KNOTS[1] - KNOTS[0]
    return np.maximum(0.0, 1 - np.abs(x[:, None] - KNOTS) / spacing).astype(np.float32)


def _trained(clips: int) -> FlipoutDense:
    """Train a layer on so many examples with inputs in [-1, 1]."""
    rng = np.random.default_rng(clips)
    features = _features(rng.uniform(-1, 1, size=clips))
    truth = rng.random((clips, 1)) < scipy.special.expit(features @ TRUE_LOGITS[:, None])
    labels = tf.constant(truth, tf.float32)
    layer = FlipoutDense(
        1, use_bias=False, prior_stddev=PRIOR_STDDEV, initial_stddev=0.5, name="fc"
    )
    layer.build(features.shape)
    optimizer = tf_keras.optimizers.Adam(tf_keras.optimizers.schedules.CosineDecay(0.1, STEPS))
    optimizer.build(layer.trainable_variables)

    @tf.function(autograph=False)
    def step(number):
        with tf.GradientTape() as tape:
            with randomness(TrainingNoise(tf.constant(0, tf.int64), number)):
                logits = layer(features)
            nll = tf.reduce_mean(negative_log_likelihood(logits, labels, "multilabel"))
            loss = nll + layer.kl() / clips
        gradients = tape.gradient(loss, layer.trainable_variables)
        optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))

    for number in tf.range(STEPS, dtype=tf.int64):
        step(number)
    return layer


@pytest.fixture(scope="module")
def by_clips():
    """Return what draws of the trained posterior say, by number of training examples.

    Inputs lie in and out of the range of the training.
    """
    features = _features(np.concatenate([INSIDE, OUTSIDE]))
    found = {}
    for clips in (50, 500, 5000):
        layer, draws = _trained(clips), []
        for index in range(1, DRAWS + 1):
            with randomness(Draw(tf.constant(1, tf.int64), tf.constant(index, tf.int64))):
                draws.append(probabilities(layer(features), "multilabel"))
        found[clips] = decompose(tf.stack(draws), "multilabel")
    return found


def test_aleatoric_recovers_the_true_entropy(by_clips):
    p = scipy.special.expit(_features(INSIDE) @ TRUE_LOGITS)
    true = scipy.special.entr(p) + scipy.special.entr(1 - p)
    found = {n: np.asarray(result.aleatoric)[: len(INSIDE)] for n, result in by_clips.items()}
    errors = {n: abs(values.mean() / true.mean() - 1) for n, values in found.items()}
    assert errors[5000] < 0.05 and errors[5000] < errors[50], errors
    by_input = {n: np.abs(values - true).mean() / true.mean() for n, values in found.items()}
    assert by_input[5000] < 0.05 and by_input[5000] < by_input[500] < by_input[50], by_input


def test_epistemic_falls_with_data(by_clips):
    mean = {n: np.mean(result.epistemic[: len(INSIDE)]) for n, result in by_clips.items()}
    assert mean[5000] < mean[500] / 3 < mean[50] / 9, mean
    assert mean[5000] < 0.005, mean


def test_epistemic_is_higher_off_the_training_range(by_clips):
    for n, result in by_clips.items():
        inside = np.asarray(result.epistemic)[: len(INSIDE)]
        outside = np.asarray(result.epistemic)[len(INSIDE) :]
        assert outside.min() > 2 * inside.mean(), n
