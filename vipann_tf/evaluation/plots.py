"""Pictures of an evaluation, drawn without pyplot: no global state, no display."""

import os

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from vipann_tf.uncertainty.calibration import Reliability, expected_calibration_error

__all__ = ["reliability_diagram", "reliability_figure"]

INK, MUTED, GRID = "#1f2933", "#697586", "#e3e8ef"
BLUE, RED = "#2f6fbb", "#d4553a"


def reliability_diagram(stats: Reliability, path: str | os.PathLike, title: str = "") -> None:
    """Writes the reliability diagram as a PNG.

    Args:
      stats: Sums a bin, `[bins]`, e.g. from `calibration.reliability`.
      path: File to write.
      title: A line above the picture; the model and the data set, say.
    """
    figure = reliability_figure(stats, title)
    FigureCanvasAgg(figure).print_png(os.fspath(path))


def reliability_figure(stats: Reliability, title: str = "") -> Figure:
    """Returns the reliability diagram with the histogram of confidences below.

    A blue bar is the share of a bin's answers that were true, the red part its gap to their mean
    confidence. Whiskers are 95 % Wilson intervals: a gap inside them may be chance.
    """
    figure = Figure(figsize=(5.2, 6.2), dpi=160, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    left, width = stats.edges[:-1], np.diff(stats.edges)
    seen = stats.count > 0
    middle = (left + width / 2)[seen]
    accuracy, confidence = stats.accuracy[seen], stats.mean_confidence[seen]
    low, high = wilson_interval(stats.outcome[seen], stats.count[seen])

    upper.plot([0, 1], [0, 1], color=INK, linestyle=(0, (4, 3)), linewidth=1.2, zorder=3,
               label="perfectly calibrated")
    upper.bar(middle, accuracy, width[seen] * 0.92, color=BLUE, zorder=2, label="share true")
    upper.bar(middle, confidence - accuracy, width[seen] * 0.92, bottom=accuracy, color=RED,
              alpha=0.28, linewidth=0, zorder=2, label="gap to mean confidence")
    upper.errorbar(middle, accuracy, yerr=[accuracy - low, high - accuracy], fmt="none",
                   ecolor=INK, elinewidth=1.1, capsize=2.5, zorder=4, label="95 % interval")
    ece = float(expected_calibration_error(stats))
    upper.text(0.97, 0.05, f"ECE {100 * ece:.1f} %\n{int(stats.count.sum()):,} answers",
               transform=upper.transAxes, ha="right", va="bottom", color=INK, fontsize=10,
               bbox={"facecolor": "white", "edgecolor": GRID, "boxstyle": "round,pad=0.45"},
               zorder=5)
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share true")
    upper.set_title(title or "Reliability: is it right as often as it claims?", color=INK,
                    fontsize=11, loc="left")
    upper.legend(loc="upper left", frameon=False, fontsize=8.5, labelcolor=INK)
    upper.yaxis.set_major_formatter(PercentFormatter(1.0))

    lower.bar(left + width / 2, stats.count, width * 0.92, color=MUTED, zorder=2)
    lower.set(xlabel="confidence (predicted probability)", ylabel="answers")
    lower.xaxis.set_major_formatter(PercentFormatter(1.0))
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    if seen.any() and stats.count.max() > 100 * np.median(stats.count[seen]):
        lower.set_yscale("symlog", linthresh=1)  # micro multilabel: nearly all pairs near 0
        lower.set_ylabel("answers (log)")
    for axes in (upper, lower):
        axes.grid(color=GRID, linewidth=0.8, zorder=0)
        axes.tick_params(colors=MUTED, labelsize=9, length=0)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(GRID)
    return figure


def wilson_interval(successes, trials, z: float = 1.959964) -> tuple[np.ndarray, np.ndarray]:
    """Returns Wilson's score interval of a share (Wilson 1927), which stays inside [0, 1].

    Args:
      successes: Counts, `[...]`.
      trials: Counts of at least 1, `[...]`.
      z: Normal quantile; 1.96 for 95 %.
    """
    share = np.asarray(successes) / np.asarray(trials)
    shrink = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    # At 0 and 1 rounding could put the end a hair past the share itself.
    return np.minimum(centre - half, share), np.maximum(centre + half, share)
