"""What computing a frozen trunk's output once, instead of in every epoch, gains in fixed transfer.

    python -m benchmarks.bench_cached_head --data DIR [--width 1] [--epochs 30] [--repeats 1]

Trains the head on a random deterministic trunk by the same recipe on both paths, one after the
other, so often. A time begins when the base is in the network and ends with the last step: tracing
and the pass of the trunk over all clips are in it; building the network and writing it, which are
the same on both paths, are not. Prints every time, the gain of each pair, and how far apart the
losses of the two paths came to be. The gain of 30 epochs is less than 30, and the less the smaller
the trunk.
"""

import argparse
import csv
import pathlib
import statistics
import tempfile
import time

import tensorflow as tf

from benchmarks import harness
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import Augment, TransferRecipe, load_recipe
from vipann_tf.saved_model.metadata import SAVED_MODEL_PB, ModelInfo, write_metadata
from vipann_tf.training import fit
from vipann_tf.training import transfer as module


def write_base(directory: pathlib.Path, width: float) -> None:
    """A random network, with no graph: transfer reads its variables alone."""
    model = VIPANN(Architecture(width=width, labels=10, task="multiclass"))
    named = model.named_variables()
    info = ModelInfo(
        origin="pretrain",
        architecture=model.architecture,
        sample_rate_hz=32000,
        clip_seconds=5.0,
        num_draws=1,
        seed=0,
        variables=list(named),
    )
    version = directory / "1"
    version.mkdir(parents=True)
    write_metadata(version, info, [str(number) for number in range(10)])
    values = tf.train.Checkpoint(network_variables=list(named.values()))
    values.write(str(version / "variables" / "variables"))
    (version / SAVED_MODEL_PB).touch()


def measure(
    recipe: TransferRecipe, base: pathlib.Path, data: str, *, cached: bool
) -> tuple[float, list[float]]:
    """Seconds from the base in place to the last step, and the loss of each step."""
    began, ended, losses = [], [], []

    def start_from(*args, **kwargs):
        load(*args, **kwargs)
        began.append(time.perf_counter())

    def export(model, directory, info, labels, *, overwrite, extras):
        with open(extras["training_log.csv"], encoding="utf-8", newline="") as lines:
            losses.extend(float(row["loss"]) for row in csv.DictReader(lines))
        return pathlib.Path(directory)

    whole = Augment.any
    with tempfile.TemporaryDirectory() as folder:
        original, fit.export = fit.export, export
        load, module.start_from = module.start_from, start_from
        if not cached:
            # Nothing is augmented, but who asks hears so.
            Augment.any = property(lambda _: True)
        try:
            module.transfer(
                recipe,
                base,
                data,
                pathlib.Path(folder) / "m",
                test_fold=1,
                on_progress=lambda progress: ended.append(time.perf_counter()),
            )
        finally:
            fit.export, module.start_from, Augment.any = original, load, whole
    return ended[-1] - began[0], losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="dataset directory with folds")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--strategy", default="det", choices=["det", "det-flip"])
    parser.add_argument("--recipe", default="transfer/small_fixed")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--fraction", type=float, default=1.0, help="share of the training clips")
    args = parser.parse_args()
    settings = [
        f"strategy={args.strategy}",
        f"training.epochs={args.epochs}",
        f"data.fraction={args.fraction}",
    ]
    recipe = load_recipe(TransferRecipe, args.recipe, settings)
    gains = []
    print(
        f"## Fixed transfer: the trunk computed once, {args.epochs} epochs, width {args.width:g}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder) / "base"
        write_base(base, args.width)
        for _ in range(args.repeats):
            once, losses = measure(recipe, base, args.data, cached=True)
            again, others = measure(recipe, base, args.data, cached=False)
            gains.append(again / once)
            apart = max(abs(one - other) for one, other in zip(losses, others, strict=True))
            print(
                f"- {len(losses)} steps, cached {once:.2f} s, uncached {again:.2f} s, "
                f"gain {gains[-1]:.1f}, losses apart by {apart:.1e} at most",
                flush=True,
            )
    print(harness.bar("times as fast as the uncached path", statistics.median(gains), least=20))


if __name__ == "__main__":
    main()
