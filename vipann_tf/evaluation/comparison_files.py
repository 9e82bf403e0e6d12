"""A comparison as files: every row as CSV, and tables in Markdown."""

import csv
from collections.abc import Sequence

from vipann_tf.evaluation.comparison_rows import Row
from vipann_tf.files.paths import StrPath

__all__ = ["markdown", "write_csv"]

_COLUMNS = ("dataset", "split", "model", "against", "clips", "metric", "value", "low", "high")


def write_csv(rows: Sequence[Row], path: StrPath) -> None:
    """Write one line per row."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for row in rows:
            found = row.found
            numbers = [
                "" if x is None else f"{x:.6g}" for x in (found.value, found.low, found.high)
            ]
            start = [row.dataset, row.split, row.model, row.against, row.clips, row.metric]
            writer.writerow(start + numbers)


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as tables: models by metrics, and below it the differences."""
    parts = [
        "# Comparison",
        "Values with 95 % intervals over clips.",
        _table(rows, differences=False),
    ]
    if any(row.against for row in rows):
        parts += [
            "## Differences",
            "From the model in the column `against`, on the clips that both answered, in "
            "pairs. **Bold**: the 95 % interval excludes 0.",
            _table(rows, differences=True),
        ]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row], *, differences: bool) -> str:
    rows = [row for row in rows if bool(row.against) == differences]
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = (f"{row.dataset} {row.split}", row.model, row.against, str(row.clips))
        lines.setdefault(key, {})[row.metric] = _cell(row, signed=differences)
    heading = ["data", "model", *(["against"] if differences else []), "clips", *metrics]
    text = [heading, ["---"] * len(heading)]
    for (data, model, against, clips), cells in lines.items():
        start = [data, model, *([against] if differences else []), clips]
        text.append(start + [cells.get(metric, "") for metric in metrics])
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in text
    )


def _cell(row: Row, *, signed: bool) -> str:
    found, sign = row.found, "+" if signed else ""
    if found.value is None:
        return "-"
    text = f"{found.value:{sign}.3f}"
    if found.low is not None and found.high is not None:
        text += f" ({found.low:{sign}.3f} to {found.high:{sign}.3f})"
    return f"**{text}**" if signed and found.excludes_zero else text
