"""Is a model calibrated? Tests that can say no, in which direction, and what they can find.

Three tests of one claim, that answers given with probability p are true with probability p:

    gap            does the sum of the probabilities agree with the number that came true? The exact
                   distribution of that number is the Poisson binomial, so this has a sign, needs no
                   bins, and is the most powerful one for a model that is too sure everywhere or
                   nowhere sure enough. Multilabel: label by label, with Holm's correction
    spiegelhalter  are the squared errors as large as the probabilities themselves expect? It
                   notices errors of confidence whose gaps cancel (Spiegelhalter 1986)
    ece            is the binned calibration error larger than chance explains? (`consistency`)

A calibrated model is to be accused at most 5 times in 100. The three tests share these, 3, 1 and 1
(`LEVELS`): the gap is what a reader acts on. Clips are taken as independent; labels of one clip are
not, except for the power.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import (
    BoolArray,
    FloatArray,
    check_task,
    checked,
    checked_probs,
)
from vipann_tf.uncertainty.calibration import (
    expected_calibration_error,
    reliability,
    top_label,
)
from vipann_tf.uncertainty.consistency import calibrated_ece, flipped_ece
from vipann_tf.uncertainty.poisson_binomial import count_p_values, poisson_binomial
from vipann_tf.uncertainty.scores import PROBABILITY_FLOOR

__all__ = [
    "LEVELS",
    "CalibrationTest",
    "Power",
    "calibration_test",
    "gap_power",
    "holm",
    "shifted",
    "spiegelhalter_z",
]

# Share of calibrated models that each test may accuse; together 5 %.
LEVELS = {"gap": 0.03, "spiegelhalter": 0.01, "ece": 0.01}
# What the power is stated for: the first of these that would be found in half of the cases.
GAPS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)  # multiclass: confidence less share right
FACTORS = (1.1, 1.2, 1.5, 2.0, 3.0, 5.0)  # multilabel: probability over share of clips


@dataclass(frozen=True)
class Power:
    """How often the test of the gap would find a known miscalibration, and its sign.

    Attributes:
      size: A value of `GAPS` (multiclass) or of `FACTORS` (multilabel, all labels alike).
      too_high: Share of sets of as many clips in which probabilities too high by that would be
        found; None if no truth is that far below them.
      too_low: The same of probabilities too low.
    """

    size: float
    too_high: float | None
    too_low: float | None


@dataclass(frozen=True)
class CalibrationTest:
    """The three tests of one set of answers.

    Attributes:
      verdict: "overconfident", "underconfident", "uneven" (too sure in some places, not sure enough
        in others) or "undecided": no test has a say.
      decided_by: The first test that has, a key of `LEVELS`; None if undecided.
      expected: Sum of the probabilities of the top label, `[1]`, or of each label, `[labels]`.
      true: How many of these came true, of the same shape.
      gap_p: Probability by chance of so large a gap of the two in either direction, of the same
        shape; for labels with Holm's correction.
      z: Spiegelhalter's z; above 0 for errors larger than the probabilities expect.
      z_p: Probability by chance of a z so far from 0.
      ece_p: Probability by chance of so large an ECE, to 1 / 201.
    """

    verdict: str
    decided_by: str | None
    expected: FloatArray
    true: FloatArray
    gap_p: FloatArray
    z: float
    z_p: float
    ece_p: float

    @property
    def too_high(self) -> BoolArray:
        """Which sums of probabilities are larger than chance explains, bool as `expected`."""
        return (self.gap_p <= LEVELS["gap"]) & (self.expected > self.true)

    @property
    def too_low(self) -> BoolArray:
        """Which sums of probabilities are smaller than chance explains, bool as `expected`."""
        return (self.gap_p <= LEVELS["gap"]) & (self.expected < self.true)


def calibration_test(
    probs: ArrayLike, labels: ArrayLike, task: str, *, seed: int = 0
) -> CalibrationTest:
    """Test whether answers are calibrated, and say in which direction they are not.

    Args:
      probs: Probabilities, `[clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.
      task: "multiclass" tests the top label's probability, "multilabel" each label's.
      seed: Seed of the ECE by chance.
    """
    probs, labels = checked(probs, labels, task)
    stated, true = probs, labels
    if task == "multiclass":
        top, right = top_label(probs, labels)
        stated, true = top[:, None], right[:, None]
    expected, counts = stated.sum(axis=0), true.sum(axis=0)
    chance = [count_p_values(poisson_binomial(p)) for p in stated.T]
    gap_p = holm([values[count] for values, count in zip(chance, counts, strict=True)])
    z = spiegelhalter_z(stated, true)
    z_p = float(2 * norm.sf(abs(z)))
    ece = float(expected_calibration_error(reliability(probs, labels, task)))
    if task == "multiclass":
        drawn, _ = calibrated_ece(probs, task, seed=seed)
    else:
        drawn = flipped_ece(probs, labels, seed=seed)
    # 1e-12: equal up to the order of summation.
    ece_p = float((1 + np.sum(drawn >= ece - 1e-12)) / (1 + len(drawn)))
    found = gap_p <= LEVELS["gap"]
    if found.any():
        decided_by, signs = "gap", {float(np.sign(gap)) for gap in (expected - counts)[found]}
    elif z_p <= LEVELS["spiegelhalter"]:
        decided_by, signs = "spiegelhalter", {_sign_of_errors(stated, true, z)}
    elif ece_p <= LEVELS["ece"]:
        decided_by, gap = "ece", float(np.sum(expected - counts)) / stated.size
        # Most of the error has one sign, or it has two.
        signs = {float(np.sign(gap))} if abs(gap) > ece / 2 else {-1.0, 1.0}
    else:
        decided_by, signs = None, set()
    verdicts = {(-1.0,): "underconfident", (1.0,): "overconfident", (): "undecided"}
    return CalibrationTest(
        verdict=verdicts.get(tuple(signs), "uneven"),
        decided_by=decided_by,
        expected=expected,
        true=counts.astype(float),
        gap_p=gap_p,
        z=z,
        z_p=z_p,
        ece_p=ece_p,
    )


def gap_power(probs: ArrayLike, task: str) -> Power:
    """Return how often the test of the gap would find a known miscalibration of these answers.

    It is exact for one label; for several it takes their outcomes as independent.

    Args:
      probs: Probabilities, `[clips, labels]`.
      task: "multilabel" or "multiclass".

    Returns:
      The power for the first size that is found in half of the cases, or else for the last.
    """
    check_task(task)
    probs = checked_probs(probs)
    stated = probs.max(axis=1, keepdims=True) if task == "multiclass" else probs
    chance = [count_p_values(poisson_binomial(p)) for p in stated.T]
    for size in GAPS if task == "multiclass" else FACTORS:
        power = Power(size, *(_found(stated, chance, task, size, sign) for sign in (1, -1)))
        shares = [share for share in (power.too_high, power.too_low) if share is not None]
        if shares and min(shares) >= 0.5:
            break
    return power


def holm(p_values: ArrayLike) -> FloatArray:
    """Return p-values corrected for their number, so that one below 0.05 comes 5 times in 100.

    Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure"; the tests may depend on
    each other in any way.

    Args:
      p_values: p-value of each test, `[tests]`.

    Returns:
      float64 `[tests]`, in the order given.
    """
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def spiegelhalter_z(probs: ArrayLike, outcomes: ArrayLike) -> float:
    """Return Spiegelhalter's z: how far the squared errors are from what the probabilities expect.

    z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)^2 p (1 - p)) (Spiegelhalter 1986, "Probabilistic
    Prediction in Patient Management and Clinical Trials"), close to standard normal for a
    calibrated model, since (y - p)^2 = p (1 - p) + (y - p)(1 - 2p): above 0 errors are larger than
    expected (too sure), below 0 smaller.

    Deviation: with several labels, the outcomes of one clip may depend on each other. The variance
    is then the larger one of the above and sum_clips (sum_labels (y - p)(1 - 2p))^2.

    Args:
      probs: Probabilities, `[clips, labels]`.
      outcomes: Whether each came true, 0 or 1, `[clips, labels]`.

    Returns:
      z; 0 if every probability is 0, 1/2 or 1, where its variance is 0 and errors are as expected,
      and infinite if one of them is 0 or 1 and wrong.

    Raises:
      UserError: If the shapes differ.
    """
    probs, outcomes = checked_probs(probs), np.asarray(outcomes)
    if probs.shape != outcomes.shape:
        raise UserError(
            f"probabilities have shape {probs.shape} and outcomes {outcomes.shape}; both must be "
            "[clips, labels]"
        )
    by_clip = ((outcomes - probs) * (1 - 2 * probs)).sum(axis=1)
    variance = float(np.sum((1 - 2 * probs) ** 2 * probs * (1 - probs)))
    if probs.shape[1] > 1:
        variance = max(variance, float(np.sum(by_clip**2)))
    excess = float(by_clip.sum())
    if variance == 0:
        return float(np.copysign(np.inf, excess)) if excess else 0.0
    return excess / float(np.sqrt(variance))


def shifted(probs: ArrayLike, mean: float) -> FloatArray | None:
    """Return probabilities whose log-odds all differ by one number from these, with a given mean.

    Args:
      probs: Probabilities, `[n]`.
      mean: The mean to reach.

    Returns:
      float64 `[n]`, or None if the mean is not strictly between 0 and 1.
    """
    if not 0 < mean < 1:
        return None
    log_odds = logit(np.clip(probs, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR))
    # Log-odds are within -17 and 17, so that these shifts reach means below 1e-20 and above.
    found = brentq(lambda shift: float(expit(log_odds + shift).mean()) - mean, -70.0, 70.0)
    moved: FloatArray = expit(log_odds + found)
    return moved


def _sign_of_errors(stated: FloatArray, true: BoolArray, z: float) -> float:
    """Return 1 for probabilities that are too high, or else too extreme, and -1 for the opposite.

    Errors are larger than expected where rare labels have too low probabilities, too, and the
    verdict on the level comes first: it is used if the gap of all pairs is 1.96 standard errors.
    """
    gaps = (stated - true).sum(axis=1)
    variance = max(float(np.sum(stated * (1 - stated))), float(np.sum(gaps**2)))
    level = float(gaps.sum())
    return float(np.sign(level if level**2 > 1.96**2 * variance else z))


def _found(
    stated: FloatArray, chance: list[FloatArray], task: str, size: float, sign: int
) -> float | None:
    """Return how often some label is found too high (sign 1) or too low (-1) where all are."""
    missed = None
    for p, values in zip(stated.T, chance, strict=True):
        mean = p.mean() - sign * size if task == "multiclass" else p.mean() * size**-sign
        truth = shifted(p, float(mean))
        if truth is None:
            continue
        side = sign * (p.sum() - np.arange(len(values))) > 0
        # Holm rejects something where the smallest p-value is below the level over their number.
        said = (values <= LEVELS["gap"] / len(chance)) & side
        found = poisson_binomial(truth)[said].sum()
        missed = (1.0 if missed is None else missed) * (1 - found)
    return None if missed is None else float(1 - missed)
