"""Tests of calibration against known miscalibration, and against what others computed."""

from collections import Counter

import numpy as np
import pytest
import scipy.special
import scipy.stats

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import miscalibration as mis


def _answers(task, clips, labels, seed, *, sharpen=1.0, shift=0.0, base=-1.5, dependence=0.0):
    """Answers of a model, calibrated without `sharpen` and `shift`, and truth drawn from it.

    `dependence` correlates the labels of a clip without a change of their probabilities.
    """
    rng = np.random.default_rng(seed)
    if task == "multiclass":
        logits = 2.5 * rng.normal(size=(clips, labels))
        cumulative = np.cumsum(scipy.special.softmax(logits, axis=1), axis=1)
        chosen = (rng.random((clips, 1)) > cumulative[:, :-1]).sum(axis=1)
        return scipy.special.softmax(sharpen * logits, axis=1), np.eye(labels, dtype=int)[chosen]
    logits = 1.5 * rng.normal(size=(clips, labels)) + base + rng.normal(size=labels)
    shared, own = rng.normal(size=(clips, 1)), rng.normal(size=(clips, labels))
    level = scipy.stats.norm.cdf(np.sqrt(dependence) * shared + np.sqrt(1 - dependence) * own)
    truth = (level < scipy.special.expit(logits)).astype(int)
    return scipy.special.expit(sharpen * logits + shift), truth


def _verdicts(repeats, *arguments, **changes):
    return Counter(
        mis.calibration_test(
            *_answers(*arguments, seed, **changes), arguments[0], seed=seed
        ).verdict
        for seed in range(repeats)
    )


@pytest.mark.parametrize(
    ("task", "clips", "labels", "changes"),
    [
        ("multiclass", 80, 10, {}),
        ("multiclass", 400, 4, {}),
        ("multilabel", 80, 10, {}),
        ("multilabel", 80, 10, {"base": -3.5}),
        ("multilabel", 80, 10, {"dependence": 0.7}),
        ("multilabel", 80, 10, {"base": -3.5, "dependence": 0.7}),
    ],
)
def test_at_most_five_of_a_hundred_calibrated_models_are_accused(task, clips, labels, changes):
    """A count of 200 with a probability of 0.05 is above 19 with a probability of 0.002."""
    accused = 200 - _verdicts(200, task, clips, labels, **changes)["undecided"]
    assert accused <= scipy.stats.binom.isf(0.002, 200, 0.05) == 20


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_of_many_calibrated_models_each_test_accuses_its_share(task):
    """Exact tests of counts are somewhat conservative; none may accuse more than its share."""
    tests = [
        mis.calibration_test(*_answers(task, 200, 5, seed, base=0.0), task, seed=seed)
        for seed in range(600)
    ]
    found = {
        "gap": np.array([test.gap_p.min() for test in tests]),
        "spiegelhalter": np.array([test.z_p for test in tests]),
        "ece": np.array([test.ece_p for test in tests]),
    }
    for name, p_values in found.items():
        for level in (mis.LEVELS[name], 0.2):
            most = scipy.stats.binom.isf(0.001, 600, level)
            assert (p_values <= level).sum() <= most, (name, level)
        assert (p_values <= 0.2).sum() >= 45, f"{name} hardly ever accuses"


@pytest.mark.parametrize(
    ("task", "changes", "verdict"),
    [
        ("multiclass", {"sharpen": 2.0}, "overconfident"),
        ("multiclass", {"sharpen": 0.5}, "underconfident"),
        ("multilabel", {"shift": 0.7}, "overconfident"),
        ("multilabel", {"shift": -0.7}, "underconfident"),
        ("multilabel", {"shift": -0.7, "base": -3.0}, "underconfident"),
    ],
)
def test_known_miscalibration_is_found_with_its_sign(task, changes, verdict):
    found = _verdicts(60, task, 150, 10, **changes)
    wrong = {"overconfident": "underconfident", "underconfident": "overconfident"}[verdict]
    assert found[verdict] >= 50 and found[wrong] <= 1, found


