"""What a calibration prints of the thresholds that it chose."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vipann_tf.cli.printing import terminal
from vipann_tf.uncertainty.thresholds import MEASURES, DetectionCounts, Measure

if TYPE_CHECKING:  # it imports TensorFlow
    from vipann_tf.evaluation.detection_thresholds import DetectionFit

__all__ = ["print_thresholds"]

NAMED = 20  # labels without a threshold that are named; vipann.json has all


def print_thresholds(
    found: "DetectionFit", labels: Sequence[str], part: str = "fifth of the clips"
) -> None:
    """Print the threshold of each label, what it is worth, and which labels have none.

    Args:
      found: The `detection` of a `calibrate.Calibrated`.
      labels: Label names in the order of the outputs.
      part: What was held out each time, see `findings.cross_fitted_part`.
    """
    fit, wanted = found.fit, found.fit.wanted
    chosen = np.flatnonzero(~np.isnan(fit.thresholds)).tolist()
    if len(chosen):
        cells = [_shares(found.crossed, measure) for measure in MEASURES]
        rows = [
            (
                _shortened(labels[i]),
                f"{fit.thresholds[i]:.6f}",
                *(column[i] for column in cells),
                str(fit.counts.positives[i]),
            )
            for i in chosen
        ]
        columns = {f"{measure} (95 %)": "right" for measure in MEASURES}
        terminal.table(
            {"label": "left", "threshold": "right", **columns, "positives": "right"},
            rows,
            f"Thresholds for {wanted.measure} {wanted.value:g}; each {part} with those "
            "of the others",
        )
    few = [f"{labels[i]} ({fit.counts.positives[i]})" for i in np.flatnonzero(fit.too_few).tolist()]
    never = [f"{labels[i]} ({fit.best[i]:.3f})" for i in np.flatnonzero(fit.never_reached).tolist()]
    reasons = {
        f"of which fewer than {fit.min_positives} clips have the label": few,
        f"whose highest {wanted.measure} is below {wanted.value:g}": never,
    }
    for reason, names in reasons.items():
        if names:
            shown = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
            print(textwrap.fill(f"No threshold for {len(names)}, {reason}: {shown}", width=80))


def _shares(counts: DetectionCounts, measure: Measure) -> list[str]:
    """Return a precision or recall with its interval, label by label."""
    low, high = counts.interval(measure)
    return [
        "-" if np.isnan(share) else f"{share:.2f} ({low[i]:.2f}-{high[i]:.2f})"
        for i, share in enumerate(counts.value(measure))
    ]


def _shortened(label: str, most: int = 21) -> str:
    return label if len(label) <= most else f"{label[: most - 3]}..."
