"""A timeline as a PNG: a lane for each label, the log-mel spectrogram under them, and the doubt."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from vipann_tf.evaluation.plots import GRID, INK, MUTED, PALETTE, style_axes
from vipann_tf.files.paths import StrPath
from vipann_tf.timelines.picture import Lane, Picture
from vipann_tf.timelines.spectrogram import frequency_ticks
from vipann_tf.timelines.time_axis import ticks
from vipann_tf.timelines.traces import Traces

__all__ = ["COLUMNS", "timeline_figure", "write_png"]

# Columns that can be distinguished in a picture of this width.
COLUMNS = 1000
_WIDTH, _DPI = 10.0, 160
# Inches of a lane, and of one of many.
_LANE, _NARROW_LANE, _MANY = 0.42, 0.24, 40
_LANE_SHARE = 0.84  # of a lane is 100 %; the rest separates it from the one above
_BAR_SHARE = 0.1


def write_png(picture: Picture, path: StrPath) -> None:
    """Write a picture as a PNG."""
    FigureCanvasAgg(timeline_figure(picture)).print_png(str(path))


def timeline_figure(picture: Picture) -> Figure:
    """Return a picture as a figure with four axes: lanes, spectrogram, epistemic, aleatoric."""
    lane = _LANE if len(picture.lanes) <= _MANY else _NARROW_LANE
    heights = [lane * len(picture.lanes), 1.25, 0.6, 0.6]
    layout = ConstrainedLayoutEngine(h_pad=0.03, hspace=0.02)
    figure = Figure(figsize=(_WIDTH, sum(heights) + 1.9), dpi=_DPI, layout=layout)
    lanes, sound, epistemic, aleatoric = figure.subplots(4, 1, sharex=True, height_ratios=heights)
    title = figure.suptitle(picture.heard.name, x=0.01, ha="left", color=INK, fontsize=12)
    title.set_parse_math(False)  # a name may have dollar signs
    for axes in (lanes, sound, epistemic, aleatoric):
        style_axes(axes)
    _draw_lanes(lanes, picture)
    _draw_sound(sound, picture)
    traces = picture.traces
    colour = PALETTE["wrong"]
    _draw_uncertainty(epistemic, traces, traces.epistemic, colour, "epistemic\n(nats)")
    colour = PALETTE["outside-2"]
    _draw_uncertainty(aleatoric, traces, traces.aleatoric, colour, "aleatoric\n(nats)")
    aleatoric.set_xlim(0, picture.heard.seconds)
    places = ticks(picture.heard.seconds, picture.heard.begin)
    aleatoric.set_xticks([place for place, _ in places], [word for _, word in places])
    aleatoric.tick_params(axis="x", labelsize=9)
    aleatoric.set_xlabel(picture.clock_words, fontsize=9)
    text = "\n".join(textwrap.wrap(" ".join(picture.notes), 150))
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure


def _draw_lanes(axes: Axes, picture: Picture) -> None:
    x, step = _outline(picture.traces)
    count = len(picture.lanes)
    for number, lane in enumerate(picture.lanes):
        base = count - 1 - number
        _draw_lane(axes, picture.traces, lane, number, base, x, step)
    axes.set(ylim=(-0.1, count), xlim=(0, picture.heard.seconds))
    axes.grid(visible=False, axis="y")
    middles = [count - 1 - number + _LANE_SHARE / 2 for number in range(count)]
    axes.set_yticks(middles, [_short(x.label) for x in picture.lanes])
    axes.tick_params(axis="y", colors=INK)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    words = axes.secondary_yaxis("right")
    words.set_yticks(middles, [lane.words.replace(", ", ",\n") for lane in picture.lanes])
    words.tick_params(colors=MUTED, labelsize=7, length=0)
    words.spines["right"].set_visible(False)
    axes.spines["bottom"].set_visible(False)


def _short(label: str) -> str:
    """Return a label in at most two lines."""
    lines = textwrap.wrap(label, 24, max_lines=2, placeholder=" ...")
    return "\n".join(lines)


def _draw_lane(
    axes: Axes,
    traces: Traces,
    lane: Lane,
    number: int,
    base: float,
    x: NDArray[np.float64],
    step: NDArray[np.intp],
) -> None:
    colour = PALETTE["right"] if lane.detections else MUTED
    spans = [(found.start_s, found.end_s - found.start_s) for found in lane.detections]
    # The line around a bar keeps it visible where a column is wider.
    axes.broken_barh(spans, (base, _LANE_SHARE), color=colour, alpha=0.13, linewidth=0)
    axes.broken_barh(
        spans, (base - _BAR_SHARE, _BAR_SHARE), color=colour, linewidth=0.8, zorder=3, label="bar"
    )
    for level in (0.0, 1.0):
        axes.axhline(base + _LANE_SHARE * level, color=GRID, linewidth=0.7, zorder=1)
    if traces.has_bands:
        low, high = (
            base + _LANE_SHARE * values[step, number] for values in (traces.low, traces.high)
        )
        axes.fill_between(x, low, high, color=colour, alpha=0.3, linewidth=0, zorder=2)
    height = base + _LANE_SHARE * traces.probabilities[step, number]
    axes.plot(x, height, color=colour, linewidth=1.1, zorder=3, label=lane.label)
    if not np.isnan(lane.threshold):
        place = base + _LANE_SHARE * lane.threshold
        axes.axhline(place, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)


def _draw_sound(axes: Axes, picture: Picture) -> None:
    low_db, high_db = picture.range_db
    bands = picture.log_mel_db.shape[1]
    axes.imshow(
        picture.log_mel_db.T,
        origin="lower",
        aspect="auto",
        extent=(0, picture.heard.seconds, -0.5, bands - 0.5),
        vmin=low_db,
        vmax=high_db,
        cmap=colormaps["magma"],
        interpolation="nearest",
    )
    places = frequency_ticks(picture.heard.time_expansion)
    axes.set_yticks([place for place, _ in places], [word for _, word in places], fontsize=8)
    axes.grid(visible=False)


def _draw_uncertainty(
    axes: Axes, traces: Traces, values: NDArray[np.float32], colour: str, words: str
) -> None:
    x, step = _outline(traces)
    height = values[step]
    axes.fill_between(x, 0, height, color=colour, alpha=0.3, linewidth=0)
    axes.plot(x, height, color=colour, linewidth=1.0)
    axes.set_ylim(bottom=0, top=max(float(values.max()) * 1.08, 1e-6))
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylabel(words, fontsize=9)


def _outline(traces: Traces) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return corners of the steps, with a NaN in each gap, and the step that each belongs to."""
    x = np.stack([traces.begin_s, traces.end_s], axis=1).ravel()
    step = np.repeat(np.arange(len(traces.begin_s)), 2)
    gaps = 2 + 2 * np.flatnonzero(traces.begin_s[1:] - traces.end_s[:-1] > 1e-6)
    return np.insert(x, gaps, np.nan), np.insert(step, gaps, step[gaps - 1])
