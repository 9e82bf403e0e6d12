"""report.html: what a model knows and does not know, in one file that works offline.

The page forbids every connection and every script but its own (Content-Security-Policy). Pictures
are inline SVG in the reader's light or dark theme, sounds are data URIs. The script makes links of
classes, a page for each, a table of clips, and charts of the figures if Plotly is installed.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from markupsafe import Markup

from vipann_tf.errors import UserError
from vipann_tf.evaluation.clip_cards import clip_cards, outside_cards
from vipann_tf.evaluation.confusions import MATRIX_LABELS, confusions
from vipann_tf.evaluation.figures import risk_coverage_figure, uncertainty_figure
from vipann_tf.evaluation.headline import headline_cards
from vipann_tf.evaluation.interactive_figures import (
    reliability_chart,
    risk_coverage_chart,
    uncertainty_chart,
)
from vipann_tf.evaluation.page_templates import data_block, page_environment, page_script
from vipann_tf.evaluation.plain_numbers import difference_text, interval_text, percent
from vipann_tf.evaluation.plain_words import in_short, of_groups
from vipann_tf.evaluation.plotly_bundle import plotly_bundle
from vipann_tf.evaluation.plots import FEW_ANSWERS, reliability_figure
from vipann_tf.evaluation.prediction_table import first_rows
from vipann_tf.evaluation.report_data import report_data
from vipann_tf.evaluation.results import Results
from vipann_tf.evaluation.svg import themed_svg
from vipann_tf.evaluation.told_apart import told_apart
from vipann_tf.evaluation.verdict import verdicts
from vipann_tf.files.paths import StrPath
from vipann_tf.uncertainty.calibration import label_reliability, reliability

__all__ = ["Extent", "check_extent", "render_report", "write_report"]

# "small" leaves out what makes a file large: Plotly, and sounds of the pages of classes.
Extent = Literal["full", "small"]

_SCRIPTS = ("report.js", "report_table.js", "report_charts.js", "report_class.js")
_SCORES = {
    "total": "total uncertainty",
    "aleatoric": "aleatoric uncertainty",
    "epistemic": "epistemic uncertainty",
    "max_probability": "1 - largest probability",
    "energy": "energy",
}


def write_report(
    results: Results,
    summary: dict,
    path: StrPath,
    audio: Mapping[str, np.ndarray] | None = None,
    outside_audio: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    extent: Extent = "full",
) -> None:
    """Write the report to a file.

    Args:
      results: As in `render_report`.
      summary: As in `render_report`.
      path: File to write.
      audio: As in `render_report`.
      outside_audio: As in `render_report`.
      extent: As in `render_report`.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write(render_report(results, summary, audio, outside_audio, extent))


def render_report(
    results: Results,
    summary: dict,
    audio: Mapping[str, np.ndarray] | None = None,
    outside_audio: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    extent: Extent = "full",
) -> str:
    """Return the report as HTML.

    Args:
      results: Results of the evaluation.
      summary: `summary.summarise(results)`.
      audio: Waveforms, float32 `[samples]` at 32 kHz, of the clips that
        `clip_cards.clips_to_show(results)` and `class_pages.clips_to_hear(results)` name; clips
        without one are listed without sound.
      outside_audio: Set -> clip id -> waveform, of the clips of `clip_cards.outside_to_show`.
      extent: "small" leaves out Plotly.

    Raises:
      UserError: If the summary belongs to another evaluation, or the extent is none.
    """
    check_extent(extent)
    if summary["clips"] != len(results.truth) or summary["labels"] != list(results.labels):
        raise UserError(
            f"the summary has {summary['clips']} clips and {len(summary['labels'])} labels, the "
            f"results have {len(results.truth)} and {len(results.labels)}; give summarise(results)"
        )
    environment = page_environment()
    environment.filters.update(
        percent=percent,
        number=_number,
        interval_text=interval_text,
        difference=difference_text,
        sentence=_sentence,
    )
    plotly = plotly_bundle() if extent == "full" else None
    data = report_data(results, summary, audio or {}, _interactive(results) if plotly else {})
    return environment.get_template("report.html").render(
        results=results,
        summary=summary,
        of_groups=of_groups(summary),
        verdicts=verdicts(summary),
        in_short=in_short(summary),
        cards=headline_cards(summary),
        charts=_charts(results),
        few_answers=sum(summary["calibration"]["bins"]["count"]) < FEW_ANSWERS,
        label_bins=_label_bins(results, summary) if len(results.labels) <= MATRIX_LABELS else None,
        errors_told_apart=_told_apart(summary["selective"], "error_auroc_less_total", "an error"),
        sets_told_apart={
            name: _told_apart(found["scores"], "auroc_less_total", f"an unfamiliar sound ({name})")
            for name, found in summary["ood"].items()
        },
        confusion=confusions(results) if results.task == "multiclass" else None,
        score_names=_SCORES,
        clips=clip_cards(results, audio or {}),
        outside_clips=outside_cards(results, outside_audio or {}),
        has_audio=bool(audio),
        first_rows=first_rows(results),
        listed=len(data["table"]["id"]),
        all_clips=sum(len(x.clip_ids) for x in (results.answers, *results.outside.values())),
        log_labels=float(np.log(len(results.labels))),
        figures_are=_figures_are(extent, plotly is not None),
        script=page_script(environment, (*_SCRIPTS, "report_start.js")),
        plotly=plotly,
        data=data_block(data),
    )


