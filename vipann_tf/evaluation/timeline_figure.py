"""A recording's timeline as a picture: probabilities with epistemic bands, uncertainty below."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from vipann_tf.errors import UserError
from vipann_tf.evaluation.plots import INK, PALETTE, PERCENT, style_axes
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.timeline import BAND, Window

__all__ = ["TimelineFigure"]

COLOURS = [PALETTE[name] for name in ("right", "wrong", "outside-1", "outside-2", "outside-3")]
# Columns that can be distinguished in a picture of this width; more windows are averaged.
COLUMNS = 1000


class TimelineFigure:
    """A picture of any number of windows; its memory does not grow with them.

    Args:
      labels: Label names in the order of the outputs.
      seconds: Length of the recording.
      top: Labels to draw, at most five: those with the highest peaks.
    """

    def __init__(self, labels: list[str], seconds: float, top: int = 5):
        self._labels, self._seconds = labels, max(seconds, 1e-3)
        self._top = min(top, len(COLOURS), len(labels))
        self._count = np.zeros(COLUMNS)
        self._time = np.zeros(COLUMNS)
        self._sums = np.zeros([3, COLUMNS, len(labels)], np.float32)  # probability, low, high
        self._parts = np.zeros([2, COLUMNS])  # aleatoric, epistemic

    def add(self, window: Window) -> None:
        """Add a window."""
        middle = (window.start_s + window.end_s) / 2
        column = min(int(COLUMNS * middle / self._seconds), COLUMNS - 1)
        self._count[column] += 1
        self._time[column] += middle
        self._sums[:, column] += (window.probabilities, window.low, window.high)
        self._parts[:, column] += (window.aleatoric, window.epistemic)

    def figure(self) -> Figure:
        """Return the picture.

        Raises:
          UserError: If there was no window.
        """
        seen = self._count > 0
        if not seen.any():
            raise UserError("there is no window to draw; the recording gave none")
        count = self._count[seen]
        time = self._time[seen] / count
        probs, low, high = self._sums[:, seen] / count[None, :, None]
        aleatoric, epistemic = self._parts[:, seen] / count
        marker = "o" if len(time) < 60 else None

        figure = Figure(figsize=(10, 5.2), dpi=160, layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
        shown = np.argsort(-probs.max(axis=0), kind="stable")[: self._top]
        for label, colour in zip(shown, COLOURS[: len(shown)], strict=True):
            upper.fill_between(
                time, low[:, label], high[:, label], color=colour, alpha=0.22, linewidth=0
            )
            upper.plot(
                time,
                probs[:, label],
                color=colour,
                linewidth=1.6,
                marker=marker,
                markersize=3,
                label=self._labels[label],
            )
        upper.set(ylim=(0, 1.02), ylabel="probability")
        upper.yaxis.set_major_formatter(PERCENT)
        upper.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=5,
            frameon=False,
            labelcolor=INK,
            fontsize=10,
            title=f"bands hold {100 * (BAND[1] - BAND[0]):.0f} % of the networks drawn",
            title_fontsize=9,
            alignment="left",
        )
        lower.stackplot(
            time,
            aleatoric,
            epistemic,
            colors=(PALETTE["right"], PALETTE["wrong"]),
            alpha=0.75,
            labels=("aleatoric: the sound's", "epistemic: the model's"),
        )
        lower.set(xlim=(0, self._seconds), ylabel="uncertainty\n(nats)", xlabel="time")
        lower.set_ylim(bottom=0)
        lower.xaxis.set_major_formatter(FuncFormatter(lambda s, _: _clock(s, self._seconds)))
        lower.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=2,
            frameon=False,
            labelcolor=INK,
            fontsize=9,
            borderaxespad=0.1,
        )
        for axes in (upper, lower):
            style_axes(axes)
        return figure

    def write(self, path: StrPath) -> None:
        """Write the picture as a PNG."""
        FigureCanvasAgg(self.figure()).print_png(str(path))


def _clock(seconds: float, whole: float) -> str:
    """Return a time in the format that suits a recording of that length."""
    if whole < 120:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if whole >= 3600 else f"{minutes}:{rest:02d}"
