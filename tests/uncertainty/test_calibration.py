"""Calibration scores by hand, by another formula, and by properties of drawn labels."""

import itertools
import math

import numpy as np
import pytest
import scipy.special

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import calibration as cal

NAN = float("nan")


def _drawn(rng, clips, labels, sharpen=1.0):
    """Probabilities and labels drawn from them; `sharpen` > 1 makes the answers overconfident."""
    logits = 2 * rng.normal(size=(clips, labels))
    probs = scipy.special.softmax(logits, axis=1)
    truth = np.stack([rng.multinomial(1, p) for p in probs])
    return scipy.special.softmax(sharpen * logits, axis=1), truth


def _loop_ece(confidence, outcome, edges):
    """ECE and MCE straight from the definition, one bin after the other."""
    ece, mce = 0.0, 0.0
    for b, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = (confidence > low) & (confidence <= high)
        if b == 0:
            inside |= confidence == low
        if inside.any():
            gap = abs(outcome[inside].mean() - confidence[inside].mean())
            ece += inside.mean() * gap
            mce = max(mce, gap)
    return ece, mce


def test_by_hand():
    # Four bins; the second and third are empty. Edges belong to the bin below.
    stats = cal.count_bins([0.0, 0.25, 0.9, 0.8, 1.0], [0, 1, 1, 0, 1], cal.equal_width_edges(4))
    np.testing.assert_array_equal(stats.count, [2, 0, 0, 3])
    np.testing.assert_allclose(stats.accuracy, [0.5, NAN, NAN, 2 / 3])
    np.testing.assert_allclose(stats.mean_confidence, [0.125, NAN, NAN, 0.9])
    want = (2 * 0.375 + 3 * (0.9 - 2 / 3)) / 5
    np.testing.assert_allclose(cal.expected_calibration_error(stats), want)
    np.testing.assert_allclose(cal.maximum_calibration_error(stats), 0.375)


