"""Conformal sets by hand, and their coverage against its exact value over repeated calibration."""

import math

import numpy as np
import pytest
import scipy.special

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import conformal as cf


def test_thresholds_by_hand():
    scores = np.arange(1, 10) / 10  # 9 scores
    assert cf.conformal_threshold(scores, 0.9) == 0.9  # rank ceil(10 * 0.9) = 9
    assert cf.conformal_threshold(scores, 0.5) == 0.5
    assert cf.conformal_threshold(scores, 0.91) == math.inf
    assert cf.conformal_threshold([], 0.5) == math.inf


def test_sets_by_hand():
    probs = np.array([[0.6, 0.3, 0.1], [0.45, 0.1, 0.45]])
    threshold = cf.MulticlassConformal(0.9, "threshold", 0.65, 9)
    np.testing.assert_array_equal(threshold.sets(probs), [[1, 0, 0], [1, 0, 1]])
    threshold = cf.MulticlassConformal(0.9, "threshold", 0.7, 9)
    np.testing.assert_array_equal(threshold.sets(probs), [[1, 1, 0], [1, 0, 1]])
    # APS scores: 0, 0.6, 0.9 and 0, 0.9, 0.45; with u = 0.5: 0.3, 0.75, 0.95 and 0.225, 0.95, 0.675
    aps = cf.MulticlassConformal(0.9, "aps", 0.0, 9)
    np.testing.assert_array_equal(aps.sets(probs), [[1, 0, 0], [1, 0, 0]])
    aps = cf.MulticlassConformal(0.9, "aps", 0.7, 9)
    np.testing.assert_array_equal(aps.sets(probs), [[1, 1, 0], [1, 0, 1]])
    np.testing.assert_array_equal(aps.sets(probs, [0.5, 0.5]), [[1, 0, 0], [1, 0, 1]])
    np.testing.assert_array_equal(
        cf.MulticlassConformal(0.9, "aps", math.inf, 3).sets(probs), np.ones((2, 3))
    )


def _multiclass(rng, clips, labels=6, sharpen=2.0):
    logits = 1.5 * rng.normal(size=(clips, labels))
    p = scipy.special.softmax(logits, axis=1)
    uniform = rng.random((clips, 1))
    truth = np.eye(labels, dtype=bool)[(uniform >= np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)]
    return scipy.special.softmax(sharpen * logits, axis=1), truth  # a badly calibrated model


@pytest.mark.parametrize("method", ["aps", "aps randomised", "threshold"])
@pytest.mark.parametrize("clips, coverage", [(50, 0.9), (19, 0.8)])
def test_coverage_is_as_stated_however_wrong_the_model(method, clips, coverage):
    """The coverage is ceil((n + 1) c) / (n + 1) on average over calibration sets.

    That is exact for scores that never tie.
    """
    rng, covered, sizes, repeats, new = np.random.default_rng(0), [], [], 400, 40
    randomised = method == "aps randomised"
    for _ in range(repeats):
        probs, truth = _multiclass(rng, clips + new)
        uniform = rng.random(clips + new) if randomised else None
        fit = cf.calibrate_multiclass(
            probs[:clips],
            truth[:clips],
            coverage,
            method.split()[0],
            uniform[:clips] if randomised else None,
        )
        sets = fit.sets(probs[clips:], uniform[clips:] if randomised else None)
        covered.append(sets[truth[clips:]].mean())
        sizes.append(sets.sum(axis=1).mean())
    exact = math.ceil((clips + 1) * coverage - 1e-9) / (clips + 1)
    error = np.std(covered) / math.sqrt(repeats)
    np.testing.assert_allclose(np.mean(covered), exact, atol=4 * error)
    assert 1 < np.mean(sizes) < 6


def test_multilabel_covers_both_truths_of_every_label():
    rng, present, absent = np.random.default_rng(1), [], []
    prevalence = np.array([-1.0, 0.0, 1.5])
    for _ in range(300):
        logits = rng.normal(size=(160, 3)) + prevalence
        truth = rng.random(logits.shape) < scipy.special.expit(logits)
        probs = scipy.special.expit(3 * logits - 1)
        fit = cf.calibrate_multilabel(probs[:100], truth[:100], 0.8)
        may_be_present, may_be_absent = fit.possible(probs[100:])
        for label in range(3):
            y = truth[100:, label]
            present.append((label, may_be_present[y, label].mean()))
            absent.append((label, may_be_absent[~y, label].mean()))
    for kind in (present, absent):
        for label in range(3):
            shares = np.array([share for which, share in kind if which == label])
            error = shares.std() / math.sqrt(len(shares))
            # Between c and c + 1/(n + 1), n at least 20 clips of each truth.
            assert 0.8 - 4 * error < shares.mean() < 0.8 + 1 / 20 + 4 * error


def test_a_label_without_positives_can_never_be_excluded():
    fit = cf.calibrate_multilabel(np.full((30, 1), 0.1), np.zeros((30, 1)), 0.9)
    present, absent = fit.possible([[0.0], [0.9]])
    np.testing.assert_array_equal(present, [[True], [True]])
    np.testing.assert_array_equal(absent, [[True], [False]])


PROBS, LABELS = np.full((3, 2), 0.5), np.eye(2)[[0, 1, 0]]


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: cf.calibrate_multiclass(PROBS, LABELS, 90), "coverage is 90; it must lie between"),
        (lambda: cf.calibrate_multiclass(PROBS, LABELS, 0.9, "lac"), "method is 'lac'; it must be"),
        (
            lambda: cf.calibrate_multiclass(PROBS, LABELS, 0.9, "threshold", [0.1] * 3),
            "only the method 'aps' uses them",
        ),
        (
            lambda: cf.calibrate_multiclass(PROBS, LABELS, 0.9, "aps", [0.1]),
            r"uniform numbers have shape \(1,\); give one in \[0, 1\) for each of 3",
        ),
        (
            lambda: cf.calibrate_multilabel(PROBS, LABELS).possible([[0.5]]),
            "probabilities have 1 labels; this was calibrated with 2",
        ),
    ],
)
def test_errors_name_the_value(call, text):
    with pytest.raises(UserError, match=text):
        call()