def check_extent(extent: str) -> None:
    """Raise a `UserError` if it is no extent of a report."""
    if extent not in get_args(Extent):
        known = ", ".join(get_args(Extent))
        raise UserError(f"the extent of a report is {extent!r}; it must be one of {known}")


def _charts(results: Results) -> dict[str, Markup]:
    stats = reliability(results.answers.probs, results.truth, results.task)
    charts = {
        "reliability": themed_svg(
            reliability_figure(stats),
            "reliability",
            "Reliability diagram: share of true answers against confidence, with the number of "
            "answers at each confidence.",
        ),
        "risk_coverage": themed_svg(
            risk_coverage_figure(results),
            "risk-coverage",
            "Share of wrong answers among the clips answered, against the share answered.",
        ),
    }
    for kind in results.kinds:
        charts[kind] = themed_svg(
            uncertainty_figure(results, kind),
            kind,
            f"{kind.capitalize()} uncertainty of each clip, or its histogram where they are many, "
            "of answers that are right, that are wrong, and of unfamiliar clips if there are any.",
        )
    return charts


def _interactive(results: Results) -> dict[str, Any]:
    stats = reliability(results.answers.probs, results.truth, results.task)
    return {
        "reliability": reliability_chart(stats),
        "risk_coverage": risk_coverage_chart(results),
        **{kind: uncertainty_chart(results, kind) for kind in results.kinds},
    }


def _figures_are(extent: Extent, interactive: bool) -> str:
    if interactive:
        return "Figures are interactive (Plotly): point at them, drag to zoom, double-click back."
    if extent == "small":
        return "Figures are drawings, since this report was asked to be small."
    return (
        "Figures are drawings; where the extra pages is installed (pip install 'vipann-tf[pages]'),"
        " they say their values when one points at them."
    )


def _told_apart(lines: Mapping[str, Any], key: str, sign_of: str) -> str:
    return told_apart({kind: lines[kind][key] for kind in ("aleatoric", "epistemic")}, sign_of)


def _label_bins(results: Results, summary: dict) -> list[dict]:
    """Return each label's line of the summary, with the points of its reliability diagram."""
    stats = label_reliability(results.answers.probs, results.truth, results.task)
    lines = []
    for i, line in enumerate(summary["per_label"]):
        count = stats.count[i]
        points = [
            {
                "x": 100 * x,
                "y": 100 - 100 * y,
                "r": 2.0 + 4.0 * np.sqrt(n / count.max()),
                "count": int(n),
            }
            for x, y, n in zip(stats.mean_confidence[i], stats.accuracy[i], count, strict=True)
            if n
        ]
        lines.append({**line, "points": points})
    return lines


def _number(value: float | None, digits: int = 3) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
