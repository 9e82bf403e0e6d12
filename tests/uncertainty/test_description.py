"""Draws to everything in one call, and labels as numbers."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

import vipann_tf as vt
from vipann_tf.errors import UserError
from vipann_tf.uncertainty import conformal, scores, temperature

RNG = np.random.default_rng(3)
DRAWS = scipy.special.softmax(RNG.normal(size=(6, 40, 5)), axis=-1)
NUMBERS = RNG.integers(0, 5, 40)
ONE_HOT = np.eye(5)[NUMBERS]


def test_multiclass_against_scipy_and_sklearn():
    found = vt.uncertainty.from_draws(DRAWS, "multiclass", NUMBERS)
    mean = DRAWS.mean(axis=0)
    np.testing.assert_allclose(found.probabilities, mean)
    np.testing.assert_allclose(found.total, scipy.stats.entropy(mean, axis=-1))
    aleatoric = scipy.stats.entropy(DRAWS, axis=-1).mean(axis=0)
    np.testing.assert_allclose(found.aleatoric, aleatoric)
    np.testing.assert_allclose(found.epistemic, found.total - aleatoric)
    np.testing.assert_allclose(found.standard_error, scipy.stats.sem(DRAWS, axis=0))
    answers = mean.argmax(axis=1)
    assert found.scores["accuracy"] == sklearn.metrics.accuracy_score(NUMBERS, answers)
    assert found.scores["nll"] == pytest.approx(sklearn.metrics.log_loss(NUMBERS, mean))
    assert found.scores["error_auroc_epistemic"] == pytest.approx(
        sklearn.metrics.roc_auc_score(answers != NUMBERS, found.epistemic)
    )
    assert vt.uncertainty.from_draws(DRAWS, "multiclass", ONE_HOT).scores == found.scores
    assert vt.uncertainty.from_draws(DRAWS, "multiclass").scores == {}


def test_multilabel_and_one_draw():
    probs = RNG.uniform(size=(40, 5))
    found = vt.uncertainty.from_draws(probs[None], "multilabel", ONE_HOT)
    binary = scipy.stats.entropy(np.stack([probs, 1 - probs]), axis=0)
    np.testing.assert_allclose(found.total, binary.sum(axis=1))
    np.testing.assert_array_equal(found.epistemic, 0)
    assert found.standard_error is None
    assert found.scores["map"] == pytest.approx(
        sklearn.metrics.average_precision_score(ONE_HOT, probs)
    )


@pytest.mark.parametrize(
    "draws, labels, message",
    [
        (DRAWS[0], None, r"draws have shape \(40, 5\).*probabilities\[None\]"),
        (DRAWS[:0], None, r"draws have shape \(0, 40, 5\)"),
        (np.log(DRAWS), None, r"must be in \[0, 1\]: of logits take the softmax"),
        (np.where(DRAWS > 0.9, np.nan, DRAWS), None, "a probability is nan"),
        (DRAWS / 2, None, "sum to 0.5; multiclass ones sum to 1"),
        (DRAWS, NUMBERS + 0.0, r"labels are float64 \[clips\]; numbers of labels are integers"),
        (DRAWS, NUMBERS + 1, "has label 5; there are 5 labels, from 0 to 4"),
        (DRAWS, NUMBERS - 1, "has label -1; there are 5 labels"),
        (DRAWS, NUMBERS[:9], r"labels \(9, 5\)"),
        (DRAWS, ONE_HOT * 2, "a label is 2.0; give multi-hot labels of 0 and 1"),
    ],
)
def test_arrays_that_are_none(draws, labels, message):
    with pytest.raises(UserError, match=message):
        vt.uncertainty.from_draws(draws, "multiclass", labels)


def test_every_measure_takes_numbers_of_labels():
    mean = DRAWS.mean(axis=0)
    np.testing.assert_array_equal(
        scores.clip_brier(mean, NUMBERS, "multiclass"),
        scores.clip_brier(mean, ONE_HOT, "multiclass"),
    )
    assert conformal.calibrate_multiclass(mean, NUMBERS) == conformal.calibrate_multiclass(
        mean, ONE_HOT
    )
    assert temperature.fit_temperature(np.log(DRAWS), NUMBERS, "multiclass") == (
        temperature.fit_temperature(np.log(DRAWS), ONE_HOT, "multiclass")
    )


def test_the_modules_have_their_names():
    for name in vt.uncertainty.__all__:
        assert getattr(vt.uncertainty, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'ece'"):
        _ = vt.uncertainty.ece
