"""How often 95 % intervals of means over labels hold what they should, in simulated data sets.

    python -m benchmarks.interval_coverage [--sets 200]

A data set is drawn from a model of clips: labels of long-tailed frequencies that depend on each
other, and the scores of two related models that tell clips with a label from those without by a
distance that differs from label to label. Intervals should hold the mean of the score over all data
sets of as many clips, here over 400. (That is not its limit for infinitely many clips: the mAP of
rare labels falls with the number of clips, since every label needs a positive clip to be counted.)

Compared are the jackknife, which the package uses (`label_means` with `leave_out_weights`), and
four bootstrap intervals on 200 resamples: quantiles (percentile), bias-corrected quantiles (BC),
2 value - quantiles (reflected), and quantiles that are moved so that the mean resample is the value
(centred). 200 sets take about six minutes of one core. A second table compares the formulas for
the AP and the AUROC of a single label with the percentile bootstrap.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit, softmax
from scipy.stats import norm

from vipann_tf.evaluation.weighted_metrics import label_means
from vipann_tf.uncertainty.bootstrap import resample_weights
from vipann_tf.uncertainty.confidence_intervals import auroc_interval, average_precision_interval
from vipann_tf.uncertainty.jackknife import jackknife_interval, leave_out_weights
from vipann_tf.uncertainty.ranking import weighted_auroc, weighted_average_precision

RESAMPLES = 200
MEANS = 400  # data sets whose mean score is the truth
Data = tuple[np.ndarray, np.ndarray, np.ndarray]  # probabilities of two models, truth
METHODS = ("jackknife", "percentile", "BC", "reflected", "centred")


def multilabel(clips: int, labels: int, distance: float) -> Callable[[int], Data]:
    """Return a function that draws a data set by a seed.

    Args:
      clips: Number of clips.
      labels: Number of labels; frequencies fall as 1 / rank from 0.42, as in AudioSet, or for ten
        labels and fewer as rank^-0.8 from 0.4.
      distance: Mean distance, in standard deviations, of clips with a label from those without.
    """
    rng = np.random.default_rng(12345)
    rank = np.arange(1, labels + 1)
    share = 0.42 / rank if labels > 10 else 0.4 / rank**0.8
    apart = np.clip(rng.normal(distance, 0.6, labels), 0.1, None)
    kind = rng.integers(0, labels // 8 + 1, labels)  # labels of one kind occur together

    def draw(seed: int) -> Data:
        rng = np.random.default_rng(seed)
        common = rng.normal(size=(clips, kind.max() + 1))[:, kind]
        level = np.sqrt(0.4) * common + np.sqrt(0.6) * rng.normal(size=(clips, labels))
        truth = level > norm.isf(share)
        noise = np.sqrt(0.2) * rng.normal(size=(clips, 1))
        noise = noise + np.sqrt(0.8) * rng.normal(size=(clips, labels))
        other = 0.8 * noise + 0.6 * rng.normal(size=(clips, labels))
        return expit(apart * truth + noise), expit(0.8 * apart * truth + other), truth

    return draw


def multiclass(clips: int, labels: int, distance: float, falling: float) -> Callable[[int], Data]:
    """Return a function that draws a data set by a seed; frequencies fall as rank^-falling."""
    rng = np.random.default_rng(12345)
    share = np.arange(1.0, labels + 1) ** -falling
    share /= share.sum()
    apart = np.clip(rng.normal(distance, 0.7, labels), 0.1, None)

    def draw(seed: int) -> Data:
        rng = np.random.default_rng(seed)
        truth = np.eye(labels, dtype=bool)[rng.choice(labels, size=clips, p=share)]
        first = rng.normal(size=(clips, labels)) + apart * truth + 0.5 * np.log(share)
        second = first + 0.7 * rng.normal(size=(clips, labels))
        return softmax(first, axis=1), softmax(second, axis=1), truth

    return draw


def scores(data: Data, task: str, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of the first model, and their differences from the second."""
    first, second, truth = data
    found, other = (label_means(probs, truth, task, weights) for probs in (first, second))
    for name in list(found):
        found[f"{name}, difference"] = found[name] - other[name]
    return found


