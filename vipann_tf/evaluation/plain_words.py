"""The summary in sentences, for a reader who has two minutes."""

from collections.abc import Mapping
from typing import Literal

from vipann_tf.evaluation.calibration_words import calibration_words
from vipann_tf.evaluation.plain_numbers import interval_text, percent
from vipann_tf.uncertainty.metrics import COMMON

__all__ = [
    "best_kind",
    "error_warning",
    "few_groups",
    "in_short",
    "noticed",
    "of_groups",
    "unfamiliar_sounds",
    "warns",
]

# AUROCs at which the wording changes: 0.8 orders four pairs of five; below 0.65, two of three, a
# warning is hardly useful.
_GOOD_AUROC, _POOR_AUROC = 0.8, 0.65
# With fewer, intervals over groups hang on single ones; see docs/decisions.md.
_FEW_GROUPS = 10


def in_short(summary: dict) -> list[str]:
    """Return a few sentences on what the model can do and on whether its doubt can be trusted.

    Args:
      summary: The document of `summary.summarise`.
    """
    return [
        _rightness(summary),
        *_few(summary),
        *filter(None, [few_groups(summary)]),
        _confidence(summary),
        error_warning(summary),
        *_retained(summary),
        *_shares(summary),
        *_sets(summary),
        *_flattered(summary),
        *(unfamiliar_sounds(name, summary) for name in summary["ood"]),
    ]


def of_groups(summary: Mapping) -> str:
    """Return " of 12 recordings or groups", if clips share some; else nothing.

    Args:
      summary: The document of `summary.summarise`, also one from before there were groups.
    """
    groups = summary.get("groups")
    if groups is None:
        return ""
    return " of 1 recording or group" if groups == 1 else f" of {groups} recordings or groups"


def few_groups(summary: Mapping) -> str:
    """Return a sentence if the clips are of so few groups that intervals are uncertain; else "".

    Args:
      summary: As for `of_groups`.
    """
    groups = summary.get("groups")
    if groups is None or groups >= _FEW_GROUPS:
        return ""
    return (
        f"The {summary['clips']} clips are{of_groups(summary)}, which are too few to say how well "
        "the model does on others: the intervals are rough."
    )


def _rightness(summary: dict) -> str:
    if summary["task"] == "multiclass":
        accuracy = summary["metrics"]["accuracy"]
        return (
            f"It names the right label for {_of_100(accuracy['value'])} of 100 clips"
            f"{_between(accuracy)}. Always naming the most frequent label would be right for "
            f"{_of_100(summary['base_rate'])}."
        )
    right = 1 - summary["selective"]["error_rate"]
    text = f"Its most probable label is right for {_of_100(right)} of 100 clips."
    found = summary["metrics"]["map"]
    if found["value"] is not None:
        text += (
            f" It ranks clips that have a label before those that do not with a mean average "
            f"precision of {found['value']:.2f}; 1 is perfect, and guessing would get about "
            f"{summary['base_rate']:.2f}."
        )
    return text


def _few(summary: dict) -> list[str]:
    few, labels = len(summary["labels_few"]), len(summary["labels"])
    if not few:
        return []
    text = f"{few} of {labels} labels have fewer than {COMMON} clips here: what is said of each of "
    text += "them is mostly chance."
    common = summary["metrics"].get("map_common", {"value": None})
    if common["value"] is not None:
        text += (
            f" Over the labels with at least {COMMON} clips the mean average precision is "
            f"{common['value']:.2f}{_between(common, digits=2, scale=1)}."
        )
    return [text]


def _confidence(summary: dict) -> str:
    calibration = summary["calibration"]
    return calibration_words(
        summary["task"],
        calibration["test"],
        clips=summary["clips"],
        confidence=calibration["mean_confidence"],
        ece=summary["metrics"]["ece"]["value"],
        labels=len(summary["labels"]),
    )


def error_warning(summary: Mapping) -> str:
    """Return a sentence on whether uncertainty warns of errors.

    Args:
      summary: The document of `summary.summarise`.
    """
    auroc = summary["selective"]["total"]["error_auroc"]
    if auroc["value"] is None:
        which = "right" if summary["selective"]["error_rate"] == 0 else "wrong"
        return f"All its answers are {which}: whether doubt warns of errors cannot be measured."
    verdict = {"good": "a good", "some": "some", "hardly": "hardly a"}[warns(auroc)]
    return (
        f"It is less sure of the wrong answer in {_of_100(auroc['value'])} of 100 pairs of a wrong "
        f"and a right answer{_between(auroc)}; 50 would be chance: its doubt is {verdict} warning "
        "of errors."
    )


