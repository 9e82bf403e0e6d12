"""rank, of a scan."""

import csv
import sys

from vipann_tf.cli.printing import terminal
from vipann_tf.errors import UserError


def rank_scan(
    path: str,
    by: str,
    top: int,
    diversity: bool,
    label: str | None,
    by_recorder: bool,
    like: str | None,
    style: str,
) -> None:
    """Print the windows of a scan that are worth to be heard; the arguments are those of `rank`."""
    from vipann_tf.scan.ranking import rank_windows, similar_windows

    if like is None:
        ranked = rank_windows(
            path, by=by, top=top, label=label, diversity=diversity, by_recorder=by_recorder
        )
    else:
        if diversity or label is not None or by_recorder:
            raise UserError(
                "--like ranks by likeness alone; leave --diversity, --label and --by-recorder out"
            )
        from vipann_tf.scan.example import embed_example

        by, ranked = "likeness", similar_windows(path, embed_example(path, like), top=top)
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
