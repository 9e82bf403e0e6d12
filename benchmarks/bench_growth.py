"""How the cost of Flipout inference grows: with draws, batch, clip length, width and clips.

    python -m benchmarks.bench_growth

One setting is changed at a time around: width 0.25, 8 clips of 10 s in batches of 4, 4 draws.
"""

import argparse
import time

import numpy as np

from benchmarks import harness

BASE = {"draws": 4, "batch": 4, "seconds": 10.0, "width": 0.25, "clips": 8}
VALUES = {
    "draws": (1, 4, 16),
    "batch": (1, 4, 8),
    "seconds": (2.5, 10.0, 40.0),
    "width": (0.125, 0.25, 0.5),
    "clips": (4, 8, 32),
}
LABELS = 50


def inference(setting: dict):
    """Seconds of `predict_batches`, after a first call of one batch and draw, which traces."""

    def part(args) -> dict:
        import tensorflow as tf

        from vipann_tf.evaluation.inference import predict_batches
        from vipann_tf.models.architecture import Architecture
        from vipann_tf.models.vipann import VIPANN

        architecture = Architecture(
            width=setting["width"],
            trunk="flipout",
            head="flipout",
            labels=LABELS,
            task="multiclass",
        )
        model = VIPANN(architecture)
        rng = np.random.default_rng(0)
        samples = int(setting["seconds"] * 32000)

        def ask(clips: int, draws: int) -> float:
            batches = [
                {
                    "waveform": tf.constant(
                        rng.normal(0, 0.1, [setting["batch"], samples]).astype("float32")
                    ),
                    "labels": tf.zeros([setting["batch"], LABELS]),
                    "clip_id": tf.constant(["clip"] * setting["batch"]),
                }
                for _ in range(clips // setting["batch"])
            ]
            began = time.perf_counter()
            predict_batches(model, batches, num_draws=draws, seed=0)
            return time.perf_counter() - began

        tracing = ask(setting["batch"], 1)
        return {"seconds": [ask(setting["clips"], setting["draws"])], "tracing": tracing}

    return part


def name(setting: dict) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in setting.items())


SETTINGS = {
    name(BASE | {key: value}): BASE | {key: value}
    for key, values in VALUES.items()
    for value in values
}


def report(found, args) -> str:
    base = found[name(BASE)].typical
    rows = []
    for key, values in VALUES.items():
        for value in values:
            row = found[name(BASE | {key: value})]
            rows.append(
                [
                    key,
                    f"{value:g}",
                    row.text(digits=2),
                    f"{row.typical / base:.2f}",
                    f"{row.results['tracing']:.1f}",
                    f"{row.peak_gib:.2f}",
                ]
            )
    return "\n".join(
        [
            f"## How the cost grows, around {name(BASE)}",
            "",
            harness.table(
                [
                    "changed",
                    "to",
                    "seconds",
                    "times the middle",
                    "first call, with tracing, s",
                    "peak GiB",
                ],
                rows,
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {key: inference(setting) for key, setting in SETTINGS.items()}
    harness.run(__file__, parser, parts, report, rounds=1)


if __name__ == "__main__":
    main()
