"""Pictures of an evaluation, drawn without pyplot: no global state, no display."""

import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vipann_tf.files.paths import StrPath
from vipann_tf.uncertainty.calibration import Reliability, expected_calibration_error
from vipann_tf.uncertainty.confidence_intervals import wilson_interval

__all__ = [
    "PALETTE",
    "PERCENT",
    "new_figure",
    "reliability_diagram",
    "reliability_figure",
    "style_axes",
]

# Colours by meaning; the report replaces them by the reader's light or dark theme.
PALETTE = {
    "surface": "#ffffff",
    "ink": "#1f2933",
    "muted": "#5b6776",
    "grid": "#e3e8ef",
    "right": "#2f6fbb",
    "wrong": "#d4553a",
    "outside-1": "#1f9d74",
    "outside-2": "#a67c00",
    "outside-3": "#8a4fbf",
}
INK, MUTED, GRID = PALETTE["ink"], PALETTE["muted"], PALETTE["grid"]
BLUE, RED = PALETTE["right"], PALETTE["wrong"]
FEW_ANSWERS = 1000  # below it, a reliability diagram has the number of answers in each bin
PERCENT = FuncFormatter(lambda share, _: f"{100 * share:.3g} %")


def reliability_diagram(stats: Reliability, path: StrPath, title: str = "") -> None:
    """Write the reliability diagram as a PNG.

    Args:
      stats: Sums per bin, `[bins]`, e.g. from `calibration.reliability`.
      path: File to write.
      title: Line above the picture, such as the model and the data set.
    """
    figure = reliability_figure(stats, title)
    FigureCanvasAgg(figure).print_png(os.fspath(path))


def reliability_figure(stats: Reliability, title: str = "") -> Figure:
    """Return the reliability diagram with the histogram of confidences below.

    A blue bar is the share of a bin's answers that were true, the hatched part its gap to their
    mean confidence. Whiskers are 95 % Wilson intervals: a gap inside them may be chance. Where
    there are few answers, each bin has their number.
    """
    figure = new_figure(height=6.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    left, width = stats.edges[:-1], np.diff(stats.edges)
    seen = stats.count > 0
    middle = (left + width / 2)[seen]
    accuracy, confidence = stats.accuracy[seen], stats.mean_confidence[seen]
    low, high = wilson_interval(stats.outcome[seen], stats.count[seen])

    upper.plot(
        [0, 1],
        [0, 1],
        color=INK,
        linestyle=(0, (4, 3)),
        linewidth=1.2,
        zorder=3,
        label="perfectly calibrated",
    )
    upper.bar(middle, accuracy, width[seen] * 0.92, color=BLUE, zorder=2, label="share true")
    upper.bar(
        middle,
        confidence - accuracy,
        width[seen] * 0.92,
        bottom=accuracy,
        facecolor="none",
        edgecolor=RED,
        hatch="////",
        linewidth=1.0,
        zorder=3,
        label="gap to mean confidence",
    )
    upper.errorbar(
        middle,
        accuracy,
        yerr=[accuracy - low, high - accuracy],
        fmt="none",
        ecolor=INK,
        elinewidth=1.1,
        capsize=2.5,
        zorder=4,
        label="95 % interval",
    )
    ece = float(expected_calibration_error(stats))
    upper.text(
        0.97,
        0.05,
        f"ECE {100 * ece:.1f} %\n{int(stats.count.sum()):,} answers",
        transform=upper.transAxes,
        ha="right",
        va="bottom",
        color=INK,
        fontsize=11,
        zorder=5,
        bbox={"facecolor": PALETTE["surface"], "edgecolor": GRID, "boxstyle": "round,pad=0.45"},
    )
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share true")
    upper.set_title(title, color=INK, fontsize=11, loc="left", pad=48)
    legend_above(upper)
    upper.yaxis.set_major_formatter(PERCENT)

    lower.bar(left + width / 2, stats.count, width * 0.92, color=MUTED, zorder=2)
    lower.set(xlabel="confidence (predicted probability)", ylabel="answers")
    lower.xaxis.set_major_formatter(PERCENT)
    if stats.count.sum() < FEW_ANSWERS:
        for place, count in zip(middle, stats.count[seen], strict=True):
            lower.annotate(
                f"{count}",
                (place, count),
                xytext=(0, 1.5),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=10,
                color=INK,
            )
        lower.margins(y=0.3)
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    if seen.any() and stats.count.max() > 100 * np.median(stats.count[seen]):
        lower.set_yscale("symlog", linthresh=1)  # micro multilabel: nearly all pairs near 0
        lower.set_ylabel("answers (log)")
    style_axes(upper)
    style_axes(lower)
    return figure


def new_figure(height: float) -> Figure:
    """Return an empty figure of the width that all pictures share; height in inches."""
    return Figure(figsize=(5.2, height), dpi=160, layout="constrained")


def legend_above(axes: Axes, columns: int = 2) -> None:
    """Put the legend above the axes, where it hides no values."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        frameon=False,
        fontsize=10,
        labelcolor=INK,
        borderaxespad=0.2,
    )


def style_axes(axes: Axes) -> None:
    """Give axes the common style: a light grid, no frame, grey ticks."""
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.8, zorder=0)
    axes.tick_params(colors=MUTED, labelsize=10, length=0, pad=5)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, size=11)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRID)
