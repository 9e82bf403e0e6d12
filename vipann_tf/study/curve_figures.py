"""The picture of learning curves: scores by number of labels, and their differences from chance."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vipann_tf.evaluation.comparison_figure import COLOURS
from vipann_tf.evaluation.plots import INK, MUTED, style_axes
from vipann_tf.study.curves import REFERENCE, ActiveArm, crossed
from vipann_tf.study.figures import Picture
from vipann_tf.uncertainty.metric_names import METRIC_NAMES

__all__ = ["curve_pictures"]

_DASHES = ("-", (0, (5, 2)), (0, (2, 1.5)))


def curve_pictures(arms: Sequence[ActiveArm]) -> list[Picture]:
    """Draw each arm: its curves above, and the mean difference of each from random below."""
    return [
        Picture(
            f"active-{arm.cell.downstream}-{arm.cell.upstream}-{arm.cell.arm}",
            f"Labels that are chosen, {arm.name}",
            "Above: means over folds and seeds by number of labels; the band is the 95 % interval "
            "of random. Below: the mean of all trainings after the first, less that of random in "
            "the same folds and seeds, with 95 % intervals over both.",
            _figure(arm),
        )
        for arm in arms
    ]


def _figure(arm: ActiveArm) -> Figure:
    figure = Figure(figsize=(7.6, 6.0), dpi=100, layout="constrained")
    panels = figure.subplots(2, 2, height_ratios=[1.5, 1])
    for upper, lower, metric in zip(*panels, arm.shown, strict=True):
        _curves(upper, arm, metric)
        _differences(lower, arm, metric)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside upper left",
        ncols=4,
        frameon=False,
        labelcolor=INK,
        fontsize=10,
    )
    return figure


def _style(arm: ActiveArm, acquisition: str) -> dict:
    if acquisition == REFERENCE:
        return {"color": INK, "linestyle": "-"}
    i = [name for name in arm.scores if name != REFERENCE].index(acquisition)
    dash = _DASHES[i // len(COLOURS) % len(_DASHES)]
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": dash}


def _curves(axes: Axes, arm: ActiveArm, metric: str) -> None:
    for acquisition, scores in arm.scores.items():
        values = scores[metric]
        style = _style(arm, acquisition)
        axes.plot(
            arm.labels, values.mean(axis=(0, 1)), label=acquisition, linewidth=1.8, marker="o",
            markersize=3, **style,
        )  # fmt: skip
        if acquisition == REFERENCE:
            found = [crossed(values[..., i]) for i in range(len(arm.labels))]
            low, high = ([getattr(x, end) for x in found] for end in ("low", "high"))
            if None not in low:
                axes.fill_between(
                    arm.labels, np.array(low, float), np.array(high, float), color=MUTED,
                    alpha=0.18, linewidth=0,
                )  # fmt: skip
    axes.set(xlabel="labelled clips", ylabel=METRIC_NAMES[metric].shown)
    style_axes(axes)


def _differences(axes: Axes, arm: ActiveArm, metric: str) -> None:
    others = [name for name in arm.scores if name != REFERENCE and REFERENCE in arm.scores]
    for row, acquisition in enumerate(others):
        gaps = arm.less_random(acquisition, metric)[..., 1:].mean(axis=2)
        found = crossed(gaps)
        colour = _style(arm, acquisition)["color"]
        if found.low is not None and found.high is not None:
            axes.hlines(row, found.low, found.high, color=colour, linewidth=2.2)
        axes.plot([gaps.mean()], [row], "o", color=colour, markersize=6)
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(others)), others)
    axes.set_ylim(len(others) - 0.4, -0.6)
    sense = "higher" if METRIC_NAMES[metric].more_is_better else "lower"
    axes.set_xlabel(f"{METRIC_NAMES[metric].shown} minus that of random\n({sense} is better)")
    style_axes(axes)
