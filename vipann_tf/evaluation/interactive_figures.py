"""The report's figures for Plotly: what the drawn ones show, with values to point at.

Figures are plain traces and layouts of Plotly's schema, as JSON; Plotly itself is not imported. A
colour is a variable of the page's style sheet, `var(--NAME)`, which the page's script replaces.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vipann_tf.evaluation.figures import (
    BINS,
    DOTS,
    RISK_CURVES,
    axis_top,
    dot_offsets,
    group_colours,
    histogram_shares,
    uncertainty_groups,
)
from vipann_tf.evaluation.plots import FEW_ANSWERS
from vipann_tf.evaluation.results import Answers, Results
from vipann_tf.uncertainty.calibration import Reliability
from vipann_tf.uncertainty.confidence_intervals import wilson_interval
from vipann_tf.uncertainty.selective import risk_coverage

__all__ = ["plain_text", "reliability_chart", "risk_coverage_chart", "uncertainty_chart"]

Chart = dict[str, Any]  # {"data": traces, "layout": layout}
CURVE_POINTS = 400  # of a curve; more cannot be pointed at
_DASHES = {"total": "solid", "aleatoric": "dash", "epistemic": "dot"}


def plain_text(text: str) -> str:
    """Return a text as Plotly shows it: it reads a few HTML elements and entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def reliability_chart(stats: Reliability) -> Chart:
    """Return the reliability diagram, with the number of answers below.

    Args:
      stats: Sums per bin, `[bins]`.
    """
    seen = stats.count > 0
    left, right = stats.edges[:-1][seen], stats.edges[1:][seen]
    middle, width = (left + right) / 2, 0.92 * (right - left)
    accuracy, confidence, count = (
        x[seen] for x in (stats.accuracy, stats.mean_confidence, stats.count)
    )
    low, high = wilson_interval(stats.outcome[seen], count)
    words = [
        f"{_percent(a)} to {_percent(b)}: {n:,} answers<br>mean confidence {_percent(c, 1)}<br>"
        f"true {_percent(y, 1)} ({_percent(x)} to {_percent(z)})"
        for a, b, n, c, y, x, z in zip(
            left, right, count, confidence, accuracy, low, high, strict=True
        )
    ]
    bars = {"type": "bar", "x": _list(middle), "width": _list(width)}
    told = {"hovertext": words, "hoverinfo": "text"}
    whiskers = {
        "type": "data",
        "symmetric": False,
        "array": _list(high - accuracy),
        "arrayminus": _list(accuracy - low),
        "color": "var(--ink)",
        "thickness": 1.2,
        "width": 3,
    }
    counted = (
        {"text": [f"{n:,}" for n in count], "textposition": "outside", "cliponaxis": False}
        if stats.count.sum() < FEW_ANSWERS
        else {}
    )
    traces = [
        {
            **bars,
            **told,
            "y": _list(accuracy),
            "name": "share true",
            "marker": {"color": "var(--right)"},
            "error_y": whiskers,
        },
        {
            **bars,
            "hoverinfo": "skip",
            "base": _list(accuracy),
            "y": _list(confidence - accuracy),
            "name": "gap to mean confidence",
            "marker": {
                "color": "rgba(0,0,0,0)",
                "line": {"color": "var(--wrong)", "width": 1},
                "pattern": {"shape": "/", "fgcolor": "var(--wrong)", "size": 6},
            },
        },
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 1],
            "y": [0, 1],
            "name": "perfectly calibrated",
            "hoverinfo": "skip",
            "line": {"color": "var(--ink)", "dash": "dash", "width": 1.2},
        },
        {
            **bars,
            **told,
            "y": count.tolist(),
            "yaxis": "y2",
            "showlegend": False,
            "marker": {"color": "var(--muted)"},
            **counted,
        },
    ]
    lopsided = seen.any() and count.max() > 100 * np.median(count)
    layout = {
        "height": 440,
        "barmode": "overlay",
        "xaxis": _share_axis("confidence (predicted probability)", range=[0, 1], anchor="y2"),
        "yaxis": _share_axis("share true", range=[0, 1.02], domain=[0.32, 1]),
        "yaxis2": {
            "title": {"text": "answers (log)" if lopsided else "answers"},
            "type": "log" if lopsided else "linear",
            "domain": [0, 0.24],
            "nticks": 4,
        },
    }
    return {"data": traces, "layout": layout}