def test_top_label_counts_the_most_probable_label():
    probs = [[0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [0.1, 0.3, 0.6]]
    truth = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    confidence, right = cal.top_label(probs, truth)
    np.testing.assert_array_equal(confidence, [0.7, 0.4, 0.6])
    np.testing.assert_array_equal(right, [True, False, True])  # the first of equal ones
    stats = cal.reliability(probs, truth, "multiclass", cal.equal_width_edges(1))
    np.testing.assert_allclose(
        cal.expected_calibration_error(stats), abs(2 / 3 - 1.7 / 3), rtol=1e-12
    )


def test_micro_and_macro_by_hand():
    probs = np.array([[0.9, 0.1], [0.7, 0.3]])
    truth = np.array([[1, 1], [0, 0]])
    one = cal.equal_width_edges(1)
    micro = cal.reliability(probs, truth, "multilabel", one)
    np.testing.assert_allclose(cal.expected_calibration_error(micro), 0.0, atol=1e-15)
    macro = cal.label_reliability(probs, truth, "multilabel", one)
    np.testing.assert_allclose(cal.expected_calibration_error(macro), [0.3, 0.3])


@pytest.mark.parametrize("bins", [1, 7, 15])
@pytest.mark.parametrize("edges_of", [cal.equal_width_edges, None])
def test_scores_match_a_loop_over_the_definition(bins, edges_of):
    rng = np.random.default_rng(bins)
    confidence = np.round(rng.beta(0.5, 1.0, size=503), 2)  # ties, zeros and values on edges
    outcome = rng.random(503) < confidence**1.5
    edges = edges_of(bins) if edges_of else cal.equal_mass_edges(confidence, bins)
    stats = cal.count_bins(confidence, outcome, edges)
    ece, mce = _loop_ece(confidence, outcome, edges)
    assert stats.count.sum() == 503
    np.testing.assert_allclose(cal.expected_calibration_error(stats), ece, rtol=1e-12)
    np.testing.assert_allclose(cal.maximum_calibration_error(stats), mce, rtol=1e-12)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_labels_drawn_from_the_answers_are_calibrated_and_others_are_not(task):
    rng = np.random.default_rng(0)
    clips = 20_000
    probs, truth = _drawn(rng, clips, 5)
    if task == "multilabel":
        truth = rng.random(probs.shape) < probs
    ece = cal.expected_calibration_error(cal.reliability(probs, truth, task))
    # E|gap| of a bin is at most 0.4 / sqrt(n_b) (p = 1/2), so ECE stays under
    # sum n_b/n 0.4/sqrt(n_b) <= 0.4 sqrt(bins / n).
    assert ece < 2 * 0.4 * math.sqrt(15 / clips), ece
    shuffled = rng.permutation(truth)
    other = cal.expected_calibration_error(cal.reliability(probs, shuffled, task))
    assert other > 0.1, other


def test_ece_grows_with_overconfidence():
    scores = []
    for sharpen in (1.0, 1.5, 3.0):
        probs, truth = _drawn(np.random.default_rng(4), 5000, 6, sharpen)
        scores.append(
            (
                cal.expected_calibration_error(cal.reliability(probs, truth, "multiclass")),
                cal.adaptive_calibration_error(probs, truth, "multiclass"),
                cal.sweep_calibration_error(*cal.top_label(probs, truth)),
            )
        )
    assert np.all(np.diff(scores, axis=0) > 0.01), scores


def test_equal_mass_bins_are_equal_and_keep_ties_together():
    rng = np.random.default_rng(1)
    confidence = rng.random((150, 3))
    stats = cal.count_bins(confidence, confidence > 0.5, cal.equal_mass_edges(confidence, 15))
    np.testing.assert_array_equal(stats.count, np.full((3, 15), 10))
    tied = np.array([0.2] * 6 + [0.8] * 2)
    stats = cal.count_bins(tied, tied > 0.5, cal.equal_mass_edges(tied, 4))
    assert sorted(stats.count) == [0, 0, 2, 6]  # empty bins stay, as bins
    assert np.isfinite(cal.expected_calibration_error(stats))


def test_adaptive_error_is_the_mean_of_labels_own_bins():
    probs, truth = _drawn(np.random.default_rng(2), 200, 3)
    want = [
        _loop_ece(p, y, cal.equal_mass_edges(p, 8))[0]
        for p, y in zip(probs.T, truth.T, strict=True)
    ]
    got = cal.adaptive_calibration_error(probs, truth, "multiclass", bins=8)
    np.testing.assert_allclose(got, np.mean(want), rtol=1e-12)


def test_sweep_stops_before_accuracy_falls():
    # Two bins: accuracies 0, 1/2. Three bins: 0, 1, 0 falls. So the ECE in two bins holds.
    confidence = np.array([0.1, 0.2, 0.6, 0.7, 0.8, 0.9])
    outcome = np.array([0, 0, 1, 1, 0, 0])
    two = cal.count_bins(confidence, outcome, cal.equal_mass_edges(confidence, 2))
    got = cal.sweep_calibration_error(confidence, outcome)
    np.testing.assert_allclose(got, cal.expected_calibration_error(two))


@pytest.mark.parametrize("cut", [1, 40, 99])
def test_any_split_of_the_clips_gives_the_same_sums(cut):
    probs, truth = _drawn(np.random.default_rng(3), 100, 4)
    for count in (cal.reliability, cal.label_reliability):
        whole = count(probs, truth, "multiclass")
        parts = cal.merge(
            count(probs[:cut], truth[:cut], "multiclass"),
            count(probs[cut:], truth[cut:], "multiclass"),
        )
        np.testing.assert_array_equal(parts.count, whole.count)
        for score in (cal.expected_calibration_error, cal.maximum_calibration_error):
            np.testing.assert_allclose(score(parts), score(whole), rtol=1e-10)


def test_no_pairs_have_no_score():
    stats = cal.count_bins([], [], cal.equal_width_edges(3))
    assert np.isnan(cal.expected_calibration_error(stats))
    assert np.isnan(cal.maximum_calibration_error(stats))


EDGES = cal.equal_width_edges(2)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: cal.equal_width_edges(0), "bins is 0; it must be at least 1"),
        (lambda: cal.equal_mass_edges([], 3), "there are no confidences; equal-mass"),
        (lambda: cal.sweep_calibration_error([], []), "there are no confidences; the sweep"),
        (lambda: cal.count_bins([0.5], [1, 0], EDGES), r"shape \(1,\) and outcomes \(2,\)"),
        (lambda: cal.count_bins([1.5], [1], EDGES), r"a confidence is 1.5; the bins cover \[0, 1"),
        (lambda: cal.count_bins([NAN], [1], EDGES), "a confidence is nan"),
        (
            lambda: cal.merge(
                cal.count_bins([0.5], [1], EDGES),
                cal.count_bins([0.5], [1], cal.equal_width_edges(3)),
            ),
            r"different bins \(2 and 3",
        ),
        (lambda: cal.reliability([[0.5]], [[1]], "tagging"), "task is 'tagging'; it must be one"),
        (lambda: cal.reliability([[0.5]], [[2]], "multilabel"), "a label is 2; give multi-hot"),
        (lambda: cal.reliability([[NAN]], [[1]], "multilabel"), "a probability is nan; every"),
        (lambda: cal.reliability([0.5], [1], "multilabel"), r"probabilities have shape \(1,\); it"),
        (lambda: cal.reliability([[0.5]], [1], "multilabel"), r"shape \(1, 1\) and labels \(1,\)"),
        (
            lambda: cal.reliability([[0.5, 0.5]] * 2, [[1, 0], [1, 1]], "multiclass"),
            "clip 1 has 2 labels; multiclass clips have exactly one",
        ),
    ],
)
def test_errors_name_the_value(call, text):
    with pytest.raises(UserError, match=text):
        call()
