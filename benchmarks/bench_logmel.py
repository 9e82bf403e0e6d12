"""Log-mel spectrograms against torchlibrosa's, the same clips in batches of 4.

python -m benchmarks.bench_logmel [--clips 64] [--seconds 10]
"""

import argparse
import time

import numpy as np

from benchmarks import harness

BATCH = 4


def batches(args) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (BATCH, int(args.seconds * 32000))
    return [rng.normal(0, 0.1, shape).astype("float32") for _ in range(-(-args.clips // BATCH))]


def timed(transform, clips: list) -> dict:
    """Seconds of each batch after the first, and the sum of one answer."""
    answer = transform(clips[0])
    seconds = []
    for batch in clips:
        began = time.perf_counter()
        transform(batch)
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds, "mean": float(np.mean(np.asarray(answer)))}


def ours(args) -> dict:
    import tensorflow as tf

    from vipann_tf.audio.logmel import log_mel

    transform = tf.function(log_mel, autograph=False, reduce_retracing=True)
    return timed(lambda x: transform(x).numpy(), [tf.constant(b) for b in batches(args)])


def reference(args) -> dict:
    import torch

    from benchmarks.comparators.reference_torch import Frontend

    frontend = Frontend().eval()
    with torch.inference_mode():
        return timed(lambda x: frontend(x).numpy(), [torch.from_numpy(b) for b in batches(args)])


def report(found, args) -> str:
    per_clip = {name: row.text(per=BATCH, digits=4) for name, row in found.items()}
    rows = [
        [name, per_clip[name], f"{row.peak_gib:.2f}", f"{row.results['mean']:.3f}"]
        for name, row in found.items()
    ]
    lines = [
        f"## Log-mel: {args.seconds:g} s clips in batches of {BATCH}",
        "",
        harness.table(["", "s per clip", "peak GiB", "mean dB of the first batch"], rows),
    ]
    if "torchlibrosa" in found:
        ratio = found["torchlibrosa"].typical / found["ours"].typical
        lines += ["", harness.bar("against torchlibrosa", ratio, least=6)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    harness.run(__file__, parser, {"ours": ours, "torchlibrosa": reference}, report, rounds=3)


if __name__ == "__main__":
    main()
