"""rank, of a scan."""

import csv
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vipann_tf.cli.printing import terminal

if TYPE_CHECKING:  # it imports NumPy
    from vipann_tf.scans.ranking import RankedWindow


def print_windows(ranked: "Sequence[RankedWindow]", by: str, style: str) -> None:
    """Print the windows of a scan that are worth to be heard.

    Args:
      ranked: The windows.
      by: What they are ranked by.
      style: `table` or `csv`.
    """
    if style == "csv":
        # The columns of `prepare csv`; the label is the model's, to be corrected.
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerow(["filename", "start_s", "end_s", "labels", "notes"])
        for x in ranked:
            notes = f"probability {x.probability:.3f}, {by} {x.score:.4f}"
            rows.writerow([x.recording, f"{x.start_s:.3f}", f"{x.end_s:.3f}", x.answer, notes])
        return
    columns = {"rank": "right", "from": "right", "answer": "left", "probability": "right"}
    terminal.table(
        {**columns, by: "right", "recording": "left"},
        [
            (
                *(str(number), f"{x.start_s:.1f} s", x.answer),
                *(f"{x.probability:.3f}", f"{x.score:.3f}", x.recording),
            )
            for number, x in enumerate(ranked, start=1)
        ],
    )