def bootstrap_ends(value: float, drawn: np.ndarray) -> dict[str, np.ndarray]:
    """Return the ends of the four bootstrap intervals."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    below = np.clip(np.mean(drawn < value), 0.5 / len(drawn), 1 - 0.5 / len(drawn))
    levels = norm.cdf(2 * norm.ppf(below) + norm.ppf([0.025, 0.975]))
    return {
        "percentile": np.array([low, high]),
        "BC": np.quantile(drawn, levels),
        "reflected": 2 * value - np.array([high, low]),
        "centred": np.array([low, high]) + value - drawn.mean(),
    }


def rows(name: str, task: str, draw: Callable[[int], Data], sets: int) -> Iterator[list[str]]:
    """Yield a line of the table per score: coverage by each method, and widths."""
    clips = len(draw(0)[2])
    once = np.ones((1, clips))
    repeated = [scores(draw(10_000 + i), task, once) for i in range(MEANS)]
    covered: dict[str, dict[str, list[bool]]] = {}
    held: dict[str, list[bool]] = {}
    widths: dict[str, list[float]] = {}
    truth = {key: np.mean([found[key][0] for found in repeated]) for key in repeated[0]}
    for seed in range(sets):
        data = draw(seed)
        values = scores(data, task, once)
        left_out = scores(data, task, leave_out_weights(clips))
        drawn = scores(data, task, resample_weights(clips, RESAMPLES, seed))
        for key, (value,) in values.items():
            share = "difference" not in key and key != "d_prime"
            found = jackknife_interval(value, left_out[key], share=share)
            ends = {"jackknife": np.array([found.low, found.high], float)}
            ends |= bootstrap_ends(value, drawn[key][np.isfinite(drawn[key])])
            for method, (low, high) in ends.items():
                covered.setdefault(key, {}).setdefault(method, []).append(low <= truth[key] <= high)
            held.setdefault(key, []).append(bool(np.diff(np.sign(ends["percentile"] - value)) > 0))
            widths.setdefault(key, []).append(float(np.diff(ends["jackknife"])[0]))
    for key, by_method in covered.items():
        if key.startswith("d_prime"):  # that of the AUC on another scale
            continue
        spread = 3.92 * np.std([found[key][0] for found in repeated])
        yield [
            name,
            key,
            f"{truth[key]:.3f}",
            *(f"{100 * np.mean(by_method[method]):.0f} %" for method in METHODS),
            f"{100 * np.mean(held[key]):.0f} %",
            f"{np.mean(widths[key]):.3f} ({spread:.3f})",
        ]


def single_labels(sets: int) -> Iterator[list[str]]:
    """Yield a line of the second table per number of clips and of positive clips.

    A label is 0.5, 1.5 or 3 standard deviations from the others; the ranges are over these.
    """
    for clips in (80, 450):
        for positives in (1, 3, 10, 30):
            truth = np.arange(clips) < positives
            covered: dict[str, list[float]] = {}
            for distance in (0.5, 1.5, 3.0):
                for name, hits in _single_label(clips, truth, distance, sets).items():
                    covered.setdefault(name, []).append(float(np.mean(hits)))
            yield [
                str(clips),
                str(positives),
                *(f"{100 * min(x):.0f} to {100 * max(x):.0f} %" for x in covered.values()),
            ]


def _single_label(
    clips: int, truth: np.ndarray, distance: float, sets: int
) -> dict[str, list[bool]]:
    positives = int(truth.sum())
    rng = np.random.default_rng(0)
    ranked = rng.normal(size=(max(sets, MEANS), clips)) + distance * truth
    weights = np.vstack([np.ones(clips), resample_weights(clips, RESAMPLES, 0)])
    measures = {
        "AP": (weighted_average_precision, average_precision_interval, (positives,)),
        "AUROC": (weighted_auroc, auroc_interval, (positives, clips - positives)),
    }
    hits: dict[str, list[bool]] = {}
    for name, (score, interval, counts) in measures.items():
        mean = np.mean([score(row, truth, weights[:1])[0] for row in ranked])
        for row in ranked[:sets]:
            value, *drawn = score(row, truth, weights)
            by_formula = interval(value, *counts)
            by_resamples = np.nanquantile(drawn, [0.025, 0.975])
            for method, (low, high) in (("formula", by_formula), ("percentile", by_resamples)):
                hits.setdefault(f"{name} {method}", []).append(bool(low <= mean <= high))
    return hits


def main() -> None:
    """Simulate and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=200, help="data sets of 450 clips; x 5 of 80")
    sets = parser.parse_args().sets
    heading = ["data", "score", "mean", *METHODS, "percentile holds value", "width (of the truth)"]
    print("| " + " | ".join(heading) + " |\n" + "| --- " * len(heading) + "|", flush=True)
    cases: list[tuple[str, str, Callable[[int], Data], int]] = []
    for clips, labels, repeats in ((450, 160, sets), (80, 10, 5 * sets)):
        for distance in (0.6, 1.2, 2.5):
            name = f"{clips} clips, {labels} labels, distance {distance}"
            draw = multilabel(clips, labels, distance)
            cases.append((name, "multilabel", draw, repeats))
    for clips, labels, distance, falling in (
        (80, 10, 2.5, 0.0),
        (80, 10, 4.0, 0.0),
        (450, 50, 2.5, 1.0),
    ):
        name = f"{clips} clips, one of {labels} labels, distance {distance}"
        draw = multiclass(clips, labels, distance, falling)
        cases.append((name, "multiclass", draw, 5 * sets))
    for name, task, draw, repeats in cases:
        for row in rows(name, task, draw, repeats):
            print("| " + " | ".join(row) + " |", flush=True)
    heading = ["clips", "positive", "AP: formula", "percentile", "AUROC: formula", "percentile"]
    print("\n| " + " | ".join(heading) + " |\n" + "| --- " * len(heading) + "|")
    for row in single_labels(5 * sets):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