def warns(auroc: Mapping) -> Literal["good", "some", "hardly", "unknown"]:
    """Return whether an uncertainty with this AUROC for errors warns of them."""
    if auroc["value"] is None:
        return "unknown"
    if auroc["value"] >= _GOOD_AUROC:
        return "good"
    return "some" if auroc["value"] >= _POOR_AUROC else "hardly"


def _retained(summary: dict) -> list[str]:
    kept = summary["selective"]["total"]["retained_accuracy"]
    if "0.8" not in kept or summary["selective"]["error_rate"] in (0.0, 1.0):
        return []
    return [
        f"If it does not answer the fifth of the clips that it is least sure of, it is right for "
        f"{percent(kept['0.8'])} of the rest, instead of {percent(kept['1.0'])} of all."
    ]


def _shares(summary: dict) -> list[str]:
    total = summary["uncertainty"]["total"]["value"]
    epistemic = summary["uncertainty"]["epistemic"]["value"]
    if summary["draws"] == 1:
        return [
            "It is one network: it cannot distinguish its own ignorance (epistemic) from ambiguity "
            "in the sounds (aleatoric), and all of its uncertainty counts as the latter."
        ]
    if not total:
        return []
    return [
        f"Of its uncertainty {percent(epistemic / total)} is its own (epistemic), which more and "
        "other training clips can lower; the rest is in the sounds and labels (aleatoric)."
    ]


def _sets(summary: dict) -> list[str]:
    sets = summary["prediction_sets"]
    if sets is None or sets["coverage"]["value"] is None:
        return []
    coverage, held = sets["coverage"], sets["wanted"] * 100
    if summary["task"] == "multiclass":
        return [
            f"Prediction sets that should contain the right label for {held:g} of 100 clips "
            f"contain it for {_of_100(coverage['value'])}{_between(coverage)}; these are sets of "
            f"{sets['mean_size']:.1f} labels on average."
        ]
    return [
        f"Prediction sets that should include the truth for {held:g} of 100 labels include "
        f"{_of_100(coverage['value'])} of 100 labels that a clip has{_between(coverage)}; this "
        f"decides {_of_100(sets['decided'])} of 100 questions whether a clip has a label."
    ]


def _flattered(summary: dict) -> list[str]:
    if not summary["calibrated_here"]:
        return []
    return [
        "It was calibrated on these same clips, so its confidence and its sets look better here "
        "than they will on others; what `vipann-tf calibrate` printed is the fair estimate."
    ]


def unfamiliar_sounds(name: str, summary: Mapping) -> str:
    """Return a sentence on whether uncertainty tells sounds of other kinds from those of the data.

    Args:
      name: The out-of-distribution set.
      summary: The document of `summary.summarise`.
    """
    verdict = {
        "yes": "it notices that they are unfamiliar",
        "some": "it notices some of them",
        "no": "it does not notice them",
        "surer": "it is surer of them than of the sounds of its own kind",
    }[noticed(name, summary)]
    pairs = " and more ".join(
        f"{kind} uncertainty in {_of_100(auroc['value'])}{_between(auroc)}"
        for kind, auroc in _ood_aurocs(name, summary).items()
    )
    return (
        f"In 100 pairs of a sound of another kind ({name}) and one of these clips, the former has "
        f"more {pairs}: {verdict}."
    )


def noticed(name: str, summary: Mapping) -> Literal["yes", "some", "no", "surer"]:
    """Return whether the best kind of uncertainty notices the sounds of an OOD set.

    "surer" means that these have less uncertainty than the clips of the data set, beyond chance.
    """
    auroc = _ood_aurocs(name, summary)[best_kind(name, summary)]
    if auroc["value"] >= _GOOD_AUROC:
        return "yes"
    if auroc["value"] >= _POOR_AUROC:
        return "some"
    return "surer" if auroc["high"] is not None and auroc["high"] < 0.5 else "no"


def best_kind(name: str, summary: Mapping) -> str:
    """Return the kind of uncertainty with the larger AUROC for an OOD set."""
    aurocs = _ood_aurocs(name, summary)
    return max(aurocs, key=lambda kind: aurocs[kind]["value"])


def _ood_aurocs(name: str, summary: Mapping) -> dict[str, dict]:
    kinds = ("epistemic", "total") if summary["draws"] > 1 else ("total",)
    return {kind: summary["ood"][name]["scores"][kind]["auroc"] for kind in kinds}


def _of_100(share: float) -> str:
    return f"{100 * share:.0f}"


def _between(interval: dict, scale: float = 100, digits: int = 0) -> str:
    ends = interval_text(interval, scale=scale, digits=digits)
    return f" ({ends} with 95 % confidence)" if ends else ""
