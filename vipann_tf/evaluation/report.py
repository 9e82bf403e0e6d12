"""report.html: what a model knows and does not know, in one file that works offline.

The page has no script and forbids every connection (Content-Security-Policy); pictures are inline
SVG in the reader's light or dark theme, sounds are data URIs.
"""

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from vipann_tf.errors import UserError
from vipann_tf.evaluation.clip_cards import clip_cards, outside_cards
from vipann_tf.evaluation.figures import risk_coverage_figure, uncertainty_figure
from vipann_tf.evaluation.headline import headline_cards
from vipann_tf.evaluation.page_templates import page_environment
from vipann_tf.evaluation.plain_numbers import interval_text, percent
from vipann_tf.evaluation.plain_words import in_short
from vipann_tf.evaluation.plots import reliability_figure
from vipann_tf.evaluation.results import Results
from vipann_tf.evaluation.svg import themed_svg
from vipann_tf.files.paths import StrPath
from vipann_tf.uncertainty.calibration import label_reliability, reliability

__all__ = ["render_report", "write_report"]

MATRIX_LABELS = 40  # a confusion matrix of more labels is not readable; confusions are listed
LISTED_CONFUSIONS = 12
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
) -> None:
    """Write the report to a file.

    Args:
      results: As in `render_report`.
      summary: As in `render_report`.
      path: File to write.
      audio: As in `render_report`.
      outside_audio: As in `render_report`.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write(render_report(results, summary, audio, outside_audio))


def render_report(
    results: Results,
    summary: dict,
    audio: Mapping[str, np.ndarray] | None = None,
    outside_audio: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> str:
    """Return the report as HTML.

    Args:
      results: Results of the evaluation.
      summary: `summary.summarise(results)`.
      audio: Waveforms, float32 `[samples]` at 32 kHz, of the clips that
        `clip_cards.clips_to_show(results)` names; clips without one are listed without sound.
      outside_audio: Set -> clip id -> waveform, of the clips of `clip_cards.outside_to_show`.

    Raises:
      UserError: If the summary belongs to another evaluation.
    """
    if summary["clips"] != len(results.truth) or summary["labels"] != list(results.labels):
        raise UserError(
            f"the summary has {summary['clips']} clips and {len(summary['labels'])} labels, the "
            f"results have {len(results.truth)} and {len(results.labels)}; give summarise(results)"
        )
    environment = page_environment()
    environment.filters.update(
        percent=percent, number=_number, interval_text=interval_text, sentence=_sentence
    )
    return environment.get_template("report.html").render(
        results=results,
        summary=summary,
        in_short=in_short(summary),
        cards=headline_cards(summary),
        charts=_charts(results),
        label_bins=_label_bins(results, summary),
        confusion=_confusion(results) if results.task == "multiclass" else None,
        score_names=_SCORES,
        clips=clip_cards(results, audio or {}),
        outside_clips=outside_cards(results, outside_audio or {}),
        has_audio=bool(audio),
        log_labels=float(np.log(len(results.labels))),
    )


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
    for kind in ("aleatoric", "epistemic")[: 1 if results.num_draws == 1 else 2]:
        charts[kind] = themed_svg(
            uncertainty_figure(results, kind),
            kind,
            f"Histograms of {kind} uncertainty for answers that are right, that are wrong, and "
            "for out-of-distribution clips if there are any.",
        )
    return charts


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


def _confusion(results: Results) -> dict:
    truth = np.asarray(results.truth).argmax(axis=1)
    answer = results.answers.probs.argmax(axis=1)
    size = len(results.labels)
    matrix = np.bincount(truth * size + answer, minlength=size * size).reshape(size, size)
    pairs = [
        {"truth": results.labels[i], "answer": results.labels[k], "count": int(matrix[i, k])}
        for i, k in np.argwhere(matrix > 0)
        if i != k
    ]
    return {
        "matrix": matrix.tolist() if size <= MATRIX_LABELS else None,
        "row_totals": matrix.sum(axis=1).tolist(),
        "pairs": sorted(pairs, key=lambda pair: -pair["count"])[:LISTED_CONFUSIONS],
        "errors": int((truth != answer).sum()),
    }


def _number(value: float | None, digits: int = 3) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
