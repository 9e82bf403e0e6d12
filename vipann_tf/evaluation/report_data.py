"""The data block of a report, from which its script makes classes' pages, table and charts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vipann_tf.evaluation.class_pages import CLIPS_A_CLASS, class_pages, has_rule
from vipann_tf.evaluation.clip_cards import clips_to_show, sound_media
from vipann_tf.evaluation.plain_numbers import interval_text
from vipann_tf.evaluation.prediction_table import listed_clips, table_columns
from vipann_tf.evaluation.results import Results

__all__ = ["report_data"]


def report_data(
    results: Results,
    summary: Mapping[str, Any],
    audio: Mapping[str, np.ndarray],
    charts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what JSON can hold.

    Args:
      results: Results of the evaluation.
      summary: `summary.summarise(results)`.
      audio: Waveforms of clips. Those that are on a card of the report are not repeated.
      charts: Name of a figure -> its Plotly figure.

    Returns:
      labels, kinds: Names.
      table: As in `prediction_table.table_columns`.
      classes: Per label, as in `class_pages`, with `numbers` in words; a clip is a row of the table
        and the probability of the label.
      ruled: Per label, as in `class_pages.has_rule`.
      wanted: What the model's thresholds promise, "" without any.
      media: [clip id, picture, sound] of clips that are on pages of classes alone.
      charts: As given.
    """
    classes = class_pages(results)
    named = {row for page in classes for kind in CLIPS_A_CLASS for row in page[kind]}
    listed = listed_clips(results, named)
    place = {row: i for i, row in enumerate(listed[""])}
    for label, page in enumerate(classes):
        for kind in CLIPS_A_CLASS:
            page[kind] = [
                [place[row], round(float(results.answers.probs[row, label]), 4)]
                for row in page[kind]
            ]
        page["numbers"] = _numbers(summary["per_label"][label], results)
    on_cards = {clip for group in clips_to_show(results).values() for clip in group}
    wanted = [clip for clip in audio if clip not in on_cards]
    return {
        "labels": list(results.labels),
        "kinds": list(results.kinds),
        "table": table_columns(results, listed),
        "classes": classes,
        "ruled": has_rule(results),
        "wanted": "" if results.thresholds is None else results.thresholds.summary,
        "media": [[clip, *sound_media(audio[clip])[1:]] for clip in wanted],
        "charts": dict(charts),
    }


def _numbers(line: Mapping[str, Any], results: Results) -> str:
    """Return a label's line of the summary in words."""
    clips = f"{line['clips']:,} {'clip has' if line['clips'] == 1 else 'clips have'} it."
    parts: Sequence[str]
    if results.task == "multiclass":
        parts = [
            f"precision {_number(line['precision'])}",
            f"recall {_number(line['recall'])}",
            f"F1 {_number(line['f1'])}",
        ]
    else:
        ends = {"low": line["average_precision_low"], "high": line["average_precision_high"]}
        between = interval_text(ends, digits=2)
        parts = [
            f"average precision {_number(line['average_precision'])}"
            + (f" ({between} with 95 % confidence)" if between else ""),
            f"AUC {_number(line['auc'])}",
        ]
    parts = [*parts, f"ECE {100 * line['ece']:.1f} %"]
    if results.num_draws > 1:
        parts = [*parts, f"mean epistemic uncertainty {line['epistemic']:.3f} nats"]
    return f"{clips} {', '.join(parts)[:1].upper()}{', '.join(parts)[1:]}."


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2f}"
