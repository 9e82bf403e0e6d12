"""What one evaluation shows about doubt: medians of uncertainty, and what they mean."""

from dataclasses import dataclass

import numpy as np

from vipann_tf.evaluation.plain_words import best_kind, error_warning, noticed, unfamiliar_sounds
from vipann_tf.evaluation.stored_results import StoredResults
from vipann_tf.uncertainty.arrays import FloatArray
from vipann_tf.uncertainty.selective import wrong_answers

__all__ = ["Medians", "medians", "unheard_in_words"]


_ADVICE = {
    "yes": "So it can hold back unheard sounds, as often as these numbers say.",
    "some": "So it tells which sounds to check and to label first, but cannot reject unheard ones "
    "by itself.",
    "no": "So do not let it reject unheard sounds: they look to this network like those it knows.",
    "surer": "So do not let it reject unheard sounds: to this network they look more familiar than "
    "those it knows.",
}


@dataclass(frozen=True)
class Medians:
    """Median uncertainties of a set of clips, in nats; None if there are no clips."""

    sounds: str
    clips: int
    total: float | None
    epistemic: float | None


def medians(results: StoredResults) -> list[Medians]:
    """Return the medians of clips answered right, of those answered wrong, and of each OOD set.

    Args:
      results: Results of `evaluate` with `--ood`.
    """
    wrong = wrong_answers(results.probs, results.truth, results.summary["task"])
    known = results.uncertainty[results.place[1]]
    rows = [
        _medians("known kinds, right answer", known["total"][~wrong], known["epistemic"][~wrong]),
        _medians("known kinds, wrong answer", known["total"][wrong], known["epistemic"][wrong]),
    ]
    for name in results.outside_ids:
        unheard = results.uncertainty[name]
        rows.append(_medians(f"unheard kinds ({name})", unheard["total"], unheard["epistemic"]))
    return rows


def unheard_in_words(results: StoredResults) -> list[str]:
    """Return what the figures mean, for errors and for each OOD set, in paragraphs.

    Args:
      results: As in `medians`.
    """
    texts = [error_warning(results.summary)]
    for name in results.outside_ids:
        texts += [unfamiliar_sounds(name, results.summary), _use(results, name)]
    return texts


def _medians(sounds: str, total: FloatArray, epistemic: FloatArray) -> Medians:
    if not len(total):
        return Medians(sounds, 0, None, None)
    return Medians(sounds, len(total), float(np.median(total)), float(np.median(epistemic)))


def _use(results: StoredResults, name: str) -> str:
    kind = best_kind(name, results.summary)
    known = results.uncertainty[results.place[1]][kind]
    unheard = results.uncertainty[name][kind]
    above = int((unheard > np.median(known)).sum())
    refused = 1 - results.summary["ood"][name]["scores"][kind]["fpr_at_95_tpr"]
    return (
        f"{above} of {len(unheard)} unheard sounds have more {kind} uncertainty than half of the "
        f"known ones; {len(unheard) / 2:g} would be chance. A threshold on it that answers 95 of "
        f"100 known sounds refuses {100 * refused:.0f} of 100 unheard ones. "
        f"{_ADVICE[noticed(name, results.summary)]}"
    )
