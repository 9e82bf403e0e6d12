"""The first lines of a report: what to believe, in a few words each."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from vipann_tf.evaluation.plain_numbers import interval_text
from vipann_tf.evaluation.plain_words import noticed, warns

__all__ = ["Verdict", "verdicts"]

# Good news, mixed or open, bad news.
Tone = Literal["good", "open", "bad"]

# A test that finds nothing is good news if it finds so small a gap in half of the cases: points of
# confidence, or the factor of a probability.
_SMALL_GAP = {"multiclass": 0.05, "multilabel": 1.5}

_CONFIDENCE: dict[str, tuple[str, Tone]] = {
    "undecided": ("no fault found", "open"),
    "overconfident": ("too high", "bad"),
    "underconfident": ("too low", "open"),
    "uneven": ("too high in places, too low in others", "bad"),
}
_WARNS: dict[str, tuple[str, Tone]] = {
    "good": ("a good warning", "good"),
    "some": ("some warning", "open"),
    "hardly": ("hardly a warning", "bad"),
    "unknown": ("can't be measured here", "open"),
}
_NOTICED: dict[str, tuple[str, Tone]] = {
    "yes": ("noticed", "good"),
    "some": ("some noticed", "open"),
    "no": ("not noticed", "bad"),
    "surer": ("taken for familiar", "bad"),
}


class Verdict(NamedTuple):
    """A question, the answer, its numbers, and whether it is good news."""

    question: str
    answer: str
    numbers: str
    tone: Tone


def verdicts(summary: Mapping) -> list[Verdict]:
    """Return the verdicts of an evaluation.

    Args:
      summary: The document of `summary.summarise`.
    """
    right = {"value": 1 - summary["selective"]["error_rate"], "low": None, "high": None}
    if summary["task"] == "multiclass":
        right = summary["metrics"]["accuracy"]
    auroc = summary["selective"]["total"]["error_auroc"]
    found = [
        Verdict(
            "Its answer is right",
            f"for {100 * right['value']:.0f} of 100 clips",
            _between(interval_text(right, scale=100, digits=0)),
            "open",
        ),
        _confidence(summary),
        Verdict("Its doubt, of errors", *_with_auroc(_WARNS[warns(auroc)], auroc)),
    ]
    kinds = ("epistemic", "total") if summary["draws"] > 1 else ("total",)
    for name, document in summary["ood"].items():
        best = max((document["scores"][kind]["auroc"] for kind in kinds), key=_value)
        words = _NOTICED[noticed(name, summary)]
        found.append(Verdict(f"Unfamiliar sounds, {name}", *_with_auroc(words, best)))
    return found


def _confidence(summary: Mapping) -> Verdict:
    task, test = summary["task"], summary["calibration"]["test"]
    answer, tone = _CONFIDENCE[test["verdict"]]
    of_what = "mean confidence less share right" if task == "multiclass" else "mean gap"
    numbers = f"{of_what}: {100 * test['gap']:+.1f} points"
    power = test["power"]
    if power is not None and power["size"] <= _SMALL_GAP[task]:
        tone = "good"
    elif power is not None:
        answer += ", but few clips to find one"
    return Verdict("Its confidence", answer, numbers, tone)


def _with_auroc(words: tuple[str, Tone], auroc: Mapping) -> tuple[str, str, Tone]:
    if auroc["value"] is None:
        return words[0], "", words[1]
    ends = interval_text(dict(auroc), digits=2)
    return words[0], f"AUROC {auroc['value']:.2f}{f' ({ends})' if ends else ''}", words[1]


def _value(auroc: Mapping) -> float:
    return float(auroc["value"])


def _between(ends: str) -> str:
    return f"{ends} with 95 % confidence" if ends else ""
