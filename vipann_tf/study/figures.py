"""The pictures of a study: uncertainty by set of clips, reliability, risk against coverage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vipann_tf.evaluation.comparison_figure import COLOURS, uncertainty_comparison
from vipann_tf.evaluation.plots import INK, MUTED, PERCENT, legend_above, new_figure, style_axes
from vipann_tf.evaluation.stored_results import StoredResults
from vipann_tf.study.arms import Arm
from vipann_tf.uncertainty.calibration import expected_calibration_error, reliability
from vipann_tf.uncertainty.selective import risk_coverage, wrong_answers

__all__ = ["Picture", "pictures"]

_DASHES = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (1, 1)))


@dataclass(frozen=True)
class Picture:
    """A figure with its title.

    Attributes:
      name: Name of its file.
      title: Line above it.
      note: Text below the title.
      figure: The figure.
    """

    name: str
    title: str
    note: str
    figure: Figure


def pictures(upstream: dict[str, StoredResults], arms: Sequence[Arm]) -> list[Picture]:
    """Draw the upstream networks, and the plain arms of each data set and mode.

    Plain arms have all training clips and no options.
    """
    found = []
    if upstream:
        found.append(
            Picture(
                "uncertainty-upstream",
                "Uncertainty, upstream evaluation",
                "Multilabel: summed over labels, so not comparable with the sets below.",
                uncertainty_comparison(list(upstream.values()), list(upstream)),
            )
        )
    plain = [arm for arm in arms if not arm.options and arm.cell.fraction == 1]
    for data, mode in dict.fromkeys((arm.cell.downstream, arm.cell.mode) for arm in plain):
        group = [arm for arm in plain if (arm.cell.downstream, arm.cell.mode) == (data, mode)]
        found += _transfer_pictures(f"{data}-{mode}", f"{data}, {mode}", group)
    return found


def _transfer_pictures(name: str, title: str, arms: Sequence[Arm]) -> list[Picture]:
    results = [arm.pooled() for arm in arms]
    names = _names(arms)
    return [
        Picture(
            f"uncertainty-{name}",
            f"Uncertainty, {title}",
            "Held-out clips, each answered by the model not trained on it, and clips outside. "
            "Points are clips, bars their middle half, strokes medians, thin lines 5 to 95 %.",
            uncertainty_comparison(results, names),
        ),
        Picture(
            f"reliability-{name}",
            f"Reliability, {title}",
            "Answers in bins of confidence. Confidence is right on the dashed line, and too high "
            "below it. Larger points hold more answers.",
            _overlaid(results, names, _reliability, height=5.0),
        ),
        Picture(
            f"risk-coverage-{name}",
            f"Risk against coverage, {title}",
            "Share of wrong answers among the clips of least total uncertainty.",
            _overlaid(results, names, _risk_coverage, height=4.2),
        ),
    ]


def _names(arms: Sequence[Arm]) -> list[str]:
    """Return each arm's strategy, with its network if several arms share a strategy."""
    strategies = [arm.cell.strategy for arm in arms]
    return [
        name if strategies.count(name) == 1 else f"{name} of {arm.cell.upstream}"
        for name, arm in zip(strategies, arms, strict=True)
    ]


def _overlaid(
    results: Sequence[StoredResults],
    names: Sequence[str],
    draw: Callable[..., None],
    *,
    height: float,
) -> Figure:
    figure = new_figure(height=height)
    axes = figure.subplots()
    for i, (result, name) in enumerate(zip(results, names, strict=True)):
        colour, dash = COLOURS[i % len(COLOURS)], _DASHES[i % len(_DASHES)]
        draw(axes, result, name, {"color": colour, "linestyle": dash, "linewidth": 1.8})
    if draw is _reliability:
        axes.plot([0, 1], [0, 1], color=INK, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="share true")
    else:
        axes.set(
            xlim=(0, 1), xlabel="share of clips answered, surest first", ylabel="of these, wrong"
        )
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(PERCENT)
    axes.yaxis.set_major_formatter(PERCENT)
    legend_above(axes)
    style_axes(axes)
    return figure


def _reliability(axes: Axes, result: StoredResults, name: str, style: dict) -> None:
    stats = reliability(result.probs, result.truth, result.summary["task"])
    seen = stats.count > 0
    error = float(expected_calibration_error(stats))
    axes.plot(
        stats.mean_confidence[seen], stats.accuracy[seen], label=f"{name}, ECE {error:.3f}", **style
    )
    sizes = 8 + 90 * stats.count[seen] / stats.count.max()
    axes.scatter(
        stats.mean_confidence[seen], stats.accuracy[seen], s=sizes, color=style["color"], alpha=0.7
    )


def _risk_coverage(axes: Axes, result: StoredResults, name: str, style: dict) -> None:
    wrong = wrong_answers(result.probs, result.truth, result.summary["task"])
    curve = risk_coverage(result.uncertainty[result.place[1]]["total"], wrong)
    axes.plot(curve.coverage, curve.risk, label=name, **style)
    axes.axhline(wrong.mean(), color=MUTED, linewidth=0.7, zorder=0)