def test_gaps_that_cancel_are_found_by_squared_errors():
    """Probabilities of 0.02 and 0.98, of which 0.15 and 0.85 come true: sums agree."""
    probs = np.repeat([0.02, 0.98], 100)[:, None]
    truth = np.repeat([1, 0, 1, 0], [15, 85, 85, 15])[:, None]
    found = mis.calibration_test(probs, truth, "multilabel")
    assert found.gap_p[0] > 0.9 and found.z > 5
    assert (found.verdict, found.decided_by) == ("overconfident", "spiegelhalter")
    timid = mis.calibration_test(np.repeat([0.3, 0.7], 100)[:, None], truth, "multilabel")
    assert (timid.verdict, timid.decided_by) == ("underconfident", "spiegelhalter")


def test_the_binned_error_finds_what_sums_do_not():
    """Gaps of 28, -56 and 28 at 0.2, 0.5 and 0.8: their sum is 0, and that times (1 - 2p) too."""
    probs = np.repeat([0.2, 0.5, 0.8], 400)[:, None]
    truth = np.repeat([1, 0] * 3, [108, 292, 144, 256, 348, 52])[:, None]
    found = mis.calibration_test(probs, truth, "multilabel")
    np.testing.assert_allclose([found.expected[0] - found.true[0], found.z], 0, atol=1e-9)
    assert (found.verdict, found.decided_by) == ("uneven", "ece")
    assert found.ece_p == 1 / 201


def test_uneven_is_what_has_both_signs():
    probs = np.full((200, 2), 0.3)
    truth = np.zeros((200, 2), int)
    truth[:20, 0] = truth[:120, 1] = 1
    found = mis.calibration_test(probs, truth, "multilabel")
    assert found.verdict == "uneven" and found.decided_by == "gap"
    assert found.too_high.tolist() == [True, False] and found.too_low.tolist() == [False, True]


# Confidences of a det-flip network, fine-tuned with mixup, on fold 5 of ESC-10, and wrong answers.
_CONFIDENCES = """
    .4971 .8861 .8889 .9050 .9520 .7302 .9697 .9024 .3470 .6618 .9647 .7893 .4688 .8606 .9772
    .9953 .6317 .9763 .6359 .9333 .7186 .9928 .7851 .7585 .9973 .6909 .9493 .6490 .9944 .9055
    .9256 .9910 .9395 .9433 .9548 .9535 .3871 .8727 .9696 .9902 .6884 .7932 .9791 .8133 .9807
    .6506 .9130 .9655 .9377 .7616 .7558 .9308 .7136 .9637 .4503 .9602 .7483 .6146 .9560 .8424
    .8627 .9236 .6019 .9589 .9554 .9219 .8509 .8221 .8354 .9046 .4499 .7013 .7657 .6101 .9041
    .9136 .9613 .4459 .9913 .9576
"""
UNSURE = np.array(_CONFIDENCES.split(), float)
WRONG = [7, 11, 12, 18, 62, 77]


def test_a_network_fine_tuned_with_mixup_is_underconfident():
    """74 of 80 are right where 66.1 were expected: P(K >= 74) = 0.0047, two-sided 0.0095."""
    probs = np.stack([UNSURE, 1 - UNSURE], axis=1)
    # The second column is all the other labels, and never the answer.
    probs[:, 1] = np.minimum(probs[:, 1], UNSURE - 1e-9)
    truth = np.eye(2, dtype=int)[np.isin(np.arange(80), WRONG).astype(int)]
    found = mis.calibration_test(probs, truth, "multiclass")
    want = 2 * scipy.stats.poisson_binom.sf(73, UNSURE)
    np.testing.assert_allclose(found.gap_p, [want], rtol=1e-6)
    np.testing.assert_allclose(want, 0.0095, atol=5e-5)
    assert (found.verdict, found.decided_by) == ("underconfident", "gap")
    np.testing.assert_allclose(found.expected, [66.1], atol=0.05)
    assert found.true.tolist() == [74.0]


def test_spiegelhalters_z_by_its_formula():
    probs = np.array([[0.9], [0.3], [0.6], [0.2]])
    outcomes = np.array([[0], [1], [1], [0]])
    terms = [-0.9 * -0.8, 0.7 * 0.4, 0.4 * -0.2, -0.2 * 0.6]
    variance = 0.64 * 0.09 + 0.16 * 0.21 + 0.04 * 0.24 + 0.36 * 0.16
    np.testing.assert_allclose(mis.spiegelhalter_z(probs, outcomes), sum(terms) / variance**0.5)
    # The statistic is the excess of the squared errors over their expectation.
    excess = np.sum((outcomes - probs) ** 2 - probs * (1 - probs))
    np.testing.assert_allclose(sum(terms), excess)