def risk_coverage_chart(results: Results) -> Chart:
    """Return the share of wrong answers among the surest ones, a curve per uncertainty."""
    wrong = results.wrong
    curves = {
        f"by {kind}": (
            risk_coverage(results.answers.answer_uncertainty(kind, results.task), wrong),
            {"color": f"var(--{RISK_CURVES[kind][0]})", "dash": _DASHES[kind], "width": 2},
        )
        for kind in results.kinds
    }
    best = {"color": "var(--muted)", "dash": "dot", "width": 1.2}
    curves["best possible"] = (risk_coverage(wrong, wrong), best)
    traces: list[dict[str, Any]] = []
    for name, (curve, line) in curves.items():
        points = len(curve.coverage)
        rows = np.linspace(0, points - 1, min(points, CURVE_POINTS)).round().astype(int)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": _list(curve.coverage[rows]),
                "y": _list(curve.risk[rows]),
                "name": name,
                "line": line,
                "hovertemplate": "%{y:.1%}",
            }
        )
    rate = round(float(wrong.mean()), 5)
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 1],
            "y": [rate, rate],
            "name": "no order",
            "hoverinfo": "skip",
            "line": {"color": "var(--muted)", "width": 1.2},
        }
    )
    answered = _share_axis("share of clips answered, surest first", range=[0, 1.01])
    layout = {
        "height": 340,
        "hovermode": "x unified",
        "xaxis": {**answered, "hoverformat": ".0%"},
        "yaxis": _share_axis("of these, wrong", rangemode="tozero"),
    }
    return {"data": traces, "layout": layout}


def uncertainty_chart(results: Results, kind: str) -> Chart:
    """Return one kind of uncertainty by group: a row of dots or a histogram per group.

    Args:
      results: Results of the evaluation.
      kind: "total", "aleatoric" or "epistemic".
    """
    groups = uncertainty_groups(results, kind)
    colours, top = group_colours(results), axis_top(groups)
    shares = histogram_shares(groups, top)
    tallest = max((share.max() for share in shares.values()), default=1.0)
    edges = np.linspace(0.0, top, BINS + 1)
    traces: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    medians: list[dict[str, Any]] = []
    for place, (name, group) in enumerate(reversed(groups.items())):
        colour = f"var(--{colours[name]})"
        if name in shares:
            counts = np.histogram(group, edges)[0]
            traces.append(
                {
                    "type": "bar",
                    "x": _list((edges[:-1] + edges[1:]) / 2),
                    "width": round(float(edges[1]), 6),
                    "base": place,
                    "y": _list(0.75 * shares[name] / tallest),
                    "marker": {"color": colour, "opacity": 0.75},
                    "hovertext": [
                        f"{low:.2f} to {high:.2f} nats<br>{n:,} of {len(group):,} clips"
                        for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
                    ],
                }
            )
        else:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": _list(group),
                    "y": _list(place + 0.375 + 0.33 * dot_offsets(group, top)),
                    "marker": {"color": colour, "size": 8, "opacity": 0.75},
                    "hovertext": _clip_words(results, name, group),
                }
            )
        traces[-1].update(name=plain_text(name), hoverinfo="text")
        middle = round(float(np.median(group)), 5)
        stroke = {"color": "var(--ink)", "width": 2}
        medians.append(
            {"type": "line", "x0": middle, "x1": middle, "y0": place, "y1": place + 0.75}
            | {"line": stroke}
        )
        notes.append(
            {
                "x": 0,
                "y": place + 0.98,
                "xanchor": "left",
                "yanchor": "top",
                "showarrow": False,
                "text": f"{plain_text(name)} ({len(group):,}), median {middle:.2f}",
            }
        )
    layout = {
        "height": 60 + 74 * len(groups),
        "showlegend": False,
        "barmode": "overlay",
        "hovermode": "closest",
        "xaxis": {
            "title": {"text": f"{kind} uncertainty of the answer (nats)"},
            "range": [-0.015 * top, 1.03 * top],
        },
        "yaxis": {
            "range": [0, len(groups) + 0.02],
            "tickvals": list(range(len(groups))),
            "showticklabels": False,
            "fixedrange": True,
        },
        "shapes": medians,
        "annotations": notes,
    }
    return {"data": traces, "layout": layout}


def _clip_words(results: Results, name: str, group: np.ndarray) -> list[str]:
    """Return what a dot says of its clip, in the order of `uncertainty_groups`."""
    assert len(group) < DOTS
    if name in results.outside:
        return _answers(results.labels, results.outside[name], range(len(group)), group)
    rows = np.flatnonzero(results.wrong == (name == "wrong"))
    truth = np.asarray(results.truth, bool)
    return [
        f"{words}<br>truth: {plain_text(', '.join(np.array(results.labels)[truth[row]]) or 'none')}"
        for words, row in zip(
            _answers(results.labels, results.answers, rows.tolist(), group), rows, strict=True
        )
    ]


def _answers(
    labels: Sequence[str], answers: Answers, rows: Sequence[int], group: np.ndarray
) -> list[str]:
    top = np.asarray(answers.probs).argmax(axis=1)
    return [
        f"{plain_text(answers.clip_ids[row])}: {value:.3f} nats<br>"
        f"answer: {plain_text(labels[top[row]])}"
        for row, value in zip(rows, group, strict=True)
    ]


def _share_axis(title: str, **more: Any) -> Mapping[str, Any]:
    return {"title": {"text": title}, "tickformat": ".0%", **more}


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _list(values: np.ndarray) -> list[float]:
    return np.round(np.asarray(values, np.float64), 5).tolist()
