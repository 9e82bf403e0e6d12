"""compare.html: models side by side, a row per metric, and differences as intervals around 0."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure

from vipann_tf.evaluation.around_zero import draw_around_zero, largest_end
from vipann_tf.evaluation.comparison_rows import Row
from vipann_tf.evaluation.page_templates import page_environment
from vipann_tf.evaluation.svg import themed_svg
from vipann_tf.uncertainty.bootstrap import Interval
from vipann_tf.uncertainty.metric_names import METRIC_NAMES

__all__ = ["render_comparison"]


@dataclasses.dataclass(frozen=True)
class _Difference:
    """A difference of one metric, as the page draws it.

    Attributes:
      model, against: The two models.
      metric: The metric.
      found: First less second.
      verdict: `better`, `worse`, `more`, `less`, or empty if the interval holds 0.
      drawing: The interval around 0.
    """

    model: str
    against: str
    metric: str
    found: Interval
    verdict: str
    drawing: Markup


@dataclasses.dataclass(frozen=True)
class _Place:
    """A data set and split.

    Attributes:
      name: Its name.
      models: The models, and the number of clips that each answered.
      numbers: Metric, and its value of each model.
      differences: Differences that are defined.
      common: Clips that all pairs answered at least.
    """

    name: str
    models: dict[str, int]
    numbers: list[tuple[str, list[Interval]]]
    differences: list[_Difference]
    common: int


def render_comparison(rows: Sequence[Row], uncertainty: Figure) -> str:
    """Return a comparison as one HTML file, which works offline.

    Args:
      rows: Numbers of models, and differences, see `comparison_rows`.
      uncertainty: The picture of `comparison_figure.uncertainty_comparison`.
    """
    places: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        places.setdefault((row.dataset, row.split), []).append(row)
    environment = page_environment("vipann_tf.evaluation")
    environment.filters.update(value=_value, shown=_shown)
    description = (
        "Distribution of the uncertainty of each model on each set of clips: points are clips, "
        "bars their middle half."
    )
    return environment.get_template("comparison.html").render(
        places=[_place(" ".join(key), found) for key, found in places.items()],
        chart=themed_svg(uncertainty, "uncertainty", description),
    )


def _place(name: str, rows: Sequence[Row]) -> _Place:
    alone = [row for row in rows if not row.against]
    models = {row.model: row.clips for row in alone}
    found = {(row.metric, row.model): row.found for row in alone}
    pairs = [row for row in rows if row.against and row.found.value is not None]
    return _Place(
        name=name,
        models=models,
        numbers=[
            (metric, [found.get((metric, model), Interval(None)) for model in models])
            for metric in dict.fromkeys(row.metric for row in alone)
        ],
        differences=[
            difference
            for metric in dict.fromkeys(row.metric for row in pairs)
            for difference in _differences([row for row in pairs if row.metric == metric])
        ],
        common=min((row.clips for row in pairs), default=0),
    )


def _differences(rows: Sequence[Row]) -> list[_Difference]:
    """Return the differences of one metric, on one scale."""
    limit = largest_end(row.found for row in rows)
    return [
        _Difference(
            *(row.model, row.against, row.metric, row.found),
            verdict=_verdict(row.metric, row.found),
            drawing=draw_around_zero(row.found, limit),
        )
        for row in rows
    ]


def _verdict(metric: str, found: Interval) -> str:
    if found.value is None or not found.excludes_zero:
        return ""
    if "AUROC" in metric:
        more_is_better = True
    elif metric in METRIC_NAMES:
        more_is_better = METRIC_NAMES[metric].more_is_better
    else:
        return "more" if found.value > 0 else "less"
    return "better" if (found.value > 0) == more_is_better else "worse"


def _shown(metric: str) -> str:
    """Return how the page calls a metric; rows of uncertainty are named in words already."""
    return METRIC_NAMES[metric].shown if metric in METRIC_NAMES else metric


def _value(found: Interval, sign: str = "") -> str:
    """Return a number with its interval, a dash if it is not defined."""
    if found.value is None:
        return "-"
    text = f"{found.value:{sign}.3f}"
    if found.low is None or found.high is None:
        return text
    return f"{text} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"
