"""Which uncertainty is the better sign, measured on the same clips: paired differences of AUROCs.

Total, aleatoric and epistemic uncertainty order clips much alike, so that three AUROCs with
intervals say little. The clips that are hard for all of them cancel in a difference.
"""

from collections.abc import Mapping

import numpy as np

from vipann_tf.evaluation.intervals import RESAMPLES
from vipann_tf.evaluation.plain_numbers import interval_text
from vipann_tf.evaluation.results import Results
from vipann_tf.uncertainty.bootstrap import Interval, interval, resample_pair_weights
from vipann_tf.uncertainty.confidence_intervals import auroc_difference_interval
from vipann_tf.uncertainty.ranking import weighted_auroc

__all__ = ["less_total", "told_apart", "unfamiliar_less_total"]

_OTHERS = ("aleatoric", "epistemic")


def less_total(results: Results, kind: str, weights: np.ndarray) -> dict[str, float | None] | None:
    """Return the AUROC of one uncertainty for errors less that of total, as metrics.json has it.

    Args:
      results: Results of the evaluation.
      kind: "total", "aleatoric" or "epistemic".
      weights: Resamples of the clips, `[resamples, clips]`, which clips of one group need.

    Returns:
      `{"value", "low", "high"}`; None for total, and for one draw, of which total is aleatoric.
    """
    if kind == "total" or results.num_draws == 1:
        return None
    scores = [results.answers.answer_uncertainty(each, results.task) for each in (kind, "total")]
    wrong = results.wrong
    found = Interval(*auroc_difference_interval(scores[0], scores[1], wrong))
    if results.groups is not None and found.value is not None:
        drawn = [weighted_auroc(each, wrong, weights) for each in scores]
        found = interval(found.value, drawn[0] - drawn[1])
    return {"value": found.value, "low": found.low, "high": found.high}


def unfamiliar_less_total(
    results: Results, name: str, score: str
) -> dict[str, float | None] | None:
    """Return the AUROC of a score for unfamiliar clips less that of total uncertainty.

    Args:
      results: Results of the evaluation.
      name: The set of unfamiliar clips.
      score: A score of `Answers.scores`.

    Returns:
      As `less_total`.
    """
    if score == "total" or results.num_draws == 1:
        return None
    inside, outside = (
        answers.scores(results.task) for answers in (results.answers, results.outside[name])
    )
    both = [np.r_[inside[each], outside[each]] for each in (score, "total")]
    is_outside = np.repeat([False, True], [len(inside[score]), len(outside[score])])
    found = Interval(*auroc_difference_interval(both[0], both[1], is_outside))
    groups = results.groups, results.outside[name].groups
    if groups != (None, None) and found.value is not None:
        sizes = len(inside[score]), len(outside[score])
        weights = resample_pair_weights(sizes, RESAMPLES, results.seed, groups)
        drawn = [weighted_auroc(each, is_outside, weights) for each in both]
        found = interval(found.value, drawn[0] - drawn[1])
    return {"value": found.value, "low": found.low, "high": found.high}


def told_apart(differences: Mapping[str, Mapping | None], sign_of: str) -> str:
    """Return a sentence on which uncertainty is a better sign than total, and which can't be told.

    Args:
      differences: "aleatoric", "epistemic" -> difference of its AUROC from that of total, as in
        metrics.json.
      sign_of: What they are a sign of, such as "an error".

    Returns:
      The sentence; empty for one draw, which has no differences.
    """
    found = {kind: differences.get(kind) for kind in _OTHERS}
    known = {kind: one for kind, one in found.items() if one is not None}
    if not known:
        return ""
    parts, alike, unknown = [], [], []
    for kind, one in known.items():
        if one["low"] is None:
            unknown.append(kind)
        elif not Interval(one["value"], one["low"], one["high"]).excludes_zero:
            alike.append(kind)
        elif one["value"] > 0:
            parts.append(f"{kind} is better than total: its AUROC is {_size(one, 1)} higher")
        else:
            parts.append(f"{kind} is worse than total: its AUROC is {_size(one, -1)} lower")
    if alike:
        sizes = " and ".join(_size(known[kind], 1, "+") for kind in alike)
        differ = "its AUROC differs" if len(alike) == 1 else "their AUROCs differ"
        parts.append(
            f"{' and '.join(alike)} can't be told from total: {differ} by {sizes}, which may be "
            "chance"
        )
    if unknown:
        parts.append(f"these clips can't say whether {' or '.join(unknown)} is better than total")
    return f"As a sign of {sign_of}, {'; '.join(parts)}."


def _size(one: Mapping, sign: int, plus: str = "") -> str:
    """Return the difference with its interval, turned around if the sign is -1."""
    ends = sorted(sign * one[name] for name in ("low", "high"))
    turned = {"value": sign * one["value"], "low": ends[0], "high": ends[1]}
    between = interval_text(turned, digits=3)
    return f"{turned['value']:{plus}.3f} ({between})"
