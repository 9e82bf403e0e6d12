"""How often 95 % intervals of an accuracy hold the true one, where clips are windows of recordings.

    python -m benchmarks.group_coverage [--sets 1000]

Each recording gives ten clips. Recordings differ: the log-odds of a right answer are normal with
mean 1 and standard deviation 1.5, a correlation of about 0.3 between two clips of a recording. The
true accuracy is that of other recordings. Compared are the percentile bootstrap of clips, that of
whole recordings, and the jackknife over recordings, which `evaluate` uses. Seconds on one core.
"""

import argparse

import numpy as np
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from vipann_tf.uncertainty.bootstrap import Interval, interval, resample_weights
from vipann_tf.uncertainty.jackknife import jackknife_interval, leave_out_weights

RECORDINGS = (3, 6, 10, 20, 40)
CLIPS = 10  # of each recording
MEAN, SPREAD = 1.0, 1.5
RESAMPLES = 400


def intervals(right: np.ndarray, recording: np.ndarray) -> dict[str, Interval]:
    """Return the interval of an accuracy by each method.

    Args:
      right: Whether each answer is right, float [clips].
      recording: Number of each clip's recording, [clips].
    """
    accuracy, found = right.mean(), {}
    for name, groups in (("clips", None), ("recordings", recording)):
        weights = resample_weights(len(right), RESAMPLES, 0, groups)
        found[name] = interval(accuracy, weights @ right / weights.sum(axis=1))
    left_out = leave_out_weights(len(right), recording)
    replicates = left_out @ right / left_out.sum(axis=1)
    return {**found, "jackknife": jackknife_interval(accuracy, replicates, share=True)}


def main() -> None:
    """Simulate and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000, help="simulated data sets per row")
    sets = parser.parse_args().sets
    truth = quad(lambda x: expit(MEAN + x) * norm.pdf(x, scale=SPREAD), -12, 12)[0]
    print("| recordings of ten clips | over clips | over recordings | jackknife |")
    print("| --- | --- | --- | --- |")
    for count in RECORDINGS:
        rng = np.random.default_rng(count)
        recording = np.repeat(np.arange(count), CLIPS)
        held: dict[str, list[bool]] = {}
        widths: dict[str, list[float]] = {}
        while len(held.get("clips", [])) < sets:
            chance = expit(MEAN + rng.normal(scale=SPREAD, size=count))[recording]
            right = (rng.random(len(recording)) < chance).astype(float)
            if right.all() or not right.any():  # another formula then
                continue
            for name, found in intervals(right, recording).items():
                assert found.low is not None and found.high is not None
                held.setdefault(name, []).append(found.low <= truth <= found.high)
                widths.setdefault(name, []).append(found.high - found.low)
        cells = [
            f"{100 * np.mean(x):.0f} % ({np.mean(widths[name]):.2f})" for name, x in held.items()
        ]
        print(f"| {count} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
