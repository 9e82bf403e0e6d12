"""Seconds a training step of the full-width network takes, in float32 and mixed_bfloat16, side by side.

    python benchmarks/bench_training_step.py [--kind flipout] [--width 1.0] [--batch 4] [--seconds 10] [--steps 4]

One process holds one network at a time; the two precisions see the same batch. Prints the seconds of each step
after the first two (which trace and warm up), the loss before and after, and the peak memory so far.
"""

import argparse
import resource
import statistics
import time

import numpy as np
import tensorflow as tf
import tf_keras

from vipann_tf.models.architecture import Architecture
from vipann_tf.models.objective import Objective
from vipann_tf.models.vipann import VIPANN

WARM_UP = 2


def measure(kind: str, width: float, precision: str, batch: dict, steps: int) -> None:
    """Trains on one batch and prints a line."""
    architecture = Architecture(
        width=width,
        trunk=kind,
        head="deterministic" if kind == "flipout" else kind,
        labels=batch["labels"].shape[-1],
        task="multilabel",
    )
    model = VIPANN(architecture, dtype=precision)
    model.compile(optimizer=tf_keras.optimizers.Adam(1e-3))
    model.prepare_training(Objective(nll_reduction="mean"), clips=1000, seed=0)
    step = tf.function(model.train_step, autograph=False)
    seconds, losses = [], []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        losses.append(float(step(batch)["loss"]))
        seconds.append(time.perf_counter() - start)
    counted = seconds[WARM_UP:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{kind:14} {precision:15} {statistics.median(counted):6.2f} s a step "
        f"({min(counted):.2f}-{max(counted):.2f}, {steps} steps), "
        f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, peak {peak:.2f} GiB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", default="flipout", choices=["deterministic", "dropout", "flipout"])
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    batch = {
        "waveform": tf.constant(
            rng.normal(0, 0.1, (args.batch, int(args.seconds * 32000))), tf.float32
        ),
        "labels": tf.constant(rng.random((args.batch, 527)) < 0.005, tf.float32),
    }
    for precision in ("float32", "mixed_bfloat16"):
        measure(args.kind, args.width, precision, batch, args.steps)


if __name__ == "__main__":
    main()
