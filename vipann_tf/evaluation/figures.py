"""The report's pictures of uncertainty: histograms by outcome, and risk against coverage."""

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
from vipann_tf.evaluation.results import KINDS, Results
from vipann_tf.uncertainty.selective import risk_coverage

__all__ = ["risk_coverage_figure", "uncertainty_figure", "uncertainty_groups"]

BINS = 20
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
    """Return histograms of one kind of uncertainty: one curve per group, as shares of the group.

    Args:
      results: Results of the evaluation.
      kind: "total", "aleatoric" or "epistemic".
    """
    groups = uncertainty_groups(results, kind)
    top = max(float(group.max()) for group in groups.values())
    edges = np.linspace(0.0, top if top > 0 else 1.0, BINS + 1)
    figure = new_figure(height=3.4)
    axes = figure.subplots()
    outside = 0
    for number, (name, group) in enumerate(groups.items()):
        share = np.histogram(group, edges)[0] / len(group)
        if name in results.outside:
            colour = PALETTE[_OUTSIDE[outside % len(_OUTSIDE)]]
            outside += 1
        else:
            colour = PALETTE[name]
        # Dashes distinguish the groups without colour, too.
        style = "-" if number < 2 else (0, (5, 2)) if number == 2 else (0, (2, 1.5))
        axes.stairs(share, edges, fill=True, color=colour, alpha=0.16, linewidth=0)
        axes.stairs(
            share,
            edges,
            color=colour,
            linewidth=1.8,
            linestyle=style,
            label=f"{name} ({len(group):,})",
        )
    axes.set(
        xlabel=f"{kind} uncertainty of the answer (nats)",
        ylabel="share of the group",
        xlim=(0, edges[-1]),
    )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.legend(frameon=False, fontsize=10, labelcolor=INK)
    style_axes(axes)
    return figure


def risk_coverage_figure(results: Results) -> Figure:
    """Return a figure of the share of wrong answers among the surest ones.

    There is one curve per uncertainty that ranks the answers; the curves of no order at all and of
    the best possible order enclose them.
    """
    wrong = results.wrong
    figure = new_figure(height=4.0)
    axes = figure.subplots()
    colours = dict(
        zip(KINDS, (PALETTE["right"], PALETTE["outside-2"], PALETTE["wrong"]), strict=True)
    )
    dashes = dict(zip(KINDS, ("-", (0, (5, 2)), (0, (2, 1.5))), strict=True))
    for kind in results.kinds:
        curve = risk_coverage(results.answers.answer_uncertainty(kind, results.task), wrong)
        axes.plot(
            curve.coverage,
            curve.risk,
            color=colours[kind],
            linestyle=dashes[kind],
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
