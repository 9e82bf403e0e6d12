"""Distributions of uncertainty of several models on several sets of clips, in one picture."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vipann_tf.evaluation.plots import INK, MUTED, PALETTE, style_axes
from vipann_tf.evaluation.results import KINDS
from vipann_tf.evaluation.stored_results import StoredResults
from vipann_tf.files.paths import StrPath

__all__ = ["uncertainty_comparison", "write_uncertainty_figure"]

COLOURS = [PALETTE[name] for name in ("right", "wrong", "outside-1", "outside-2", "outside-3")]
_POINTS = 400  # clips shown per line; more cannot be distinguished


def write_uncertainty_figure(
    results: Sequence[StoredResults], names: Sequence[str], path: StrPath
) -> None:
    """Write `uncertainty_comparison` as a PNG."""
    FigureCanvasAgg(uncertainty_comparison(results, names)).print_png(os.fspath(path))


def uncertainty_comparison(results: Sequence[StoredResults], names: Sequence[str]) -> Figure:
    """Return one panel per kind of uncertainty, with a line for each set of clips and model.

    A line shows clips as points, the middle half of them as a bar, the median as a stroke, and the
    5 % and 95 % quantiles as the ends of a thin line.

    Args:
      results: Results to show.
      names: Name of the model of each.
    """
    lines: dict[str, list[tuple[str, Mapping[str, np.ndarray]]]] = {}
    for result, name in zip(results, names, strict=True):
        for set_name, values in result.uncertainty.items():
            inside = set_name == result.place[1]
            title = f"{result.place[0]}\n{set_name}" if inside else f"{set_name}\n(outside)"
            lines.setdefault(title, []).append((name, values))
    models = list(dict.fromkeys(names))
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(models)}
    several = any((v["epistemic"] > 0).any() for of_set in lines.values() for _, v in of_set)
    kinds = KINDS if several else KINDS[:1]

    count = sum(len(of_set) for of_set in lines.values())
    height = 1.1 + 0.42 * count + 0.25 * len(lines) + 0.22 * (len(models) // 3)
    figure = Figure(figsize=(3.4 * len(kinds) + 2.0, height), dpi=160, layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(kinds), sharey=True))
    rng = np.random.default_rng(0)
    ticks, row = {}, 0.0
    for title, of_set in lines.items():
        ticks[title] = row + (len(of_set) - 1) / 2
        for name, values in of_set:
            for panel, kind in zip(panels, kinds, strict=True):
                _line(panel, row, values[kind], colour[name], rng)
            row += 1
        row += 0.6
    for panel, kind in zip(panels, kinds, strict=True):
        panel.set_xlabel(f"{kind} uncertainty (nats)")
        panel.set_xlim(left=0)
        style_axes(panel)
        panel.grid(axis="y", visible=False)
    panels[0].set_yticks(list(ticks.values()), list(ticks), color=INK)
    panels[0].set_ylim(row - 0.9, -0.7)
    handles = [panels[0].barh([-9], [0], color=colour[name], label=name) for name in models]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=min(3, len(models)),
        frameon=False,
        labelcolor=INK,
        fontsize=10,
    )
    return figure


def _line(
    panel: Axes, row: float, values: np.ndarray, colour: str, rng: np.random.Generator
) -> None:
    low, start, middle, end, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    shown = values if len(values) <= _POINTS else rng.choice(values, _POINTS, replace=False)
    jitter = row + rng.uniform(-0.3, 0.3, size=len(shown))
    panel.scatter(shown, jitter, s=6, color=colour, alpha=0.35, linewidths=0, zorder=2)
    panel.hlines(row, low, high, color=MUTED, linewidth=1, zorder=3)
    panel.barh([row], [end - start], 0.34, left=start, color=colour, zorder=4)
    panel.vlines(middle, row - 0.28, row + 0.28, color=INK, linewidth=1.8, zorder=5)
