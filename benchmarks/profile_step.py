"""Where a training step of the full-width network spends its time, by TensorFlow's profiler.

    python -m benchmarks.profile_step [--kind flipout] [--precision float32] [--batch 4] [--top 20]

Prints the kernels' time by kind of operation, summed over threads: an operation that runs on two
threads at once counts once, where it was started.
"""

import argparse
import collections
import glob
import tempfile
import time

from benchmarks import harness
from benchmarks.bench_training_step import CLIPS, LEARNING_RATE, architecture, batch


def kernel_seconds(directory: str) -> dict[str, tuple[float, int]]:
    """Seconds and number of executions of each kind of operation in a profile."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (file,) = glob.glob(f"{directory}/**/*.xplane.pb", recursive=True)
    space = xplane_pb2.XSpace()
    with open(file, "rb") as stream:
        space.ParseFromString(stream.read())
    found = collections.defaultdict(lambda: [0.0, 0])
    for plane in space.planes:
        if not plane.name.startswith("/host:CPU"):
            continue
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                # "network/stage1.block0.conv1/Conv2D:Conv2D": the operation's name and its kind.
                if ":" in name and "::" not in name and " " not in name:
                    kind = found[name.rsplit(":", 1)[1]]
                    kind[0] += event.duration_ps / 1e12
                    kind[1] += 1
    return {kind: tuple(value) for kind, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kind", default="flipout", choices=["deterministic", "dropout", "flipout"]
    )
    parser.add_argument("--precision", default="float32", choices=["float32", "mixed_bfloat16"])
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--top", type=int, default=20)
    args = parser.parse_args()

    import tensorflow as tf

    from vipann_tf.models.objective import Objective
    from vipann_tf.models.vipann import VIPANN
    from vipann_tf.recipes import Optimizer
    from vipann_tf.training.optimizer import make_optimizer

    model = VIPANN(architecture(args), dtype=args.precision)
    recipe = Optimizer(learning_rate=LEARNING_RATE)
    model.compile(
        make_optimizer(recipe, steps=10, precision=args.precision),
        objective=Objective(nll_reduction="mean", kl_reduction="sum"),
        clips=CLIPS,
        seed=0,
    )
    step = tf.function(model.train_step, autograph=False)
    waveform, labels = map(tf.constant, batch(args))
    for _ in range(2):
        float(step({"waveform": waveform, "labels": labels})["loss"])
    began = time.perf_counter()
    float(step({"waveform": waveform, "labels": labels})["loss"])
    elapsed = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as directory:
        tf.profiler.experimental.start(directory)
        float(step({"waveform": waveform, "labels": labels})["loss"])
        tf.profiler.experimental.stop()
        kernels = kernel_seconds(directory)
    total = sum(seconds for seconds, _ in kernels.values())
    print(
        f"{args.kind}, {args.precision}, width {args.width:g}, batch {args.batch}: "
        f"{elapsed:.2f} s per step; kernels {total:.2f} s"
    )
    ordered = sorted(kernels.items(), key=lambda item: -item[1][0])
    rows = [
        [kind, f"{seconds:.3f}", f"{seconds / total:.0%}", count]
        for kind, (seconds, count) in ordered[: args.top]
    ]
    print(harness.table(["operation", "seconds", "share", "executions"], rows))


if __name__ == "__main__":
    main()
