"""Temperature scaling against a closed form and against a known distortion of the logits."""

import numpy as np
import pytest
import scipy.special

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import calibration as cal
from vipann_tf.uncertainty import temperature as tp
from vipann_tf.uncertainty.scores import clip_nll


def _data(task, clips=4000, labels=5, seed=0):
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(clips, labels))
    if task == "multilabel":
        return logits, (rng.random(logits.shape) < scipy.special.expit(logits)).astype(int)
    probs = scipy.special.softmax(logits, axis=1)
    return logits, np.stack([rng.multinomial(1, p) for p in probs])


@pytest.mark.parametrize("share, size", [(0.7, 3.0), (0.9, 1.0), (0.55, 0.5)])
def test_one_size_of_logit_has_a_closed_form(share, size):
    """Logits +-a that are right in a share s: the best sigmoid(a / T) is s, so T = a / logit(s)."""
    clips = 1000
    sign = np.where(np.arange(clips) % 2, 1.0, -1.0)
    right = np.arange(clips) // 2 < share * clips / 2
    truth = np.where(right, sign > 0, sign < 0).astype(int)
    fit = tp.fit_temperature(size * sign[None, :, None], truth[:, None], "multilabel")
    np.testing.assert_allclose(fit.temperature, size / scipy.special.logit(share), rtol=2e-3)
    entropy = scipy.special.entr([share, 1 - share]).sum()
    np.testing.assert_allclose(fit.nll_after, entropy, rtol=1e-6)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("distortion", [0.4, 1.0, 2.5])
def test_recovers_a_distortion_and_mends_the_calibration(task, distortion):
    logits, labels = _data(task)
    distorted = (distortion * logits)[None]
    fit = tp.fit_temperature(distorted, labels, task)
    # 4000 clips know a slope to about 1 / sqrt(4000 * information), information ~ 0.3: 3 %.
    np.testing.assert_allclose(fit.temperature, distortion, rtol=0.12)
    assert fit.nll_after <= fit.nll_before and fit.clips == 4000
    after = tp.scaled_probabilities(distorted, task, fit.temperature)
    ece = cal.expected_calibration_error(cal.reliability(after, labels, task))
    assert ece < 0.03, ece


def test_draws_are_scaled_one_by_one_and_then_averaged():
    logits = np.random.default_rng(1).normal(size=(3, 4, 2))
    got = tp.scaled_probabilities(logits, "multiclass", 2.0)
    np.testing.assert_allclose(got, scipy.special.softmax(logits / 2, axis=-1).mean(0))
    got = tp.scaled_probabilities(logits, "multilabel", 1.0)
    np.testing.assert_allclose(got, scipy.special.expit(logits).mean(0))


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_fit_over_draws_is_the_best_of_a_fine_grid(task):
    logits, labels = _data(task, clips=300)
    draws = 3 * logits + np.random.default_rng(2).normal(size=(6, 300, 5))
    fit = tp.fit_temperature(draws, labels, task)
    grid = np.geomspace(0.5, 10, 200)
    best = min(clip_nll(tp.scaled_probabilities(draws, task, t), labels, task).mean() for t in grid)
    assert fit.nll_after <= best + 1e-9
    assert 1.5 < fit.temperature < 5


def test_always_right_ends_at_the_bound_and_never_gets_worse():
    logits = np.eye(3)[None] * 4
    fit = tp.fit_temperature(logits, np.eye(3), "multiclass")
    assert tp.TEMPERATURES[0] <= fit.temperature < 0.3
    assert fit.nll_after <= fit.nll_before


LOGITS = np.zeros((1, 4, 2))
LABELS = np.eye(2)[[0, 1, 0, 1]]


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: tp.fit_temperature(LOGITS[0], LABELS, "multiclass"), r"logits have shape \(4, 2"),
        (lambda: tp.fit_temperature(LOGITS + np.inf, LABELS, "multiclass"), "a logit is not fini"),
        (lambda: tp.fit_temperature(LOGITS, LABELS, "tag"), "task is 'tag'"),
        (lambda: tp.fit_temperature(LOGITS, LABELS[:3], "multiclass"), r"\(4, 2\) and labels \(3"),
        (lambda: tp.scaled_probabilities(LOGITS, "multiclass", 0.0), "temperature is 0.0"),
    ],
)
def test_errors_name_the_value(call, text):
    with pytest.raises(UserError, match=text):
        call()
