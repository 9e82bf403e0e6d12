"""Monte Carlo inference of the full-width network against TFP's layers and the reference's.

    python -m benchmarks.bench_inference [--width 1.0] [--clips 32] [--num-draws 10] [--seconds 10]

Ours draws each network once and asks it about all clips; the comparators draw anew in every layer
and every call, so that their cost is one pass per draw: they are asked for fewer draws
(--comparator-samples) and charged for as many as ours. All see the same clips in batches of 8;
building, tracing and one warm-up batch are not counted. A deterministic pass stands beside it.
"""

import argparse
import time

import numpy as np

from benchmarks import harness

LABELS = 527


def waveforms(args) -> np.ndarray:
    """Noise of different loudness: [clips, samples]."""
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.01, 0.3, [args.clips, 1])
    return (scale * rng.standard_normal([args.clips, int(args.seconds * 32000)])).astype("float32")


def architecture(args, kind: str):
    from vipann_tf.models.architecture import Architecture

    return Architecture(
        width=args.width,
        trunk=kind,
        head="deterministic",
        labels=LABELS,
        task="multilabel",
    )


def ours(kind: str, precision: str):
    """Seconds that `predict_batches` takes for all clips and draws."""

    def part(args) -> dict:
        import tensorflow as tf

        from benchmarks import floor
        from vipann_tf.evaluation.inference import predict_batches
        from vipann_tf.models.vipann import VIPANN

        model = VIPANN(architecture(args, kind), dtype=precision)
        clips = waveforms(args)

        def batches(count):
            for start in range(0, count, args.batch):
                part = clips[start : start + args.batch]
                yield {
                    "waveform": tf.constant(part),
                    "labels": tf.zeros([len(part), LABELS]),
                    "clip_id": tf.constant([str(start + i) for i in range(len(part))]),
                }

        samples = args.num_draws if kind == "flipout" else 1
        predict_batches(model, batches(args.batch), num_draws=1, seed=1)
        seconds = []
        for _ in range(args.repeats):
            began = time.perf_counter()
            answer = predict_batches(model, batches(args.clips), num_draws=samples, seed=0)
            seconds.append(time.perf_counter() - began)
        dtype = tf.bfloat16 if "bfloat16" in precision else tf.float32
        return {
            "seconds": seconds,
            "probabilities": np.asarray(answer.decomposition.probabilities).ravel()[:2000].tolist(),
            "floor": floor.forward_flop(model, args.seconds)
            * args.clips
            * samples
            / floor.matmul_rate(dtype),
        }

    return part


def comparator_draws(args, kind: str) -> tuple[int, float]:
    """How many draws a comparator makes, and the factor for its time."""
    if kind != "flipout":
        return 1, 1.0
    draws = min(args.comparator_samples, args.num_draws)
    return draws, args.num_draws / draws


def plain(kind: str):
    """Seconds that TFP's layers take: one pass per batch and draw."""

    def part(args) -> dict:
        import tensorflow as tf

        from benchmarks.comparators.plain_tfp import PlainVIPANN

        model = PlainVIPANN(architecture(args, kind))
        forward = tf.function(lambda x: tf.sigmoid(model(x, training=False)), autograph=False)
        clips = waveforms(args)
        forward(clips[: args.batch])
        draws, share = comparator_draws(args, kind)
        began = time.perf_counter()
        for start in range(0, args.clips, args.batch):
            batch = tf.constant(clips[start : start + args.batch])
            np.mean([forward(batch).numpy() for _ in range(draws)], axis=0)
        return {"seconds": [(time.perf_counter() - began) * share]}

    return part


def reference(kind: str):
    """Seconds that PyTorch with bayesian-torch takes."""

    def part(args) -> dict:
        import torch

        from benchmarks.comparators.reference_torch import Network

        model = Network(architecture(args, kind)).eval()
        clips = torch.from_numpy(waveforms(args))
        with torch.inference_mode():
            model(clips[: args.batch])
            draws, share = comparator_draws(args, kind)
            began = time.perf_counter()
            for start in range(0, args.clips, args.batch):
                batch = clips[start : start + args.batch]
                torch.stack([torch.sigmoid(model(batch)) for _ in range(draws)]).mean(0)
        return {"seconds": [(time.perf_counter() - began) * share]}

    return part


PARTS = {
    "Flipout, ours, float32": ours("flipout", "float32"),
    "Flipout, ours, bfloat16": ours("flipout", "mixed_bfloat16"),
    "Flipout, TFP's layers": plain("flipout"),
    "Flipout, bayesian-torch": reference("flipout"),
    "deterministic, ours, float32": ours("deterministic", "float32"),
    "deterministic, ours, bfloat16": ours("deterministic", "mixed_bfloat16"),
    "deterministic, Keras": plain("deterministic"),
    "deterministic, PyTorch": reference("deterministic"),
}


def report(found, args) -> str:
    rows = []
    for name, row in found.items():
        draws = args.num_draws if name.startswith("Flipout") else 1
        passes = args.clips * draws
        comparator = "Flipout, TFP's layers" if draws > 1 else "deterministic, Keras"
        floor = row.results.get("floor")
        rows.append(
            [
                name,
                row.text(),
                f"{row.typical / passes:.3f}",
                f"{found[comparator].typical / row.typical:.2f}",
                f"{floor / row.typical:.0%}" if floor else "",
                f"{row.peak_gib:.1f}",
            ]
        )
    header = [
        "network",
        "seconds in all",
        "s per clip and draw",
        "times TFP/Keras",
        "share of the floor",
        "peak GiB",
    ]
    tfp = found["Flipout, TFP's layers"].typical
    single, half = found["Flipout, ours, float32"], found["Flipout, ours, bfloat16"]
    apart = np.abs(
        np.subtract(single.results["probabilities"], half.results["probabilities"])
    ).mean()
    return "\n".join(
        [
            f"## Inference: {args.clips} clips of {args.seconds:g} s, {args.num_draws} draws, "
            f"width {args.width:g}",
            "",
            harness.table(header, rows),
            "",
            "The floor is the convolutions' arithmetic at this machine's rate of matrix products. "
            f"The comparators made {min(args.comparator_samples, args.num_draws)} draws and are "
            f"charged for {args.num_draws}.",
            "",
            harness.bar("Flipout in float32 against TFP's layers", tfp / single.typical, least=2.5),
            harness.bar("Flipout in bfloat16 against TFP's layers", tfp / half.typical, least=6),
            f"- probabilities of bfloat16 and float32: {apart:.5f} apart on average (at most 0.01)",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--num-draws", type=int, default=10)
    parser.add_argument("--comparator-samples", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    harness.run(__file__, parser, PARTS, report, rounds=1)


if __name__ == "__main__":
    main()
