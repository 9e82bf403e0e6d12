"""Temperature scaling: one number that makes a model as sure as it has reason to be.

Logits are divided by a temperature before the softmax or sigmoid, which changes how sure the
answers are and not their order (Guo et al. 2017, section 4.2). With a posterior over networks
each draw's logits are divided, so that a draw stays a network and the decomposition of the
uncertainty stays what it is; the temperature is the one that minimises the negative log
likelihood of the probabilities averaged over draws. It must be fitted on clips that neither
trained the model nor test it: a validation split, or all folds but one in turn.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, softmax

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import check_task, checked
from vipann_tf.uncertainty.scores import PROBABILITY_FLOOR, clip_nll

__all__ = [
    "TEMPERATURES",
    "TemperatureFit",
    "cross_fitted",
    "fit_temperature",
    "logits_of",
    "scaled_probabilities",
]

TEMPERATURES = (0.05, 20.0)  # the search is bounded; beyond, answers are 0 and 1 or all equal


@dataclass(frozen=True)
class TemperatureFit:
    """A fitted temperature, and the NLL (nats, as `clip_nll`) of the clips it was fitted on."""

    temperature: float
    nll_before: float
    nll_after: float
    clips: int


def logits_of(probs, task: str) -> np.ndarray:
    """Returns logits that give these probabilities, float64, of the same shape.

    Multiclass logits are known up to a common offset, which temperature scaling does not see: it
    is chosen such that they are log p. Probabilities that float32 rounded to 0 or 1 are taken as
    2^-24 away from it; logits from the model itself are better where they are at hand.
    """
    check_task(task)
    probs = np.clip(np.asarray(probs, np.float64), PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return np.log(probs) if task == "multiclass" else np.log(probs) - np.log1p(-probs)


def scaled_probabilities(sample_logits, task: str, temperature: float) -> np.ndarray:
    """Returns the mean over draws of the probabilities at a temperature.

    Args:
      sample_logits: Logits of every draw, `[draws, clips, labels]`.
      task: "multilabel" or "multiclass".
      temperature: Above 0; larger is less sure, 1 changes nothing.

    Returns:
      float64 `[clips, labels]`.

    Raises:
      UserError: If the temperature is not above 0.
    """
    check_task(task)
    if not temperature > 0:
        raise UserError(f"temperature is {temperature}; it must be above 0.")
    total = 0.0
    for logits in sample_logits:  # draw by draw: no second copy of all the draws
        scaled = np.asarray(logits, np.float64) / temperature
        total = total + (softmax(scaled, axis=-1) if task == "multiclass" else expit(scaled))
    return total / len(sample_logits)


def fit_temperature(sample_logits, labels, task: str) -> TemperatureFit:
    """Returns the temperature with the lowest NLL on these clips.

    Args:
      sample_logits: Logits of every draw, `[draws, clips, labels]`; one draw of a deterministic
        model is `logits[None]`.
      labels: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".

    Returns:
      A `TemperatureFit`, its temperature within `TEMPERATURES`. The NLL is never above that at
      temperature 1.

    Raises:
      UserError: If the logits are not of that shape or not finite.
    """
    sample_logits = _checked(sample_logits)
    checked(np.full(sample_logits.shape[1:], 0.5), labels, task)

    def nll(log_temperature: float) -> float:
        probs = scaled_probabilities(sample_logits, task, np.exp(log_temperature))
        return float(clip_nll(probs, labels, task).mean())

    # One draw's NLL has one minimum, a mean over draws need not: look at a grid, then refine.
    grid = np.linspace(*np.log(TEMPERATURES), 25)
    best = int(np.argmin([nll(point) for point in grid]))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    before = nll(0.0)
    if found.fun >= before:
        return TemperatureFit(1.0, before, before, sample_logits.shape[1])
    return TemperatureFit(float(np.exp(found.x)), before, float(found.fun), sample_logits.shape[1])


def cross_fitted(
    sample_logits, labels, task: str, folds
) -> tuple[np.ndarray, dict[str, TemperatureFit]]:
    """Returns probabilities of every clip at a temperature that was fitted on the other folds.

    They can be scored honestly although every clip also helps to fit. The temperature to ship is
    `fit_temperature` on all of them.

    Args:
      sample_logits: Logits of every draw, `[draws, clips, labels]`.
      labels: Multi-hot truth, `[clips, labels]`.
      task: "multilabel" or "multiclass".
      folds: Name or number of each clip's fold, `[clips]`; at least two folds.

    Returns:
      Mean probabilities, float64 `[clips, labels]`, and for each fold the fit on the others.

    Raises:
      UserError: If there are fewer than two folds, or as in `fit_temperature`.
    """
    sample_logits = _checked(sample_logits)
    folds, labels = np.asarray(folds), np.asarray(labels)
    names = np.unique(folds)
    if folds.shape != sample_logits.shape[1:2] or len(names) < 2:
        raise UserError(
            f"folds have shape {folds.shape} and {len(names)} names; give one for each of "
            f"{sample_logits.shape[1]} clips, and at least two different ones."
        )
    probs, fits = np.empty(sample_logits.shape[1:]), {}
    for name in names:
        held_out = folds == name
        fit = fit_temperature(sample_logits[:, ~held_out], labels[~held_out], task)
        probs[held_out] = scaled_probabilities(sample_logits[:, held_out], task, fit.temperature)
        fits[str(name)] = fit
    return probs, fits


def _checked(sample_logits) -> np.ndarray:
    sample_logits = np.asarray(sample_logits)
    if sample_logits.ndim != 3 or sample_logits.size == 0:
        raise UserError(
            f"logits have shape {sample_logits.shape}; it must be [draws, clips, labels], none 0."
        )
    if not np.all(np.isfinite(sample_logits)):
        raise UserError("a logit is not finite; look for a diverged model or a broken recording.")
    return sample_logits
