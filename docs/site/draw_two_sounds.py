"""Draw docs/two-sounds.svg from answers of the shipped model: docs/site/draw_two_sounds.py."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

import vipann_tf as vt

ROOT = Path(__file__).parents[2]
SOUNDS = ("singing", "tabla")
LABELS = 5  # of each sound: the most uncertain ones
# The colours of idea.svg.
PAPER, INK, MUTED, LINE = "#fbfaf7", "#26323b", "#5b6770", "#dcd5c7"
NETWORKS, ALEATORIC, EPISTEMIC = "#2b6a78", "#8fb4bc", "#b3541e"


def draw(found: vt.Prediction) -> Figure:
    """Return a picture with a row of two charts for each sound."""
    assert found.draws is not None
    figure = Figure(figsize=(9, 5.6), facecolor=PAPER, layout="constrained")
    for row, pair in enumerate(figure.subplots(len(found), 2, width_ratios=(1.5, 1))):
        chosen = np.argsort(-found.label_total[row])[:LABELS]
        places = np.arange(LABELS)[::-1]
        answers, parts = pair
        for place, label in zip(places, chosen, strict=True):
            each = found.draws[:, row, label]
            offsets = np.linspace(-0.22, 0.22, len(each))  # so that equal answers are seen
            answers.plot(each, place + offsets, "o", ms=4, mec="none", color=NETWORKS, alpha=0.55)
            mean = found.probabilities[row, label]
            answers.plot([mean, mean], [place - 0.36, place + 0.36], color=INK, lw=1.8)
        aleatoric, epistemic = found.label_aleatoric[row], found.label_epistemic[row]
        parts.barh(places, aleatoric[chosen], 0.55, color=ALEATORIC, label="aleatoric")
        parts.barh(
            places, epistemic[chosen], 0.55, aleatoric[chosen], color=EPISTEMIC, label="epistemic"
        )
        name = SOUNDS[row]
        answers.set_title(f"{name}: what {found.num_draws} networks say", loc="left")
        answers.set(xlim=(-0.02, 1.02), xlabel="probability")
        answers.set_yticks(places, [found.labels[label] for label in chosen])
        parts.set(xlim=(0, 0.75), xlabel="uncertainty in nats")
        parts.set_yticks(places, [])
        parts.set_title("aleatoric and epistemic", loc="left")
        if row == 0:  # its bars leave room
            parts.legend(loc="lower right", frameon=False, labelcolor=INK)
        for axes in pair:
            axes.set(facecolor=PAPER, ylim=(-0.6, LABELS - 0.4))
            axes.grid(axis="x", color=LINE)
            axes.set_axisbelow(True)
            axes.tick_params(length=0, colors=MUTED, labelsize=10)
            axes.title.set(color=INK, fontsize=12)
            axes.xaxis.label.set(color=MUTED, fontsize=10)
            axes.spines[:].set_visible(False)
    return figure


if __name__ == "__main__":
    model = vt.load(ROOT / "saved_models" / "everyday-sounds")
    paths = [ROOT / "examples" / "sounds" / f"{name}.ogg" for name in SOUNDS]
    figure = draw(model.predict(paths, draws=True))
    settings = {"svg.fonttype": "none", "svg.hashsalt": "two-sounds", "font.family": "sans-serif"}
    with matplotlib.rc_context(settings):
        FigureCanvasSVG(figure).print_svg(
            ROOT / "docs" / "two-sounds.svg",
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