def test_labels_that_copy_each_other_count_once():
    probs, truth = _answers("multilabel", 300, 1, seed=2)
    one = mis.spiegelhalter_z(probs, truth)
    several = mis.spiegelhalter_z(np.repeat(probs, 9, axis=1), np.repeat(truth, 9, axis=1))
    assert abs(several) <= 1.2 * abs(one)  # three times it if labels counted as independent


def test_certain_answers_have_no_variance():
    assert mis.spiegelhalter_z([[0.0], [1.0]], [[0], [1]]) == 0.0
    assert mis.spiegelhalter_z([[0.0], [1.0]], [[1], [1]]) == np.inf
    found = mis.calibration_test([[0.0], [1.0]], [[1], [1]], "multilabel")
    assert found.verdict == "underconfident" and found.gap_p[0] == 0.0


def test_holm_by_hand():
    # Holm's own steps: 4 * 0.005, 3 * 0.01, 2 * 0.03, then not below the one before.
    np.testing.assert_allclose(mis.holm([0.03, 0.005, 0.04, 0.01]), [0.06, 0.02, 0.06, 0.03])
    assert mis.holm([0.9, 0.8]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("mean", [0.02, 0.5, 0.97])
def test_shifted_probabilities_have_the_mean_and_the_same_order(mean):
    probs = np.random.default_rng(0).beta(0.3, 2.0, size=99)
    found = mis.shifted(probs, mean)
    np.testing.assert_allclose(found.mean(), mean, atol=1e-9)
    apart = scipy.special.logit(found) - scipy.special.logit(probs)
    np.testing.assert_allclose(apart, apart[0], atol=1e-4)  # but for those near 0
    assert mis.shifted(probs, 1.02) is None and mis.shifted(probs, 0.0) is None


@pytest.mark.parametrize("side", ["too_high", "too_low"])
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_power_is_how_often_a_known_gap_is_found(task, side):
    """Draw truth that far from the answers, and count the tests of the gap that see it."""
    probs, _ = _answers(task, 80, 4, seed=1, base=-0.5)
    power = mis.gap_power(probs, task)
    sign = 1 if side == "too_high" else -1
    rng = np.random.default_rng(5)
    found, repeats = 0, 400
    if task == "multiclass":
        top = probs.max(axis=1)
        true = mis.shifted(top, top.mean() - sign * power.size)
        right = rng.random((repeats, 80)) < true
        for count in right.sum(axis=1):
            tails = scipy.stats.poisson_binom.cdf([count, count - 1], top)
            p = 2 * min(tails[0], 1 - tails[1])
            found += p <= 0.03 and sign * (top.sum() - count) > 0
    else:
        columns = [mis.shifted(p, p.mean() * power.size**-sign) for p in probs.T]
        true = np.stack(columns, axis=1)
        for counts in (rng.random((repeats, 80, 4)) < true).sum(axis=1):
            p = [
                2 * min(b.cdf(count), b.sf(count - 1))
                for b, count in zip(map(scipy.stats.poisson_binom, probs.T), counts, strict=True)
            ]
            seen = (np.array(p) <= 0.03 / 4) & (sign * (probs.sum(axis=0) - counts) > 0)
            found += seen.any()
    want = getattr(power, side)
    # Four standard errors of a share of 400.
    assert found / repeats == pytest.approx(want, abs=4 * np.sqrt(0.25 / repeats))
    assert 0.4 < want <= 1.0


def test_the_power_grows_with_the_clips():
    sizes = [
        mis.gap_power(_answers("multiclass", clips, 10, seed=3)[0], "multiclass").size
        for clips in (20, 200, 4000)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_a_gap_that_no_truth_can_have_has_no_power():
    probs = np.full((12, 2), [0.98, 0.02])
    power = mis.gap_power(probs, "multiclass")
    assert power.too_low is None and power.too_high >= 0.5


def test_wrong_arguments_are_named():
    with pytest.raises(UserError, match=r"shape \(1, 2\) and outcomes \(2, 1\)"):
        mis.spiegelhalter_z([[0.1, 0.2]], [[1], [0]])
    with pytest.raises(UserError, match="task is 'tag'"):
        mis.calibration_test([[0.5]], [[1]], "tag")
