"""Temperature scaling: one number that corrects how sure a model is.

Logits are divided by a temperature before the softmax or sigmoid, which changes how sure the
answers are but not their order (Guo et al. 2017, section 4.2). With a posterior over networks, the
logits of each draw are divided, so that a draw remains a network and the decomposition of the
uncertainty keeps its meaning. The fitted temperature is the one that minimises the negative log
likelihood of the probabilities averaged over draws. It must be fitted on clips that neither
trained the model nor test it: a validation split, or all folds but one in turn.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, softmax

from vipann_tf.errors import UserError
from vipann_tf.uncertainty.arrays import FloatArray, check_task, checked
from vipann_tf.uncertainty.scores import clip_nll

__all__ = [
    "TEMPERATURES",
    "TemperatureFit",
    "fit_temperature",
    "scaled_probabilities",
]

TEMPERATURES = (0.05, 20.0)  # bounds of the search; beyond them, answers are 0 and 1 or all equal


@dataclass(frozen=True)
class TemperatureFit:
    """A fitted temperature, and the NLL (nats, as `clip_nll`) of the clips it was fitted on."""

    temperature: float
    nll_before: float
    nll_after: float
    clips: int


def scaled_probabilities(sample_logits: ArrayLike, task: str, temperature: float) -> FloatArray:
    """Return the mean over draws of the probabilities at a temperature.

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
        raise UserError(f"temperature is {temperature}; it must be above 0")
    sample_logits = np.asarray(sample_logits)
    total = np.zeros(sample_logits.shape[1:])
    for logits in sample_logits:  # draw by draw: no second copy of all the draws
        scaled = np.asarray(logits, np.float64) / temperature
        total += softmax(scaled, axis=-1) if task == "multiclass" else expit(scaled)
    return total / len(sample_logits)


def fit_temperature(sample_logits: ArrayLike, labels: ArrayLike, task: str) -> TemperatureFit:
    """Return the temperature with the lowest NLL on these clips.

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
    logits = _checked(sample_logits)
    checked(np.full(logits.shape[1:], 0.5), labels, task)

    def nll(log_temperature: float) -> float:
        probs = scaled_probabilities(logits, task, float(np.exp(log_temperature)))
        return float(clip_nll(probs, labels, task).mean())

    # The NLL of a mean over draws may have several minima: search a grid, then refine.
    grid = np.linspace(np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1]), 25)
    best = int(np.argmin([nll(point) for point in grid]))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    before = nll(0.0)
    if found.fun >= before:
        return TemperatureFit(1.0, before, before, logits.shape[1])
    return TemperatureFit(float(np.exp(found.x)), before, float(found.fun), logits.shape[1])


def _checked(sample_logits: ArrayLike) -> NDArray[Any]:
    sample_logits = np.asarray(sample_logits)
    if sample_logits.ndim != 3 or sample_logits.size == 0:
        raise UserError(
            f"logits have shape {sample_logits.shape}; it must be [draws, clips, labels], none 0"
        )
    if not np.all(np.isfinite(sample_logits)):
        raise UserError("a logit is not finite; look for a diverged model or a broken recording")
    return sample_logits
