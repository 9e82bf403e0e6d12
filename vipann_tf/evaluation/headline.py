"""The report's headline numbers, each with its interval and one line on what it means."""

from dataclasses import dataclass

from vipann_tf.evaluation.plain_numbers import interval_text, percent
from vipann_tf.uncertainty.metrics import COMMON

__all__ = ["HeadlineCard", "headline_cards"]


@dataclass(frozen=True)
class HeadlineCard:
    """One headline number."""

    name: str
    value: str
    interval: str  # "" if there is none
    meaning: str


def headline_cards(summary: dict) -> list[HeadlineCard]:
    """Return the numbers to read first, those of the task before those of the uncertainty.

    Args:
      summary: The document of `summary.summarise`.
    """
    metrics = summary["metrics"]
    if summary["task"] == "multiclass":
        cards = [
            _share("Accuracy", metrics["accuracy"], "share of clips whose top label is right", 0),
            _plain("Macro F1", metrics["macro_f1"], "mean over labels; 1 is perfect"),
            _plain("NLL", metrics["nll"], "nats per clip; surprise at the truth, lower is better"),
            _plain("Brier", metrics["brier"], "squared error, 0 to 2; lower is better"),
        ]
    else:
        left_out = summary["labels_left_out"]
        without = f" that can be scored, {left_out} cannot" if left_out else ""
        cards = [
            _plain("mAP", metrics["map"], f"mean average precision over the labels{without}"),
            *_common(summary),
            _plain("AUC", metrics["auc"], "of two clips, the one with the label ranks higher"),
            _plain("d-prime", metrics["d_prime"], "the AUC as a distance; 0 is chance", 2),
            _plain("NLL", metrics["nll"], "nats per label; surprise at the truth, lower is better"),
        ]
    chance = summary["calibration"]["by_chance"]["mean"]
    meaning = f"gap of confidence and truth; a calibrated model would show {percent(chance, 1)}"
    cards.append(_share("ECE", metrics["ece"], meaning, 1))
    auroc = summary["selective"]["total"]["error_auroc"]
    cards.append(_plain("Error warning", auroc, "AUROC of doubt for errors; 0.5 is chance", 2))
    if summary["draws"] > 1:
        epistemic = summary["uncertainty"]["epistemic"]
        cards.append(_plain("Epistemic", epistemic, "nats per clip that are the model's own doubt"))
    kind = "epistemic" if summary["draws"] > 1 else "total"
    for name, found in summary["ood"].items():
        auroc = found["scores"][kind]["auroc"]
        cards.append(
            _plain("Unfamiliar sounds", auroc, f"AUROC of {kind} uncertainty for {name}", 2)
        )
    return cards


def _common(summary: dict) -> list[HeadlineCard]:
    found = summary["metrics"]["map_common"]
    if not summary["labels_few"] or found["value"] is None:
        return []
    meaning = (
        f"over the labels with at least {COMMON} clips; {len(summary['labels_few'])} have fewer"
    )
    return [_plain("mAP, common labels", found, meaning)]


def _plain(name: str, interval: dict, meaning: str, digits: int = 3) -> HeadlineCard:
    value = "not defined" if interval["value"] is None else f"{interval['value']:.{digits}f}"
    return HeadlineCard(name, value, interval_text(interval, digits=digits), meaning)


def _share(name: str, interval: dict, meaning: str, digits: int) -> HeadlineCard:
    ends = interval_text(interval, scale=100, digits=digits)
    ends = f"{ends}\N{NO-BREAK SPACE}%" if ends else ""
    return HeadlineCard(name, percent(interval["value"], digits), ends, meaning)
