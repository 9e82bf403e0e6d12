"""The report's pictures of uncertainty: clips by outcome, and risk against coverage."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from vipann_tf.evaluation.plots import (
    INK,
    MUTED,
    PALETTE,
    PERCENT,
    legend_above,
    new_figure,
    style_axes,
)
from vipann_tf.evaluation.results import Results
from vipann_tf.uncertainty.selective import risk_coverage

__all__ = [
    "BINS",
    "DOTS",
    "RISK_CURVES",
    "axis_top",
    "dot_offsets",
    "group_colours",
    "histogram_shares",
    "risk_coverage_figure",
    "uncertainty_figure",
    "uncertainty_groups",
]

BINS = 20
DOTS = 50  # clips from which a group is a histogram; fewer are dots
# Colour of `plots.PALETTE` and dashes, by which the curves differ without colour, too.
RISK_CURVES = {
    "total": ("right", "-"),
    "aleatoric": ("outside-2", (0, (5, 2))),
    "epistemic": ("wrong", (0, (2, 1.5))),
}
_COLUMNS = 60  # of the axis, each about as wide as a dot
_STEP = 0.34  # between dots of a column; half a row is 1
_OUTSIDE = [name for name in PALETTE if name.startswith("outside")]


def uncertainty_groups(results: Results, kind: str) -> dict[str, np.ndarray]:
    """Return group name -> uncertainty of its answers, in nats, `[clips]`.

    Groups are right answers, wrong answers, and the answers to each out-of-distribution set; empty
    groups are left out.

    Args:
      results: Results of the evaluation.
      kind: "total", "aleatoric" or "epistemic".
    """
    values, wrong = results.answers.answer_uncertainty(kind, results.task), results.wrong
    groups = {"right": values[~wrong], "wrong": values[wrong]}
    for name, answers in results.outside.items():
        groups[name] = answers.answer_uncertainty(kind, results.task)
    return {name: group for name, group in groups.items() if len(group)}


def uncertainty_figure(results: Results, kind: str) -> Figure:
    """Return one kind of uncertainty by group: a row per group, on one axis of uncertainty.

    A row of fewer than `DOTS` clips shows each as a dot, since a histogram of a few clips shows
    steps that are chance. Other rows are histograms, all of one scale. A stroke is the median.

    Args:
      results: Results of the evaluation.
      kind: "total", "aleatoric" or "epistemic".
    """
    groups = uncertainty_groups(results, kind)
    colours = group_colours(results)
    top = axis_top(groups)
    figure = new_figure(height=0.55 + 0.85 * len(groups))
    rows = np.atleast_1d(figure.subplots(len(groups), 1, sharex=True))
    shares = histogram_shares(groups, top)
    tallest = max((share.max() for share in shares.values()), default=1.0)
    for axes, (name, group) in zip(rows, groups.items(), strict=True):
        colour = PALETTE[colours[name]]
        height = tallest if name in shares else 1.0
        if name in shares:
            stairs = {"edges": np.linspace(0.0, top, BINS + 1), "color": colour, "zorder": 2}
            axes.stairs(shares[name], fill=True, alpha=0.2, linewidth=0, **stairs)
            axes.stairs(shares[name], linewidth=1.6, **stairs)
            axes.set_yticks([0, tallest])
            axes.yaxis.set_major_formatter(PERCENT)
        else:
            heights = 0.5 + 0.4 * dot_offsets(group, top)
            axes.scatter(group, heights, s=16, color=colour, alpha=0.75, linewidths=0, zorder=3)
            axes.set_yticks([])
        axes.vlines(np.median(group), 0, height, color=INK, linewidth=1.6, zorder=4)
        axes.set(xlim=(-0.015 * top, 1.02 * top), ylim=(0, 1.06 * height))
        title = f"{name} ({len(group):,})"
        axes.set_title(title, loc="left", fontsize=10, color=INK, pad=3, parse_math=False)
        style_axes(axes)
    rows[-1].set_xlabel(f"{kind} uncertainty of the answer (nats)")
    return figure


def histogram_shares(groups: Mapping[str, np.ndarray], top: float) -> dict[str, np.ndarray]:
    """Return group name -> share of its clips in each of `BINS` bins up to `top`, `[bins]`.

    Groups of fewer than `DOTS` clips have none.
    """
    edges = np.linspace(0.0, top, BINS + 1)
    return {
        name: np.histogram(group, edges)[0] / len(group)
        for name, group in groups.items()
        if len(group) >= DOTS
    }


def group_colours(results: Results) -> dict[str, str]:
    """Return group name -> name of its colour in `plots.PALETTE`."""
    outside = {name: _OUTSIDE[i % len(_OUTSIDE)] for i, name in enumerate(results.outside)}
    return {"right": "right", "wrong": "wrong", **outside}


def axis_top(groups: Mapping[str, np.ndarray]) -> float:
    """Return where the axis of uncertainty ends: at the largest of all groups, 1 if that is 0."""
    top = max(float(group.max()) for group in groups.values())
    return top if top > 0 else 1.0


def dot_offsets(values: np.ndarray, top: float) -> np.ndarray:
    """Return where dots of like values lie beside each other: -1 to 1, `[clips]`.

    Clips of one column of the axis are stacked from its middle, alternately up and down (a
    beeswarm), so that none hides another and the same clips give the same picture.

    Args:
      values: Uncertainties, at least 0, `[clips]`.
      top: End of the axis.
    """
    columns = np.minimum((values / top * _COLUMNS).astype(int), _COLUMNS - 1)
    offsets = np.zeros(len(values))
    for column in np.unique(columns):
        stack = np.flatnonzero(columns == column)
        stack = stack[np.argsort(values[stack], kind="stable")]
        steps = np.arange(1, len(stack) + 1) // 2 * np.where(np.arange(len(stack)) % 2, 1, -1)
        offsets[stack] = steps * min(_STEP, 1 / max(len(stack) // 2, 1))
    return offsets


def risk_coverage_figure(results: Results) -> Figure:
    """Return a figure of the share of wrong answers among the surest ones.

    There is one curve per uncertainty that ranks the answers; the curves of no order at all and of
    the best possible order enclose them.
    """
    wrong = results.wrong
    figure = new_figure(height=4.0)
    axes = figure.subplots()
    for kind in results.kinds:
        colour, dashes = RISK_CURVES[kind]
        curve = risk_coverage(results.answers.answer_uncertainty(kind, results.task), wrong)
        axes.plot(
            curve.coverage,
            curve.risk,
            color=PALETTE[colour],
            linestyle=dashes,
            linewidth=1.8,
            label=f"kept by {kind}",
        )
    best = risk_coverage(wrong, wrong)
    axes.plot(
        best.coverage,
        best.risk,
        color=MUTED,
        linewidth=1.2,
        linestyle=(0, (1, 1)),
        label="best possible",
    )
    axes.axhline(wrong.mean(), color=MUTED, linewidth=1.2, label="no order")
    axes.set(xlabel="share of clips answered, surest first", ylabel="of these, wrong", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(PERCENT)
    axes.yaxis.set_major_formatter(PERCENT)
    legend_above(axes)
    style_axes(axes)
    return figure
