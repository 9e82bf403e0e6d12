"""What more draws cost where the trunk is deterministic (det-flip), and what they cost Flipout.

    python -m benchmarks.bench_draws --model MODEL [--width 1.0]

A request: `serving_default` of a SavedModel of det-flip on one 5 s clip. An evaluation:
`predict_batches` on 32 clips of 10 s by a full-width network with weights by its initializers,
against one pass without draws.
"""

import argparse
import pathlib
import time

import numpy as np

from benchmarks import harness

DRAWS = 100
REQUESTS = 30
LABELS = 50
CLIPS, BATCH, SECONDS = 32, 8, 10.0


def request(samples: int, draws: str):
    """Seconds of each request to an export of the model with so many draws."""

    def part(args) -> dict:
        import tensorflow as tf

        from vipann_tf.saved_model.load import load_signatures
        from vipann_tf.saved_model.reexport import reexport

        out = pathlib.Path(args.scratch) / f"{draws}-{samples}"
        if not out.exists():
            reexport(args.model, out, num_draws=samples, draw_storage=draws)
        loaded = load_signatures(out)
        ask = loaded.signatures["serving_default"]
        noise = np.random.default_rng(0).normal(0, 0.1, [1, 160_000]).astype("float32")
        clip = tf.constant(noise)
        for _ in range(3):
            ask(waveform=clip)
        seconds = []
        for _ in range(REQUESTS):
            began = time.perf_counter()
            ask(waveform=clip)["probabilities"].numpy()
            seconds.append(time.perf_counter() - began)
        return {"seconds": seconds}

    return part


def evaluation(head: str, samples: int):
    """Seconds of `predict_batches` on all clips, traced before, and of the drawing alone."""

    def part(args) -> dict:
        import tensorflow as tf

        from vipann_tf.evaluation.inference import predict_batches
        from vipann_tf.models.architecture import Architecture
        from vipann_tf.models.vipann import VIPANN

        architecture = Architecture(
            width=args.width, trunk="deterministic", head=head, labels=LABELS, task="multiclass"
        )
        model = VIPANN(architecture)
        rng = np.random.default_rng(0)
        batches = [
            {
                "waveform": tf.constant(
                    rng.normal(0, 0.1, [BATCH, int(SECONDS * 32000)]).astype("float32")
                ),
                "labels": tf.zeros([BATCH, LABELS]),
                "clip_id": tf.constant([f"{start + i}" for i in range(BATCH)]),
            }
            for start in range(0, CLIPS, BATCH)
        ]
        predict_batches(model, batches[:1], num_draws=1, seed=1)
        began = time.perf_counter()
        predict_batches(model, batches, num_draws=samples, seed=0)
        elapsed = time.perf_counter() - began
        began = time.perf_counter()
        for index in range(1, samples + 1):
            model.compiled_network.draw(tf.constant(0, tf.int64), tf.constant(index, tf.int64))
        return {"seconds": [elapsed], "drawing": time.perf_counter() - began}

    return part


ONE, SAMPLED = "request, 1 draw", f"request, {DRAWS} draws sampled"
STORED = f"request, {DRAWS} draws stored"
SINGLE, MANY = "evaluation, deterministic head", f"evaluation, {DRAWS} draws of the head"
PARTS = {
    ONE: request(1, "sampled"),
    SAMPLED: request(DRAWS, "sampled"),
    STORED: request(DRAWS, "stored"),
    SINGLE: evaluation("deterministic", 1),
    MANY: evaluation("flipout", DRAWS),
}


def report(found, args) -> str:
    rows = [[name, row.text(digits=4), f"{row.peak_gib:.2f}"] for name, row in found.items()]

    def ratio(name, base):
        return found[name].typical / found[base].typical

    single, many = found[SINGLE].typical, found[MANY].typical
    enough = CLIPS * (many - single) / (0.1 * single)
    return "\n".join(
        [
            f"## Draws of det-flip: requests to {pathlib.Path(args.model).name}; "
            f"evaluation of {CLIPS} "
            f"clips at width {args.width:g}",
            "",
            harness.table(["", "seconds", "peak GiB"], rows),
            "",
            harness.bar(
                f"{DRAWS} stored draws against 1, per request", ratio(STORED, ONE), most=1.3
            ),
            harness.bar(
                f"{DRAWS} sampled draws against 1, per request", ratio(SAMPLED, ONE), most=1.3
            ),
            harness.bar(
                f"{DRAWS} draws against none, per evaluation", ratio(MANY, SINGLE), most=1.1
            ),
            "",
            f"Drawing {DRAWS} heads takes {found[MANY].results['drawing']:.2f} s, however many "
            "clips there "
            f"are: from {enough:.0f} clips on, the last ratio is below 1.1.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="model directory of a det-flip network")
    parser.add_argument("--width", type=float, default=1.0)
    harness.run(__file__, parser, PARTS, report, rounds=2)


if __name__ == "__main__":
    main()
