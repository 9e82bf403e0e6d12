"""A training step of the full-width network: ours in two precisions, TFP's layers, the reference's.

    python -m benchmarks.bench_training_step [--kind flipout] [--width 1.0] [--batch 4]
        [--seconds 10]

All minimise NLL + KL / N on one batch with Adam, ours with the one that `pretrain` uses. The first
two steps, which trace and allocate, are not counted. Peak memory is that of the part's own process.
"""

import argparse
import time

import numpy as np

from benchmarks import harness

LABELS = 527
CLIPS = 1000  # the N of KL / N
LEARNING_RATE = 1e-3
WARM_UP = 2


def batch(args) -> tuple[np.ndarray, np.ndarray]:
    """Waveforms [batch, samples] and multi-hot labels [batch, labels], float32."""
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.1, (args.batch, int(args.seconds * 32000)))
    return waveform.astype("float32"), (rng.random((args.batch, LABELS)) < 0.005).astype("float32")


def architecture(args):
    from vipann_tf.models.architecture import Architecture

    head = "deterministic" if args.kind == "flipout" else args.kind
    return Architecture(
        width=args.width, trunk=args.kind, head=head, labels=LABELS, task="multilabel"
    )


def timed(step, args) -> dict:
    """Seconds of each counted step and the loss of all."""
    seconds, losses = [], []
    for _ in range(WARM_UP + args.steps):
        began = time.perf_counter()
        losses.append(float(step()))
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds[WARM_UP:], "losses": losses}


def ours(precision: str):
    def part(args) -> dict:
        import tensorflow as tf

        from vipann_tf.models.objective import Objective
        from vipann_tf.models.vipann import VIPANN
        from vipann_tf.recipes import Optimizer
        from vipann_tf.training.optimizer import make_optimizer

        model = VIPANN(architecture(args), dtype=precision)
        optimizer = Optimizer(learning_rate=LEARNING_RATE)
        model.compile(
            make_optimizer(optimizer, steps=10, precision=precision),
            objective=Objective(nll_reduction="mean", kl_reduction="sum"),
            clips=CLIPS,
            seed=0,
        )
        step = tf.function(model.train_step, autograph=False, jit_compile=args.xla or None)
        waveform, labels = map(tf.constant, batch(args))
        result = timed(lambda: step({"waveform": waveform, "labels": labels})["loss"], args)
        return {**result, "traces": step.experimental_get_tracing_count()}

    return part


def plain(args) -> dict:
    import tensorflow as tf
    import tf_keras

    from benchmarks.comparators.plain_tfp import PlainVIPANN, training_step

    model = PlainVIPANN(architecture(args))
    step = training_step(model, tf_keras.optimizers.Adam(LEARNING_RATE), CLIPS)
    waveform, labels = map(tf.constant, batch(args))
    return timed(lambda: step(waveform, labels), args)


def reference(args) -> dict:
    import torch

    from benchmarks.comparators.reference_torch import Network

    model = Network(architecture(args)).train()
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    waveform, labels = map(torch.from_numpy, batch(args))

    def step():
        optimizer.zero_grad()
        logits = model(waveform)
        nll = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        loss = nll + sum(model.kl) / CLIPS
        loss.backward()
        optimizer.step()
        return loss.detach()

    return timed(step, args)


PARTS = {
    "ours, float32": ours("float32"),
    "ours, bfloat16": ours("mixed_bfloat16"),
    "TFP's layers": plain,
    "PyTorch": reference,
}


def report(found, args) -> str:
    base = found["TFP's layers"]
    rows = [
        [
            name,
            row.text(digits=2),
            f"{row.typical / args.batch:.2f}",
            f"{base.typical / row.typical:.2f}",
            f"{row.peak_gib:.2f}",
            f"{row.peak_gib / base.peak_gib:.2f}",
            f"{row.results['losses'][0]:.5g} -> {row.results['losses'][-1]:.5g}",
        ]
        for name, row in found.items()
    ]
    header = ["", "s per step", "s per clip", "times TFP", "peak GiB", "of TFP's", "loss"]
    single, half = found["ours, float32"], found["ours, bfloat16"]
    lines = [
        f"## Training step: {args.kind}, width {args.width:g}, batch {args.batch}, "
        f"{args.seconds:g} s clips" + (", XLA" if args.xla else ""),
        "",
        harness.table(header, rows),
        "",
    ]
    if args.kind == "flipout":
        lines += [
            harness.bar("float32 against TFP's layers", base.typical / single.typical, least=1.3),
            harness.bar("bfloat16 against TFP's layers", base.typical / half.typical, least=2.0),
            harness.bar("peak memory, of TFP's", single.peak_gib / base.peak_gib, most=1.0),
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kind", default="flipout", choices=["deterministic", "dropout", "flipout"]
    )
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--xla", action="store_true", help="compile our step by XLA")
    harness.run(__file__, parser, PARTS, report, rounds=1)


if __name__ == "__main__":
    main()
